"""Matrices, their distributions, encodings and tasks.  Knows no network."""
