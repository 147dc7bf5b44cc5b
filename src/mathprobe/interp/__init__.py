"""Interpretability of decoders: ablation, attention, PCA and activation patching.

Works on any decoder of `nets.decoder`; needs no knowledge of arithmetic.
"""
