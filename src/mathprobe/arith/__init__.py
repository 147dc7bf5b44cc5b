"""Arithmetic questions, their tokens and their complexity.  Needs no network."""
