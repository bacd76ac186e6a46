"""Functional entropy between features: what the cross-entropy of features means.

At every position of an encoder stage, the channels of a sensor's feature and of the mean over the sensors are read as
logits of a distribution. f_i is the cross-entropy of the sensor's distribution against the mean's (arXiv 2505.06635,
eq. 7 with f = CE(F_i, F_fused)), summed over the positions of a sample, each weighed by the share of its pixels that
have a label.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from sensorproof.regularization.entropy import fisher_information
from sensorproof.regularization.losses import to_float32
from sensorproof.resizing import largest_size, resize


def feature_cross_entropy(feature: Tensor, fused: Tensor) -> Tensor:
    """Return CE(softmax(fused), softmax(feature)) over channels.

    Args:
        feature: (B, C, H, W).
        fused: (B, C, H, W).

    Returns:
        (B, H, W), in nats, in at least float32.
    """
    return -(to_float32(fused).softmax(1) * to_float32(feature).log_softmax(1)).sum(1)


def feature_terms(
    maps: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    valid: Tensor,
    sigma: float,
    epsilon: float,
    *,
    exact: bool,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return f and the functional Fisher information of every sensor at one stage.

    Args:
        maps: {sensor: (B, C, H, W)}; smaller ones are enlarged to the largest, as fusion does.
        present: {sensor: (B,) bool}, which samples have the sensor. What stands in for an absent feature is not read.
        valid: (B, h, w) bool, the pixels that have a label, at the label's own size.
        sigma: standard deviation of the perturbation, as a multiple of each feature's own.
        epsilon: added to f in the denominator of the information.
        exact: perturb the features and keep the graph of the information, to be differentiated twice. Otherwise f is
            that of the clean features against a mean that is held constant, and the information has no graph.

    Returns:
        {sensor: (n,)} f per position of the samples that have the sensor, and {sensor: scalar} information. Sensors
        that no sample has are left out.
    """
    size = largest_size(maps.values())
    maps = {name: resize(stage, size) for name, stage in maps.items() if bool(present[name].any())}
    counts = adaptive_avg_pool2d(valid.float()[:, None], size)[:, 0]
    clean = {name: torch.where(present[name].reshape(-1, 1, 1, 1), stage, 0.0) for name, stage in maps.items()}
    scale = {name: sigma * to_float32(stage[present[name]].detach()).std() for name, stage in maps.items()}
    points = {name: stage + scale[name] * torch.randn_like(stage) for name, stage in clean.items()}
    points = {n: p if exact and p.requires_grad else p.detach().requires_grad_() for n, p in points.items()}
    weight = torch.stack([present[name].to(points[name]) for name in points])
    with torch.enable_grad():
        fused = _mean_of(points, weight)
        f, information = {}, {}
        for name, point in points.items():
            rows = present[name].nonzero()[:, 0]
            values = (feature_cross_entropy(point, fused) * counts).flatten(1).sum(1)
            integrand = fisher_information(values, {name: point}, scale, create_graph=exact, epsilon=epsilon)[name]
            information[name] = integrand[rows].mean()
            if not exact:
                information[name] = information[name].detach()
                clean_loss = feature_cross_entropy(clean[name], _mean_of(clean, weight).detach()) * counts
                values = clean_loss.flatten(1).sum(1)
            f[name] = values[rows] / counts[rows].flatten(1).sum(1)
    return f, information


def _mean_of(maps: Mapping[str, Tensor], weight: Tensor) -> Tensor:
    """Return the mean over the present sensors of maps {sensor: (B, …)}; weight (M, B) has the same order."""
    return torch.einsum("mb,mb...->b...", weight / weight.sum(0).clamp_min(1), torch.stack(list(maps.values())))
