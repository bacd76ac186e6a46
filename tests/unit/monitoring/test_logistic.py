"""Our logistic regression is scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sensorproof.monitoring.logistic import fit_logistic


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("features", "scale"), [(1, 1.0), (2, 1.0), (2, 20.0)])
def test_weights_are_those_of_scikit_learn(seed: int, features: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    same, other = (scale * (rng.normal(mean, 1, (n, features))) for mean, n in ((1.5, 20 + 30 * seed), (0.0, 400)))
    x, truth = np.r_[same, other], np.r_[np.ones(len(same)), np.zeros(len(other))]
    expected = LogisticRegression(class_weight="balanced").fit(x, truth)
    weights, constant = fit_logistic(x, truth)
    # To the bit on x86-64 with glibc; elsewhere another exponential may round differently.
    np.testing.assert_allclose(weights, expected.coef_[0], rtol=1e-9)
    np.testing.assert_allclose(constant, expected.intercept_[0], rtol=1e-9)


def test_classes_far_apart_do_not_overflow() -> None:
    x, truth = np.r_[np.full((30, 1), 900.0), np.full((30, 1), -900.0)], np.r_[np.ones(30), np.zeros(30)]
    weights, constant = fit_logistic(x, truth)
    assert np.isfinite(weights).all()
    assert weights[0] > 0
    assert abs(constant) < 1e-6
