"""Charton 2022: transformers that learn linear algebra.

data        matrices and test sets: know no token and no network
codecs      matrices as tokens, and the oracle that reads these: know no network
models      networks, and what they answer
training    their trainings
scoring     what stored predictions are worth
conditions  condition numbers of every distribution
"""

STUDY = "linalg"  # in the names of random streams
