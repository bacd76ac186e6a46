"""Functional entropy between features: what "the cross-entropy of features" means here.

At every position of a stage the channels of a sensor's feature, and of the mean over the sensors, are read as logits
of a distribution; f_i is the cross-entropy of the sensor's against the mean's (arXiv 2505.06635, eq. 7 with f =
CE(F_i, F_fused)), summed over the positions of a sample, each weighed by the share of its pixels that have a label.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from sensorproof.regularization.entropy import fisher_information
from sensorproof.regularization.losses import to_float32


def feature_cross_entropy(feature: Tensor, fused: Tensor) -> Tensor:
    """CE(softmax(fused), softmax(feature)) over channels.

    Args:
        feature, fused: (B, C, H, W).

    Returns:
        (B, H, W), in nats and in float32 or more.
    """
    return -(to_float32(fused).softmax(1) * to_float32(feature).log_softmax(1)).sum(1)


def feature_terms(
    maps: Mapping[str, Tensor],
    here: Mapping[str, Tensor],
    valid: Tensor,
    sigma: float,
    epsilon: float,
    *,
    exact: bool,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """f and the information of every sensor at one stage.

    Args:
        maps: {sensor: (B, C, H, W)}; smaller ones are enlarged to the largest, as fusion does.
        here: {sensor: (B,) bool}, which samples have it. What stands in for an absent feature is not read.
        valid: (B, h, w) bool, the pixels that have a label, in the label's own size.
        sigma: perturbation, as a multiple of each feature's own standard deviation.
        exact: perturb the features and keep the graph of the information, to be differentiated twice; otherwise f
            is that of the clean features, against a mean that is held constant, and the information has no graph.

    Returns:
        {sensor: (n,)} f per position of the samples that have the sensor, and {sensor: scalar} information. Sensors
        that no sample has are left out.
    """
    height, width = size = max((m.shape[-2:] for m in maps.values()), key=lambda s: s[0] * s[1])
    maps = {
        n: m if m.shape[-2:] == size else interpolate(m, size=(height, width), mode="bilinear", align_corners=False)
        for n, m in maps.items()
        if bool(here[n].any())
    }
    counts = adaptive_avg_pool2d(valid.float()[:, None], (height, width))[:, 0]
    clean = {name: torch.where(here[name].reshape(-1, 1, 1, 1), m, 0.0) for name, m in maps.items()}
    scale = {name: sigma * to_float32(m[here[name]].detach()).std() for name, m in maps.items()}
    points = {name: m + scale[name] * torch.randn_like(m) for name, m in clean.items()}
    points = {n: p if exact and p.requires_grad else p.detach().requires_grad_() for n, p in points.items()}
    weight = torch.stack([here[name].to(points[name]) for name in points])
    with torch.enable_grad():
        fused = _mean_of(points, weight)
        f, information = {}, {}
        for name, point in points.items():
            rows = here[name].nonzero()[:, 0]
            values = (feature_cross_entropy(point, fused) * counts).flatten(1).sum(1)
            each = fisher_information(values, {name: point}, scale, create_graph=exact, epsilon=epsilon)[name]
            information[name] = each[rows].mean()
            if not exact:
                information[name] = information[name].detach()
                own = feature_cross_entropy(clean[name], _mean_of(clean, weight).detach()) * counts
                values = own.flatten(1).sum(1)
            f[name] = values[rows] / counts[rows].flatten(1).sum(1)
    return f, information


def _mean_of(maps: Mapping[str, Tensor], weight: Tensor) -> Tensor:
    """Mean over the present sensors: weight (M, B), maps (B, C, H, W) in the same order."""
    return torch.einsum("mb,mb...->b...", weight / weight.sum(0).clamp_min(1), torch.stack(list(maps.values())))
