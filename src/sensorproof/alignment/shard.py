"""The measures of some consecutive frames of a batch, in a form that can be stored and joined."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.pairs.pair_part import PairPart


@dataclass
class Shard:
    """The measures of some consecutive frames; positions count from the first frame of the batch."""

    rows: pd.DataFrame
    statistics: pd.DataFrame
    sizes: dict[str, dict[tuple[int, int], int]]
    """{sensor or LABEL: {height and width: images}}."""
    digests: dict[str, NDArray[np.uint64]]
    """{sensor: of each frame's image, 0 if it is absent or blank}."""
    contents: tuple[str, ...]
    """For each frame a hash of what its images show; empty for fewer than two images."""
    pairs: dict[str, PairPart]

    def to_tree(self) -> dict[str, Any]:
        """Return plain values, arrays and tables; see `cache.save_tree`."""
        return {
            "rows": self.rows,
            "statistics": self.statistics,
            "sizes": {name: [[*size, n] for size, n in counts.items()] for name, counts in self.sizes.items()},
            "digests": self.digests,
            "contents": self.contents,
            "pairs": {name: part.to_tree() for name, part in self.pairs.items()},
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> "Shard":
        """Undo `to_tree`."""
        return cls(
            rows=tree["rows"],
            statistics=tree["statistics"],
            sizes={name: {(h, w): n for h, w, n in counts} for name, counts in tree["sizes"].items()},
            digests=tree["digests"],
            contents=tuple(tree["contents"]),
            pairs={name: PairPart.from_tree(part) for name, part in tree["pairs"].items()},
        )
