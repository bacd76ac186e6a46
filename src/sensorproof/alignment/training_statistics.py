"""Image statistics of the training data that a batch is compared with: the data that were there before it."""

from collections.abc import Collection, Set
from pathlib import Path

import numpy as np
import pandas as pd

from sensorproof.alignment.known_statistics import Measuring, known_statistics
from sensorproof.alignment.sampling import evenly_spaced
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.splits import assign_splits, first_time
from sensorproof.settings import DataSettings


def training_statistics(
    batch: Batch,
    settings: DataSettings,
    most: int,
    quarantined: Set[tuple[str, str]] = frozenset(),
    how: Measuring = Measuring(),
    batches: Collection[str] | None = None,
) -> pd.DataFrame | None:
    """Return the statistics of training frames, evenly spread over the batches before this one.

    Statistics that were measured before are not measured again.

    A batch outside the raw data is compared with all of them. A batch inside is compared with those that begin
    earlier, so that later batches do not make an old one drift.

    Args:
        batch: the batch to be compared.
        settings: the section data.
        most: largest number of frames.
        quarantined: (batch, frame id) of frames to leave out.
        how: processes, and where statistics are kept.
        batches: names of the batches to compare with, if not those before this one.

    Returns:
        A row per frame and sensor, see `image_statistics`; None if there is no training frame.
    """
    others = _other_batches(batch, Path(settings.raw), batches)
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
    chosen: dict[str, list[int]] = {other.name: [] for other in others}
    for k in evenly_spaced(len(frames), most):
        chosen[frames[k][0].name].append(frames[k][1])
    table = pd.concat([known_statistics(other, chosen[other.name], how) for other in others if chosen[other.name]])
    return table.reset_index(drop=True) if len(table) else None


def _other_batches(batch: Batch, raw: Path, names: Collection[str] | None) -> list[Batch]:
    """Return the batches of these names, or those of the raw data that count as being there before this one."""
    roots = sorted(p.parent for p in raw.glob("*/batch.yaml") if not p.parent.name.startswith("."))
    others = [read_batch(root) for root in roots if root.name != batch.name]
    if names is not None:
        return [other for other in others if other.name in names]
    if batch.root.resolve() not in {root.resolve() for root in roots}:
        return others
    return [other for other in others if (first_time(other), other.name) < (first_time(batch), batch.name)]
