"""Label measures: unknown ids, coverage. Where its edges lie is measured by registering the label like a sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo


@dataclass(frozen=True)
class _LabelMeasures:
    label_unknown_share: float
    """Share of pixels whose id is neither a class nor ignore_index."""
    label_coverage: float
    """Share of pixels that are not ignored."""
    label_classes: float
    """How many classes occur."""


def label_measures(label: NDArray[np.integer], info: BatchInfo) -> _LabelMeasures:
    """Measure one label (H, W)."""
    inside = label[(label >= 0) & (label <= 255)]
    counts = np.bincount(inside.astype(np.uint8), minlength=256)
    ids = [c.id for c in info.classes]
    ignored = int(counts[info.ignore_index])
    known = int(counts[ids].sum())
    size = max(1, label.size)
    return _LabelMeasures(
        label_unknown_share=(size - known - ignored) / size,
        label_coverage=1 - ignored / size,
        label_classes=float((counts[ids] > 0).sum()),
    )
