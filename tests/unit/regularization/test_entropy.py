"""Functional entropy and Fisher information against closed forms, Monte Carlo estimates and a slow implementation."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sensorproof.errors import UsageError
from sensorproof.regularization.entropy import (
    fisher_information,
    functional_entropy,
    log_sobolev_bound,
    squared_gradients,
)


def draws(n: int, size: int, sigma: float, seed: int) -> Tensor:
    """Draw points; half of them mirror the others, which removes the odd moments from the error."""
    half = torch.randn(n // 2, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return sigma * torch.cat([half, -half])


@given(st.integers(0, 1000), st.floats(0.05, 0.6))
def test_an_exponential_makes_the_bound_an_equality(seed: int, sigma: float) -> None:
    """f(z) = exp(a.z): Ent(f) = I / 2 = sigma^2 |a|^2 / 2 E[f], within the Monte Carlo error."""
    a = torch.tensor([0.5, -0.8, 0.3], dtype=torch.float64)
    z = draws(40_000, 3, sigma, seed).requires_grad_()
    f = (z @ a).exp()
    closed = sigma**2 * float(a @ a) / 2 * math.exp(sigma**2 * float(a @ a) / 2)
    integrand = fisher_information(f, {"z": z}, {"z": sigma})["z"].detach()
    error = float(integrand.std()) / math.sqrt(len(integrand))
    assert float(log_sobolev_bound({"z": integrand.mean()})) == pytest.approx(closed, abs=4 * error + 1e-12)
    entropy = float(functional_entropy(f.detach()))
    spread = float((f * f.log() - f).detach().std()) / math.sqrt(len(f))
    assert entropy == pytest.approx(closed, abs=5 * spread)


def test_a_quadratic_form_has_its_known_information_and_is_below_the_bound() -> None:
    """For f = |z|^2, |grad f|^2 / f = 4 everywhere, so I = 4 sigma^2; and Ent(f) < I / 2, strictly."""
    sigma = 0.7
    z = draws(200_000, 2, sigma, 0).requires_grad_()
    f = z.square().sum(1)
    information = fisher_information(f, {"z": z}, {"z": sigma})["z"].detach()
    torch.testing.assert_close(information, torch.full_like(information, 4 * sigma**2))
    # f / sigma^2 is chi-squared with two degrees of freedom: Ent = 2 sigma^2 psi(2), psi(2) = 1 - gamma.
    closed = 2 * sigma**2 * (1 - 0.5772156649)
    assert float(functional_entropy(f.detach())) == pytest.approx(closed, rel=0.02)
    assert float(functional_entropy(f.detach())) < 2 * sigma**2


def test_entropy_is_below_the_sum_over_sensors_and_that_below_the_bound() -> None:
    """Tensorisation, then log-Sobolev, on a function that couples two sensors."""
    sigma = {"a": 0.4, "b": 0.6}
    a, b = draws(400, 1, 0.4, 1)[:, 0], draws(400, 1, 0.6, 2)[:, 0]
    grid_a, grid_b = (g.flatten()[:, None].requires_grad_() for g in torch.meshgrid(a, b, indexing="ij"))
    f = (1 + (grid_a + 2 * grid_b + grid_a * grid_b).sin())[:, 0] + 0.1
    table = f.detach().reshape(400, 400)
    whole = float(functional_entropy(f.detach()))
    parts = float(functional_entropy(table).mean() + functional_entropy(table.T).mean())
    information = fisher_information(f, {"a": grid_a, "b": grid_b}, sigma)
    bound = float(log_sobolev_bound({name: integrand.detach().mean() for name, integrand in information.items()}))
    assert 0 < whole <= parts + 1e-12
    assert parts <= bound


def test_information_matches_a_slow_independent_implementation() -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 3, dtype=torch.float64)
    x, y = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)

    def f(a: Tensor, b: Tensor) -> Tensor:
        return torch.nn.functional.softplus(a @ weight).sum(-1) * b.square().sum(-1) + 0.3

    points = {"x": x.clone().requires_grad_(), "y": y.clone().requires_grad_()}
    information = fisher_information(f(points["x"], points["y"]), points, {"x": 0.5, "y": 2.0})
    step = 1e-6
    for name, sigma in (("x", 0.5), ("y", 2.0)):
        for row in range(4):
            total = 0.0
            for column in range(points[name].shape[1]):
                moved = {n: p.detach().clone() for n, p in points.items()}
                moved[name][row, column] += step
                up = f(moved["x"], moved["y"])[row]
                moved[name][row, column] -= 2 * step
                down = f(moved["x"], moved["y"])[row]
                total += float((up - down) / (2 * step)) ** 2
            slow = sigma**2 * total / float(f(x, y)[row])
            assert float(information[name][row].detach()) == pytest.approx(slow, rel=1e-6)


def test_the_graph_of_the_information_passes_gradcheck() -> None:
    torch.manual_seed(0)
    point = torch.randn(3, 4, dtype=torch.float64)

    def information(weight: Tensor) -> Tensor:
        z = point.clone().requires_grad_()
        f = torch.nn.functional.softplus(z @ weight).sum(1) + 0.1
        return fisher_information(f, {"z": z}, {"z": 0.3}, create_graph=True, epsilon=1e-3)["z"].mean()

    weight = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(information, weight)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0.01, 100))
def test_entropy_is_never_negative_and_homogeneous(values: list[float], factor: float) -> None:
    f = torch.tensor(values, dtype=torch.float64)
    entropy = float(functional_entropy(f))
    assert entropy >= -1e-9
    assert float(functional_entropy(factor * f)) == pytest.approx(factor * entropy, abs=1e-7 * (1 + factor))
    assert float(functional_entropy(torch.full((3,), factor, dtype=torch.float64))) == pytest.approx(0, abs=1e-9)


def test_a_negative_value_is_refused_and_an_unused_sensor_has_no_information() -> None:
    with pytest.raises(UsageError, match=r"values: has -0\.1; functional entropy needs f >= 0") as caught:
        functional_entropy(torch.tensor([1.0, -0.1]))
    assert isinstance(caught.value, ValueError)
    z, unused = (torch.ones(2, 3, requires_grad=True) for _ in range(2))
    assert squared_gradients(z.sum(1), {"z": z, "unused": unused})["unused"].tolist() == [0.0, 0.0]
