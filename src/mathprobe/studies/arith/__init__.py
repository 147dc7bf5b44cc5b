"""Quirke, Neo, Barez 2024: decoders that add and subtract.

models      networks, and which of their answers are right
training    their trainings, some from the weights of a parent
accuracy    how often a trained model is wrong
"""

STUDY = "arith"  # in the names of random streams
