"""Quirke, Neo, Barez 2024: decoders that add and subtract.

models      building and loading models, and scoring their answers
training    training, possibly from the weights of a parent model
accuracy    error rates of trained models
"""

STUDY = "arith"  # first name of all random generators
