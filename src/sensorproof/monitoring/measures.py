"""What is measured of each frame: how unusual each image is, which images repeat, how well the sensors match."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.models import Segmenter
from sensorproof.models.segmenter import Features
from sensorproof.monitoring.image_statistics import Values, find_empty_blocks, measure_images, to_gray
from sensorproof.monitoring.registration import (
    Spectra,
    edge_spectra,
    map_spectra,
    match_edges,
    match_maps,
    prediction_maps,
)

Pair = tuple[str, str]
"""Two sensors, sorted."""
Prepared = Mapping[str, NDArray[np.floating]]
"""{sensor: (B, C, H, W)}, as `preprocessing.prepare_image` returns them: shares of the range, NaN where invalid."""


@dataclass(frozen=True)
class ImageMeasures:
    """What single images of a pass look like."""

    statistics: dict[str, Values]
    """{sensor: (B, REGIONS, QUANTITIES)}."""
    empty: dict[str, NDArray[np.bool_]]
    """{sensor: blocks that show nothing (B, h, w)}."""
    digests: dict[str, list[int]]
    """{sensor: a number for the image of each frame, 0 for one that shows nothing}."""
    edges: dict[str, Spectra]
    """{sensor: spectra of the edges (B, 1, H, W)}."""
    maps: dict[str, Spectra]
    """{sensor: spectra of the predictions from it alone (B, K, h, w)}."""

    def replace(self, others: "ImageMeasures") -> "ImageMeasures":
        """Return the same measures with those of some sensors replaced."""
        return ImageMeasures(
            **{part.name: {**getattr(self, part.name), **getattr(others, part.name)} for part in fields(self)}
        )


def measure_frames(
    pixels: Prepared,
    kinds: Mapping[str, str],
    predictions: Mapping[str, NDArray[np.float32]],
    usual: Mapping[str, NDArray[np.float32]],
) -> ImageMeasures:
    """Measure the images of B frames.

    Args:
        pixels: of every sensor that any frame has.
        kinds: {sensor: kind}.
        predictions: {sensor: maps (B, K, h, w)}, from `predict_alone`.
        usual: {sensor: the mean of these maps in training (K, h, w)}.
    """
    statistics, empty, digests, edges = {}, {}, {}, {}
    for name, images in pixels.items():
        gray, valid = to_gray(images)
        statistics[name] = measure_images(gray, valid)
        empty[name] = find_empty_blocks(gray, valid)
        digests[name] = [_digest(image) for image in images]
        edges[name] = edge_spectra(gray, valid, kinds[name], images.shape[1])
    maps = {name: map_spectra(maps, usual[name]) for name, maps in predictions.items()}
    return ImageMeasures(statistics, empty, digests, edges, maps)


def predict_alone(model: Segmenter, features: Features) -> dict[str, NDArray[np.float32]]:
    """Return the maps of log probabilities that the model makes of each sensor alone, at a small size."""
    with torch.inference_mode():
        return {name: to_maps(model.decode_coarsely({name: stages})) for name, stages in features.items()}


def to_maps(logits: Tensor) -> NDArray[np.float32]:
    """Turn logits (B, K, h, w) into maps."""
    return prediction_maps(torch.softmax(logits.float(), 1).cpu().numpy())


def match_pairs(edges: Mapping[str, Spectra], maps: Mapping[str, Spectra]) -> dict[Pair, NDArray[np.float64]]:
    """Return {pair: (B, 2) how well edges and predictions match}."""
    return {
        (a, b): np.stack([match_edges(edges[a], edges[b]), match_maps(maps[a], maps[b])], -1)
        for a, b in combinations(sorted(edges), 2)
    }


def _digest(image: NDArray[np.floating]) -> int:
    """Return a number above 0 for the pixels of an image (C, H, W); 0 if they are all the same."""
    if (image == image[0, 0, 0]).all() or np.isnan(image).all():
        return 0
    return int.from_bytes(blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8).digest()) | 1
