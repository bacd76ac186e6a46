"""Label measures: unknown ids, coverage, size. Edges are measured by registering the label like a sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo

LABEL = "label"
"""The label's name among the sensors of the table."""


@dataclass(frozen=True)
class LabelMeasures:
    label_unknown_share: float
    """Share of pixels whose id is neither a class nor ignore_index."""
    label_coverage: float
    """Share of pixels that are not ignored."""
    label_classes: float
    """How many classes occur."""


def label_measures(label: NDArray[np.uint8], info: BatchInfo) -> LabelMeasures:
    """Measure one label (H, W)."""
    counts = np.bincount(label.ravel(), minlength=256)
    ids = [c.id for c in info.classes]
    ignored = int(counts[info.ignore_index])
    known = int(counts[ids].sum())
    size = max(1, label.size)
    return LabelMeasures(
        label_unknown_share=(size - known - ignored) / size,
        label_coverage=1 - ignored / size,
        label_classes=float((counts[ids] > 0).sum()),
    )


def label_edges(label: NDArray[np.uint8], ignore_index: int) -> NDArray[np.float32]:
    """(H, W) 1 on pixels that border on another class, 0 elsewhere; the border of ignored areas is no edge."""
    edges = np.zeros(label.shape, np.float32)
    kept = label != ignore_index
    for a, b in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        step = (label[a] != label[b]) & kept[a] & kept[b]
        edges[a] += step
        edges[b] += step
    return np.minimum(edges, 1)
