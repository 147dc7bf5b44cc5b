"""Reproduce, check and extend what is known about how transformers do mathematics."""

__version__ = "0.1.0"
