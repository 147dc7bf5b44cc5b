"""Interpretability of decoders: ablation, attention, PCA and activation patching.

Works for any decoder of `nets.decoder`, not only for arithmetic.
"""
