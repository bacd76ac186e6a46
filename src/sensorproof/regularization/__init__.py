"""Functional entropy regularisation (arXiv 2505.06635) for any model, and the rivals beside it."""

from sensorproof.regularization.functional_entropy import FunctionalEntropy, Term

__all__ = ["FunctionalEntropy", "Term"]
