"""Matrices, their laws, encodings and tasks.  Knows no network."""
