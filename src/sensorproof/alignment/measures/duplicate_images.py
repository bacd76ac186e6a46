"""Images that occur twice in a batch, equal byte by byte.

No two exposures of a camera are the same. Equal images are one file under two names, a buffer that was written twice,
or a recording that has stopped. Registration cannot tell at which of the two frames the image was recorded.
"""

from array import array
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.images import Image
from sensorproof.alignment.measures.columns import column_names
from sensorproof.alignment.measures.image_quality import image_change, thumbnail

_COLUMNS = column_names("duplicate images")
Images = Mapping[str, Image]
"""{sensor: (C, H, W)}."""
_PlacePair = tuple[int, int]
"""Position of a frame, and an earlier position whose image looks the same."""


class DuplicateImages:
    """Remembers eight bytes per image. Images with equal digests are read again and compared in full.

    Args:
        sensors: names, the reference first.
    """

    def __init__(self, sensors: list[str]) -> None:
        self._digests: dict[str, array[int]] = {name: array("Q") for name in sensors}

    def add(self, thumbnails: Images) -> None:
        """Add the thumbnails of the next position; without those of sensors that are absent or blank."""
        for name, digests in self._digests.items():
            digests.append(_digest(thumbnails[name]) if name in thumbnails else 0)

    @property
    def digests(self) -> dict[str, NDArray[np.uint64]]:
        """{sensor: the digest of each position so far, 0 if there is none}."""
        return {name: np.array(digests, np.uint64) for name, digests in self._digests.items()}

    def absorb(self, digests: Mapping[str, NDArray[np.uint64]]) -> None:
        """Add the digests of the next shard."""
        for name, values in digests.items():
            self._digests[name].extend(values.tolist())

    def measure(
        self, read: Callable[[int], Images], sequence: NDArray[np.int64], registered: Callable[[str, int], bool]
    ) -> pd.DataFrame:
        """Measure the frames that repeat others.

        `repeated` is how much the other sensors changed between the two frames; if that is motion, the image belongs
        to another time. It is reported at the later frame, or at the one whose image cannot be registered. Equal
        neighbours in a sequence are frozen images, which `image_change` finds. `all_repeated` is 1 for the reference
        if every sensor repeats the same earlier frame.

        Args:
            read: position -> the images there.
            sequence: (N,) number of the sequence at each position.
            registered: (sensor, position) -> whether its image there could be registered.

        Returns:
            The columns position, sensor, repeated and all_repeated.
        """
        repeated_by_all = self._repeated_by_all()
        pairs: dict[_PlacePair, list[str]] = {pair: [] for pair in repeated_by_all}
        for name in self._digests:
            for pair in self._repeated_by(name, sequence):
                if pair not in repeated_by_all:
                    pairs.setdefault(pair, []).append(name)
        rows: list[dict[str, Any]] = []
        last_read: tuple[int, Images] = (-1, {})
        for (place, earlier), names in sorted(pairs.items(), key=lambda item: item[0][::-1]):
            last_read = last_read if last_read[0] == earlier else (earlier, read(earlier))
            before, after = last_read[1], read(place)
            if not names and set(before) == set(after) and all(_equal(before[n], after[n]) for n in before):
                rows.append({"position": place, "sensor": next(iter(self._digests)), "all_repeated": 1.0})
            for name in names:
                if not _equal(before[name], after[name]):
                    continue
                motion = _motion(before, after, name)
                if np.isfinite(motion):
                    earlier_is_wrong = registered(name, place) and not registered(name, earlier)
                    position = earlier if earlier_is_wrong else place
                    rows.append({"position": position, "sensor": name, "repeated": motion})
        table = pd.DataFrame(rows, columns=["position", "sensor", *_COLUMNS])
        return table.groupby(["position", "sensor"], as_index=False).max().astype(dict.fromkeys(_COLUMNS, float))

    def _repeated_by(self, name: str, sequence: NDArray[np.int64]) -> list[_PlacePair]:
        """Return where a sensor's images look equal, neighbours in a sequence left out."""
        digests = np.array(self._digests[name], np.uint64)
        return [
            (place, earlier)
            for place, earlier in _repeated_digests(digests)
            if digests[place - 1] != digests[place] or sequence[place - 1] != sequence[place]
        ]

    def _repeated_by_all(self) -> set[_PlacePair]:
        """Return where all images of two frames look equal, neighbours included."""
        joint = np.stack([np.array(digests, np.uint64) for digests in self._digests.values()])
        _, number = np.unique(joint, axis=1, return_inverse=True)
        return set(_repeated_digests(np.where(joint.any(0), number.ravel() + 1, 0).astype(np.uint64)))


def _digest(image: Image) -> int:
    """Return a number above 0 for the bytes of an image."""
    return int.from_bytes(blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8).digest()) | 1


def _repeated_digests(digests: NDArray[np.uint64]) -> list[_PlacePair]:
    """Return (position, first position with the same digest) of all that are not the first; 0 is no digest."""
    _, first, number = np.unique(digests, return_index=True, return_inverse=True)
    earlier = first[number.ravel()]
    places = np.flatnonzero((digests != 0) & (earlier < np.arange(len(digests))))
    return [(int(place), int(earlier[place])) for place in places]


def _equal(before: Image, after: Image) -> bool:
    """Return whether two images are equal to the bit."""
    return np.array_equal(before, after, equal_nan=True)


def _motion(before: Images, after: Images, apart_from: str) -> float:
    """Return the largest change of any other sensor; NaN if none can be compared."""
    changes = [
        image_change(thumbnail(before[n]), thumbnail(after[n])) for n in before if n != apart_from and n in after
    ]
    return max((change for change in changes if np.isfinite(change)), default=np.nan)
