"""Whose partner is a frame that matches its own reference no longer? Lost frames of a pair against each other."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.phase_correlation import Grid, Spectra, centering

CUT = 0.25
"""Cycles a sample up to which frequencies are kept: the band weight leaves little beyond."""
_ROOM = 96 * 2**20
"""Bytes that the kept frames of a pair may take: memory must not grow with the batch."""
_STANDS_OUT = 4.0
"""Standard deviations by which the best partner must stand out of all others before it is looked at closely."""
Pair = tuple[int, int]
"""The sensor's frame at one position, and the position whose reference it may belong to."""


@dataclass
class LostFrames:
    """Tile spectra of frames whose own pair could not be registered. When the room is full they are compared and go."""

    grid: Grid
    """Of all of them."""
    positions: list[int] = field(default_factory=list)
    references: list[NDArray[np.complex64]] = field(default_factory=list)
    sensors: list[NDArray[np.complex64]] = field(default_factory=list)
    count: int = 0
    """Of all lost frames, those that went included."""
    found: list[Pair] = field(default_factory=list)

    def add(self, position: int, reference: Spectra, sensor: Spectra) -> None:
        """Take in one frame's templates and spectra (n, h, w)."""
        self.count += 1
        self.positions.append(position)
        self.references.append(cut(reference))
        self.sensors.append(cut(sensor))
        if 2 * len(self.positions) * self.sensors[0].nbytes > _ROOM:
            self.compare()

    def compare(self) -> None:
        """Find pairs that are each other's best match at zero displacement, by a matrix product; forget the frames."""
        if len(self.positions) > 1:
            signs = np.tile(cut(centering(*self.grid.tile)[None]), len(self.grid.tops))
            score = np.real((np.stack(self.sensors) * signs) @ np.stack(self.references).T)
            np.fill_diagonal(score, -np.inf)
            best, top = score.argmax(1), score.max(1)
            mutual = score.argmax(0)[best] == np.arange(len(best))
            # Of few frames the matches themselves would be much of the scatter that they must stand out of.
            score[np.arange(len(best)), best] = -np.inf
            others = score[np.isfinite(score)]
            clear = top >= others.mean() + _STANDS_OUT * others.std() if len(best) > 9 else top > 0
            self.found += [(self.positions[k], self.positions[best[k]]) for k in np.flatnonzero(mutual & clear)]
        self.positions, self.references, self.sensors = [], [], []


def cut(spectra: NDArray) -> NDArray:
    """The frequencies up to CUT of (n, h, w), in one row."""
    rows, columns = (np.abs(np.fft.fftfreq(side)) <= CUT for side in spectra.shape[1:])
    return spectra[:, rows][:, :, columns].ravel()
