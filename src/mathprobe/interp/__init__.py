"""Interpretability of networks with hook points: ablation, patching, attention, PCA.

Works for any network whose runs satisfy `protocol.PatchableRun`, not only for
arithmetic.
"""
