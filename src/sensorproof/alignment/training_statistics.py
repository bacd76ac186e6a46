"""The training data that a batch is compared with: image statistics of what was there before it."""

from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensorproof.alignment.frames import read_frame
from sensorproof.alignment.measures.image_statistics import image_statistics
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.splits import assign_splits, first_time
from sensorproof.settings import DataSettings


def training_statistics(
    batch: Batch, settings: DataSettings, most: int, aside: Set[tuple[str, str]] = frozenset()
) -> pd.DataFrame | None:
    """Statistics of at most `most` training frames, evenly spread over the batches before this one; None for none.

    A batch that waits outside of the raw data is compared with all of it, one inside with those that begin earlier:
    what comes later makes no old batch drift.

    Args:
        aside: batch and frame id of frames that are left out.
    """
    others = _batches_before(batch, Path(settings.raw))
    if not others:
        return None
    frames = [
        (other, int(row))
        for other, split in zip(others, assign_splits(others, settings.split), strict=True)
        for row in np.flatnonzero((split == "train").to_numpy())
        if (other.name, str(other.frames.frame_id.iat[int(row)])) not in aside
    ]
    if not frames:
        return None
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    rows = [row for k in chosen for row in _frame_statistics(*frames[k])]
    return pd.DataFrame(rows) if rows else None


def _batches_before(batch: Batch, raw: Path) -> list[Batch]:
    """The other batches of the raw data that count as being there before this one."""
    roots = sorted(p.parent for p in raw.glob("*/batch.yaml") if not p.parent.name.startswith("."))
    others = [read_batch(root) for root in roots if root.name != batch.name]
    if batch.root.resolve() not in {root.resolve() for root in roots}:
        return others
    return [other for other in others if (first_time(other), other.name) < (first_time(batch), batch.name)]


def _frame_statistics(batch: Batch, row: int) -> list[dict[str, Any]]:
    """The statistics of every sensor of one frame; what cannot be read is left out."""
    cells = batch.frames.iloc[row]
    keys = {"batch": batch.name, "frame_id": cells.frame_id, "site": cells.site, "sequence": cells.sequence}
    images = read_frame(batch, row).images
    return [image_statistics(image, batch.sensors[name], {**keys, "sensor": name}) for name, image in images.items()]
