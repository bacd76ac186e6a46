"""The hold-out: the labelled test frames that are in use, and the hash by which they are recognised."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sensorproof.data.dataset import PreparedDataset


def hash_holdout(data: "PreparedDataset") -> str:
    """Return the SHA-256 (hex) of all that a score on the test split depends on besides the model.

    These are the ids of the frames, which sensors they have, and the prepared pixels and labels. Other splits, and
    frames in quarantine, do not change it.

    Args:
        data: the prepared data, less the frames in quarantine.

    Raises:
        SensorproofError: the test split has no labelled frame.
    """
    rows = data.rows("test")
    digest = hashlib.sha256()
    for frame in frame_names(data):
        digest.update(f"{frame}\n".encode())
    arrays = {"label": data.labels, **data.images}
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape[1:]}\n".encode())
        if name in data.present:
            digest.update(data.present[name][rows].tobytes())
        for row in rows:
            digest.update(np.ascontiguousarray(array[row]).tobytes())
    return digest.hexdigest()


def frame_names(data: "PreparedDataset") -> tuple[str, ...]:
    """Name each frame of the hold-out, in order: batch and frame_id, joined by `/`."""
    frames = data.frames.loc[data.rows("test")]
    return tuple(f"{batch}/{frame}" for batch, frame in zip(frames.batch, frames.frame_id, strict=True))
