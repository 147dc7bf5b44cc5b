"""Charton 2022: transformers that learn linear algebra.

data        matrices and test sets; independent of encodings and networks
codecs      matrices as tokens, and the oracle; independent of networks
models      networks and their predictions
training    training and learning curves
scoring     errors and accuracy of stored predictions
heads       ablation of heads and MLPs, and cross-attention
conditions  condition numbers of every distribution
"""

STUDY = "linalg"  # first part of the names of the study's random generators
