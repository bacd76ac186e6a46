"""Image statistics of the training data that a batch is compared with: the data that were there before it."""

from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensorproof.alignment.frames import read_frame
from sensorproof.alignment.measures.image_statistics import image_statistics
from sensorproof.alignment.sampling import evenly_spaced
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.splits import assign_splits, first_time
from sensorproof.settings import DataSettings


def training_statistics(
    batch: Batch, settings: DataSettings, most: int, quarantined: Set[tuple[str, str]] = frozenset()
) -> pd.DataFrame | None:
    """Measure training frames, evenly spread over the batches before this one.

    A batch outside the raw data is compared with all of them. A batch inside is compared with those that begin
    earlier, so that later batches do not make an old one drift.

    Args:
        batch: the batch to be compared.
        settings: the section data.
        most: largest number of frames.
        quarantined: (batch, frame id) of frames to leave out.

    Returns:
        A row per frame and sensor, see `image_statistics`; None if there is no training frame.
    """
    others = _batches_before(batch, Path(settings.raw))
    if not others:
        return None
    frames = [
        (other, int(row))
        for other, split in zip(others, assign_splits(others, settings.split), strict=True)
        for row in np.flatnonzero((split == "train").to_numpy())
        if (other.name, str(other.frames.frame_id.iat[int(row)])) not in quarantined
    ]
    if not frames:
        return None
    rows = [row for k in evenly_spaced(len(frames), most) for row in _frame_statistics(*frames[k])]
    return pd.DataFrame(rows) if rows else None


def _batches_before(batch: Batch, raw: Path) -> list[Batch]:
    """Return the batches of the raw data that count as being there before this one."""
    roots = sorted(p.parent for p in raw.glob("*/batch.yaml") if not p.parent.name.startswith("."))
    others = [read_batch(root) for root in roots if root.name != batch.name]
    if batch.root.resolve() not in {root.resolve() for root in roots}:
        return others
    return [other for other in others if (first_time(other), other.name) < (first_time(batch), batch.name)]


def _frame_statistics(batch: Batch, row: int) -> list[dict[str, Any]]:
    """Return the statistics of every sensor of one frame, without files that cannot be read."""
    cells = batch.frames.iloc[row]
    keys = {"batch": batch.name, "frame_id": cells.frame_id, "site": cells.site, "sequence": cells.sequence}
    images = read_frame(batch, row).images
    return [image_statistics(image, batch.sensors[name], {**keys, "sensor": name}) for name, image in images.items()]
