"""What the scores of one model are made of, frame by frame, so that they can be resampled and told apart by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sensorproof.errors import SensorproofError
from sensorproof.evaluation.subsets import SubsetScores, all_subsets, score_counts
from sensorproof.files import atomic_file

_TEXTS = ("frames", "sequences", "sites", "conditions", "sensors", "classes")
_FIX = "run `dvc repro --force --single-item evaluate`"
Texts = tuple[str, ...]
_UNNAMED = "(none)"
"""A group without text."""


def name_groups(names: Sequence[str]) -> NDArray[np.str_]:
    """Return the group of each frame (F); one without text gets a name."""
    return np.array([name or _UNNAMED for name in names], dtype=np.str_)


@dataclass(frozen=True)
class PixelCounts:
    """The pixel counts of one model on one split, for every frame, subset of the sensors and class."""

    counts: NDArray[np.uint32]
    """(F, S, K, 3), from `subsets.count_subsets`."""
    frames: Texts
    """(F) batch and frame_id, joined by `/`."""
    sequences: Texts
    """(F) site and sequence, joined by `/`."""
    sites: Texts
    conditions: Texts
    sensors: Texts
    """All sensors of the model, sorted; they give the subsets."""
    classes: Texts
    """(K) names."""
    holdout: str
    """Hash of the frames that were scored; see `data.holdout`."""

    def __post_init__(self) -> None:
        frames, shape = len(self.frames), self.counts.shape
        expected = (frames, len(all_subsets(self.sensors)), len(self.classes), 3)
        texts = {len(texts) for texts in (self.sequences, self.sites, self.conditions)}
        if shape != expected or texts != {frames} or self.counts.dtype != np.uint32:
            raise ValueError(f"counts of shape {shape} and type {self.counts.dtype} do not fit {expected}")

    def scores(self) -> SubsetScores:
        """Return the scores over all frames.

        Raises:
            SensorproofError: a subset has no frame to score.
        """
        return score_counts(self.counts, self.sensors, self.classes)

    def save(self, path: Path) -> None:
        """Write the counts to a compressed .npz file, atomically."""
        texts: dict[str, Any] = {name: np.array(getattr(self, name), dtype=np.str_) for name in _TEXTS}
        with atomic_file(path) as file:
            np.savez_compressed(file, counts=self.counts, holdout=np.array(self.holdout), **texts)

    @classmethod
    def load(cls, path: Path) -> "PixelCounts":
        """Read what `save` wrote; no pickle is read.

        Raises:
            SensorproofError: the file is missing, broken or of another form.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                texts = {name: tuple(map(str, data[name])) for name in _TEXTS}
                return cls(counts=data["counts"], holdout=str(data["holdout"]), **texts)
        except FileNotFoundError as error:
            raise SensorproofError(path, "is missing", _FIX) from error
        except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
            raise SensorproofError(path, f"holds no pixel counts ({error})", _FIX) from error
