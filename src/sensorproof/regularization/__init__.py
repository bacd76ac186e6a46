"""Functional entropy regularisation (arXiv 2505.06635) of any model."""

from sensorproof.regularization.functional_entropy import FunctionalEntropy, Term

__all__ = ["FunctionalEntropy", "Term"]
