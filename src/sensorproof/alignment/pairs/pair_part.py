"""What one shard of consecutive frames contributes to a pair, in a form that can be stored."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.pairs.pools import PairSize, Pool, Pools
from sensorproof.alignment.registration.phase_correlation import Grid


@dataclass(frozen=True)
class Piece:
    """The pools of the frames of one sequence that a shard has; other shards have the rest of the sequence."""

    sequence: int
    pools: Pools


@dataclass(frozen=True)
class Unregistered:
    """A frame that could not be registered: low frequencies of its tiles, by which others may match it."""

    position: int
    size: PairSize
    reference: NDArray[np.complex64]
    sensor: NDArray[np.complex64]


@dataclass
class PairPart:
    """One shard's frames of a pair."""

    frames: pd.DataFrame
    """A row per frame; see `PairTracker.frames`."""
    sequences: pd.DataFrame
    """A row for each sequence that lies in the shard as a whole."""
    whole: Pools
    """Over those sequences."""
    pieces: list[Piece] = field(default_factory=list)
    """Of sequences that the shard shares with others, in order."""
    unregistered: list[Unregistered] = field(default_factory=list)
    earlier: list[tuple[int, float, int]] = field(default_factory=list)
    """(position in the shard before, match, position of the reference in this shard that it matches)."""

    def to_tree(self) -> dict[str, Any]:
        """Return plain values, arrays and tables; see `cache.save_tree`."""
        return {
            "frames": self.frames,
            "sequences": self.sequences,
            "whole": _pools_to_tree(self.whole),
            "pieces": [{"sequence": piece.sequence, "pools": _pools_to_tree(piece.pools)} for piece in self.pieces],
            "unregistered": [
                {
                    "position": frame.position,
                    "size": _size_to_tree(frame.size),
                    # Complex numbers as pairs of real ones, which safetensors can store.
                    "reference": frame.reference.view(np.float32),
                    "sensor": frame.sensor.view(np.float32),
                }
                for frame in self.unregistered
            ],
            "earlier": [list(entry) for entry in self.earlier],
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> "PairPart":
        """Undo `to_tree`."""
        return cls(
            frames=tree["frames"],
            sequences=tree["sequences"],
            whole=_pools_of_tree(tree["whole"]),
            pieces=[Piece(piece["sequence"], _pools_of_tree(piece["pools"])) for piece in tree["pieces"]],
            unregistered=[
                Unregistered(
                    frame["position"],
                    _size_of_tree(frame["size"]),
                    frame["reference"].view(np.complex64),
                    frame["sensor"].view(np.complex64),
                )
                for frame in tree["unregistered"]
            ],
            earlier=[(position, match, other) for position, match, other in tree["earlier"]],
        )


def _size_to_tree(size: PairSize) -> dict[str, Any]:
    return {"grid": asdict(size[0]), "pixels_per_sample": size[1]}


def _size_of_tree(tree: dict[str, Any]) -> PairSize:
    grid = tree["grid"]
    sizes = {name: tuple(grid[name]) for name in ("image", "tile", "tops", "lefts")}
    return Grid(**sizes, step=grid["step"]), tree["pixels_per_sample"]


def _pools_to_tree(pools: Pools) -> list[dict[str, Any]]:
    return [
        {"size": _size_to_tree(size), "total": pool.total, "frames": pool.frames}
        for size, pool in pools.by_size.items()
    ]


def _pools_of_tree(tree: list[dict[str, Any]]) -> Pools:
    pools = Pools()
    for entry in tree:
        size = _size_of_tree(entry["size"])
        pools.by_size[size] = Pool(size[0], entry["total"], entry["frames"], size[1])
    return pools
