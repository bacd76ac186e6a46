"""Logistic regression with balanced classes, as scikit-learn fits it, without the import of scikit-learn.

That library takes as long to import as everything but torch together, in each training. The objective, the solver and
its settings are those of `sklearn.linear_model.LogisticRegression(class_weight="balanced")`; so are the results, to the
bit where the processor's own exponential and logarithm are used alike (tests/unit/monitoring/test_logistic.py).
"""

from math import exp, log1p

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

_MOST_STEPS, _MOST_LINE_SEARCHES = 100, 50
_GRADIENT_TOLERANCE = 1e-4
_LOSS_TOLERANCE = 64 * float(np.finfo(float).eps)


def fit_logistic(features: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the weights (F,) and the constant that tell two classes apart, with an L2 penalty of strength 1.

    Args:
        features: (N, F), finite.
        truth: (N,), 0 or 1; both occur. Each class as a whole has the same weight.
    """
    features, labels = np.ascontiguousarray(features), truth.tolist()
    counts = np.bincount(truth.astype(np.int64), minlength=2).astype(np.float64)
    balance = (len(truth) / (2 * counts))[truth.astype(np.int64)]
    total = float(balance.sum())
    penalty = 1.0 / total

    def loss_and_gradient(coefficients: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = coefficients[:-1]
        raw = features @ weights + coefficients[-1]
        points = np.array([_loss_and_slope(y, x) for y, x in zip(labels, raw.tolist(), strict=True)])
        losses, slopes = balance * points[:, 0], balance * points[:, 1]
        loss = float(losses.sum() / total) + float(0.5 * penalty * (weights @ weights))
        slopes /= total
        return loss, np.append(features.T @ slopes + penalty * weights, slopes.sum())

    options = {"maxiter": _MOST_STEPS, "maxls": _MOST_LINE_SEARCHES}
    options |= {"gtol": _GRADIENT_TOLERANCE, "ftol": _LOSS_TOLERANCE}
    start = np.zeros(features.shape[1] + 1)
    found = minimize(loss_and_gradient, start, method="L-BFGS-B", jac=True, options=options).x
    return found[:-1], float(found[-1])


def _loss_and_slope(label: float, raw: float) -> tuple[float, float]:
    """Return log(1 + exp(raw)) - label * raw and its derivative, without overflow or cancellation."""
    if raw <= -2:
        grown = exp(raw)
        if raw <= -37:
            return grown - label * raw, grown - label
        return log1p(grown) - label * raw, ((1 - label) * grown - label) / (1 + grown)
    shrunk = exp(-raw)
    loss = (log1p(shrunk) if raw <= 18 else shrunk) + (1 - label) * raw
    return loss, ((1 - label) - label * shrunk) / (1 + shrunk)
