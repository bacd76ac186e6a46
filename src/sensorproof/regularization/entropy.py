"""Functional entropy, functional Fisher information and the log-Sobolev bound, as pure functions of tensors.

Notation (arXiv 2505.06635, section 3; Gat et al., NeurIPS 2020, section 3): f >= 0 is a function of the sensors
x = (x_1 … x_M), mu_i = N(x_i, sigma_i^2 I) a Gaussian around the sample's own input, mu their product.

    Ent_mu(f) = E[f log f] - E[f] log E[f]
    I_i       = E[sigma_i^2 |grad_i f|^2 / f]
    Ent_mu(f) <= sum_i E[Ent_mu_i(f)] <= 1/2 sum_i I_i        (tensorisation, then log-Sobolev)
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from sensorproof.errors import UsageError
from sensorproof.regularization.losses import to_float32


def functional_entropy(values: Tensor) -> Tensor:
    """Estimate Ent(f) from draws of f.

    Args:
        values: (N, …), f >= 0 at N draws from mu along the first dimension.

    Returns:
        (…), at least zero within rounding. A draw of 0 contributes 0, its limit.

    Raises:
        UsageError: a value is negative.
    """
    if bool((values < 0).any()):
        raise UsageError("values", f"has {float(values.min()):g}", "functional entropy needs f >= 0")
    mean = values.mean(0)
    return torch.xlogy(values, values).mean(0) - torch.xlogy(mean, mean)


def squared_gradients(
    values: Tensor, points: Mapping[str, Tensor], *, create_graph: bool = False, retain_graph: bool = True
) -> dict[str, Tensor]:
    """Return |grad_i f|^2 of every sample.

    Args:
        values: (B,), f of each sample; sample b depends on row b of the points alone.
        points: {sensor: (B, …)}, where f was evaluated; they require gradients.
        create_graph: keep the graph, so that the result can itself be differentiated (double backward).
        retain_graph: keep the graph of the values for other uses of it.

    Returns:
        {sensor: (B,)} in at least float32; zeros for a sensor that f does not depend on.
    """
    names = list(points)
    gradients = torch.autograd.grad(
        values.sum(),
        [points[name] for name in names],
        create_graph=create_graph,
        retain_graph=retain_graph,
        allow_unused=True,
    )
    return {
        name: to_float32(values.new_zeros(len(values)))
        if gradient is None
        else to_float32(gradient).flatten(1).square().sum(1)
        for name, gradient in zip(names, gradients, strict=True)
    }


def fisher_information(
    values: Tensor,
    points: Mapping[str, Tensor],
    sigma: Mapping[str, Tensor | float],
    *,
    create_graph: bool = False,
    retain_graph: bool = True,
    epsilon: float = 0.0,
) -> dict[str, Tensor]:
    """Return sigma_i^2 |grad_i f|^2 / f of every sample, the integrand of the functional Fisher information.

    It is homogeneous of degree one in f. If f is the *sum* of a loss over pixels, it does not depend on the number of
    pixels: that is the normalisation `FunctionalEntropy` uses.

    Args:
        values: see `squared_gradients`.
        points: see `squared_gradients`.
        sigma: {sensor: standard deviation of the perturbation, a number or (B,)}.
        create_graph: see `squared_gradients`.
        retain_graph: see `squared_gradients`.
        epsilon: added to f, so that a sample that has been learnt does not divide by zero.

    Returns:
        {sensor: (B,)}; the mean over draws and samples is I_i.
    """
    squared = squared_gradients(values, points, create_graph=create_graph, retain_graph=retain_graph)
    return {name: sigma[name] ** 2 * square / (values.to(square.dtype) + epsilon) for name, square in squared.items()}


def log_sobolev_bound(information: Mapping[str, Tensor]) -> Tensor:
    """Return half the sum of the I_i: an upper bound on Ent(f), attained by f(z) = exp(a.z)."""
    return torch.stack(list(information.values())).sum(0) / 2
