"""Random matrices, their encodings as tokens, and tasks on them.  No networks."""
