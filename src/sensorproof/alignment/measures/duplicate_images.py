"""Images that are in a batch twice: byte for byte those of another frame, whether or not the other sensors repeat too.

No two exposures of a camera are the same. Equal images are one file under two names, a buffer that was written again,
or a recording that has stopped; registration cannot tell where the image is that should be there.
"""

from array import array
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.measures.image_quality import change, thumbnail
from sensorproof.alignment.registration.edges import Image

COLUMNS = ("repeated", "all_repeated")
Images = Mapping[str, Image]


class DuplicateImages:
    """Remembers eight bytes an image. Those that look equal are read again, and compared in full."""

    def __init__(self, names: list[str]) -> None:
        self.digests: dict[str, array[int]] = {name: array("Q") for name in names}

    def add(self, thumbnails: Images) -> None:
        """Take in the next position's small images; a sensor that is absent or blank is left out of them."""
        for name, digests in self.digests.items():
            digests.append(digest(thumbnails[name]) if name in thumbnails else 0)

    def columns(
        self, look: Callable[[int], Images], sequence: NDArray[np.int64], measurable: Callable[[str, int], bool]
    ) -> pd.DataFrame:
        """position, sensor and COLUMNS of the frames that repeat others.

        repeated is how much the other sensors have changed between the two frames: above what counts as motion, the
        image is not of its time. It stands at the later frame, or at the one whose image cannot be registered. Next
        to each other in a sequence, such frames are frozen, and told by that. all_repeated is 1 for the reference
        where every sensor repeats the same earlier frame.

        Args:
            look: position -> the images there.
            sequence: (N,) number of the sequence at each position.
            measurable: whether a sensor's image at a position can be registered.
        """
        stopped = self._of_all()
        pairs: dict[tuple[int, int], list[str]] = {pair: [] for pair in stopped}
        for name in self.digests:
            for place, earlier in self._of_sensor(name, sequence):
                if (place, earlier) not in stopped:
                    pairs.setdefault((place, earlier), []).append(name)
        rows: list[dict[str, Any]] = []
        seen: tuple[int, Images] = (-1, {})
        for (place, earlier), names in sorted(pairs.items(), key=lambda item: item[0][::-1]):
            seen = seen if seen[0] == earlier else (earlier, look(earlier))
            one, other = seen[1], look(place)
            if not names and set(one) == set(other) and all(equal(one[n], other[n]) for n in one):
                rows.append({"position": place, "sensor": next(iter(self.digests)), "all_repeated": 1.0})
            for name in names:
                if equal(one[name], other[name]) and np.isfinite(moved := motion(one, other, name)):
                    lone = measurable(name, place) and not measurable(name, earlier)
                    rows.append({"position": earlier if lone else place, "sensor": name, "repeated": moved})
        table = pd.DataFrame(rows, columns=["position", "sensor", *COLUMNS])
        return table.groupby(["position", "sensor"], as_index=False).max().astype(dict.fromkeys(COLUMNS, float))

    def _of_sensor(self, name: str, sequence: NDArray[np.int64]) -> list[tuple[int, int]]:
        """(position, earlier position) where a sensor's images look equal, neighbours in a sequence left out."""
        digests = np.array(self.digests[name], np.uint64)
        return [
            (place, earlier)
            for place, earlier in repeated(digests)
            if digests[place - 1] != digests[place] or sequence[place - 1] != sequence[place]
        ]

    def _of_all(self) -> set[tuple[int, int]]:
        """The same where all of a frame's images look equal, neighbours included."""
        joint = np.stack([np.array(each, np.uint64) for each in self.digests.values()])
        _, number = np.unique(joint, axis=1, return_inverse=True)
        return set(repeated(np.where(joint.any(0), number.ravel() + 1, 0).astype(np.uint64)))


def digest(image: Image) -> int:
    """A number above 0 for the bytes of an image."""
    return int.from_bytes(blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8).digest()) | 1


def repeated(digests: NDArray[np.uint64]) -> list[tuple[int, int]]:
    """(position, first position with the same digest) of all that are not the first; 0 is no digest."""
    _, first, number = np.unique(digests, return_index=True, return_inverse=True)
    earlier = first[number.ravel()]
    places = np.flatnonzero((digests != 0) & (earlier < np.arange(len(digests))))
    return [(int(place), int(earlier[place])) for place in places]


def equal(one: Image, other: Image) -> bool:
    """Whether two images are the same to the bit."""
    return np.array_equal(one, other, equal_nan=True)


def motion(one: Images, other: Images, apart_from: str) -> float:
    """The largest change of any other sensor; NaN where there is none to tell."""
    moved = [change(thumbnail(one[n]), thumbnail(other[n])) for n in one if n != apart_from and n in other]
    return max((each for each in moved if np.isfinite(each)), default=np.nan)
