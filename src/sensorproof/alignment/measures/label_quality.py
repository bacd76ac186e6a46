"""Quality of a label: unknown ids and coverage. The position of its edges is measured by registration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo


@dataclass(frozen=True)
class LabelQuality:
    """The columns of the group "label"."""

    label_unknown_share: float
    """Share of pixels whose id is neither a class nor ignore_index."""
    label_coverage: float
    """Share of pixels that are not ignored."""
    label_classes: float
    """Number of classes that occur."""


def measure_label(label: NDArray[np.integer], info: BatchInfo) -> LabelQuality:
    """Measure one label (H, W) by the classes of its batch."""
    inside = label[(label >= 0) & (label <= 255)]
    counts = np.bincount(inside.astype(np.uint8), minlength=256)
    ids = [c.id for c in info.classes]
    ignored = int(counts[info.ignore_index])
    known = int(counts[ids].sum())
    size = max(1, label.size)
    return LabelQuality(
        label_unknown_share=(size - known - ignored) / size,
        label_coverage=1 - ignored / size,
        label_classes=float((counts[ids] > 0).sum()),
    )
