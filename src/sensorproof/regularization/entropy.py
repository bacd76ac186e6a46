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


def functional_entropy(values: Tensor) -> Tensor:
    """Ent(f) from draws of f.

    Args:
        values: (N, …), f >= 0 at N draws from mu along the first dimension.

    Returns:
        (…), never below zero but for rounding. A draw of 0 contributes 0, its limit.

    Raises:
        ValueError: a value is negative.
    """
    if bool((values < 0).any()):
        raise ValueError("functional entropy needs f >= 0")
    mean = values.mean(0)
    return torch.xlogy(values, values).mean(0) - torch.xlogy(mean, mean)


def squared_gradients(
    values: Tensor, points: Mapping[str, Tensor], *, create_graph: bool = False, retain_graph: bool = True
) -> dict[str, Tensor]:
    """|grad_i f|^2 of every sample.

    Args:
        values: (B,), f of each sample; sample b depends on row b of the points alone.
        points: {sensor: (B, …)}, where f was evaluated; they require gradients.
        create_graph: keep the graph, so that the result can be differentiated itself (double backward).
        retain_graph: keep the graph of the values, for other uses of it.

    Returns:
        {sensor: (B,)} in float32; zeros for a sensor that f does not depend on.
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
        name: values.new_zeros(len(values), dtype=torch.promote_types(values.dtype, torch.float32))
        if gradient is None
        else gradient.to(torch.promote_types(gradient.dtype, torch.float32)).flatten(1).square().sum(1)
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
    """sigma_i^2 |grad_i f|^2 / f of every sample, the integrand of the functional Fisher information.

    It is homogeneous of degree one in f. With f the *sum* of a loss over pixels it does not depend on how many
    pixels there are: that is the normalisation `FunctionalEntropy` uses.

    Args:
        values, points, create_graph, retain_graph: see `squared_gradients`.
        sigma: {sensor: standard deviation of the perturbation, a number or (B,)}.
        epsilon: added to f, so that a sample that is learnt does not divide by zero.

    Returns:
        {sensor: (B,)}; its mean over draws and samples is I_i.
    """
    squared = squared_gradients(values, points, create_graph=create_graph, retain_graph=retain_graph)
    return {name: sigma[name] ** 2 * each / (values.to(each.dtype) + epsilon) for name, each in squared.items()}


def log_sobolev_bound(information: Mapping[str, Tensor]) -> Tensor:
    """Half the sum of the I_i: an upper bound on Ent(f), attained by f(z) = exp(a.z)."""
    return torch.stack(list(information.values())).sum(0) / 2
