"""Arithmetic: questions, tokens, complexity classes, sub-tasks and claims.

Contains no neural networks.
"""
