"""What is measured of each frame: how unusual each image is, which images repeat, how well the sensors match."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.models import Segmenter
from sensorproof.models.segmenter import Features
from sensorproof.monitoring.image_statistics import Gray, Values, measure_images, to_gray
from sensorproof.monitoring.registration import (
    Spectra,
    edge_spectra,
    map_spectra,
    match_edges,
    match_maps,
    near,
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
    measures = ImageMeasures({}, {}, {}, {}, {})
    for names in _alike(pixels):
        grays = [to_gray(pixels[name]) for name in names]
        together = _stack(grays)
        values, empty = measure_images(together)
        nearness = [near(g, kinds[name], pixels[name].shape[1]) for g, name in zip(grays, names, strict=True)]
        spectra = edge_spectra(_stack(nearness))
        maps = map_spectra(np.stack([predictions[name] - usual[name] for name in names]))
        frames = len(grays[0].values)
        for place, name in enumerate(names):
            own = slice(place * frames, (place + 1) * frames)
            measures.statistics[name], measures.empty[name] = values[own], empty[own]
            measures.edges[name], measures.maps[name] = spectra[own], maps[place]
            shares = empty[own].reshape(frames, -1).mean(1).tolist()
            measures.digests[name] = [_digest(x) if y < 1 else 0 for x, y in zip(pixels[name], shares, strict=True)]
    return measures


def _alike(pixels: Prepared) -> list[list[str]]:
    """List the sensors whose images are of one size: together they are measured faster."""
    sizes: dict[tuple[int, ...], list[str]] = {}
    for name, images in pixels.items():
        sizes.setdefault(images.shape[-2:], []).append(name)
    return list(sizes.values())


def _stack(grays: Sequence[Gray]) -> Gray:
    """Put the images of several sensors below one another."""
    values = np.concatenate([gray.values for gray in grays])
    if all(gray.valid is None for gray in grays):
        return Gray(values, None)
    masks = [np.ones(g.values.shape, bool) if g.valid is None else g.valid for g in grays]
    return Gray(values, np.concatenate(masks))


def predict_alone(model: Segmenter, features: Features) -> dict[str, NDArray[np.float32]]:
    """Return the maps of log probabilities that the model makes of each sensor alone, at a small size."""
    names = sorted(features)
    with torch.inference_mode():
        if len({stages[0].shape for stages in features.values()}) > 1:
            return {name: to_maps(model.decode_coarsely({name: stages})) for name, stages in features.items()}
        # As if they were images of one sensor: the decoder does not know them apart, and one pass is faster.
        stacked = [torch.cat(stages) for stages in zip(*(features[name] for name in names), strict=True)]
        maps = to_maps(model.decode_coarsely({names[0]: stacked}))
    return dict(zip(names, np.split(maps, len(names)), strict=True))


def to_maps(logits: Tensor) -> NDArray[np.float32]:
    """Turn logits (B, K, h, w) into maps."""
    return prediction_maps(torch.log_softmax(logits.float(), 1).cpu().numpy())


def match_pairs(edges: Mapping[str, Spectra], maps: Mapping[str, Spectra]) -> dict[Pair, NDArray[np.float64]]:
    """Return {pair: (B, 2) how well edges and predictions match} of sensors of one image size."""
    pairs = [(a, b) for a, b in combinations(sorted(edges), 2) if edges[a].shape == edges[b].shape]
    by_size: dict[tuple[int, ...], list[Pair]] = {}
    for pair in pairs:
        by_size.setdefault(edges[pair[0]].shape, []).append(pair)
    matches: dict[Pair, NDArray[np.float64]] = {}
    for alike in by_size.values():
        both = [
            match(np.concatenate([of[a] for a, _ in alike]), np.concatenate([of[b] for _, b in alike]))
            for match, of in ((match_edges, edges), (match_maps, maps))
        ]
        matches |= dict(zip(alike, np.split(np.stack(both, -1), len(alike)), strict=True))
    return matches


def _digest(image: NDArray[np.floating]) -> int:
    """Return a number other than 0 for the pixels of an image (C, H, W); it means nothing to another process."""
    return hash(image.tobytes()) or 1
