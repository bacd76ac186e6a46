"""Find the reference that an unregistered frame belongs to, by comparing all unregistered frames of a pair."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.phase_correlation import Grid, centering_signs

_HIGHEST_FREQUENCY = 0.25
"""Frequencies up to this one, in cycles per sample, are kept: the weight of the band leaves little beyond."""
_MEMORY_BYTES = 96 * 2**20
"""Memory that the stored frames of a pair may take: it must not grow with the batch."""
_CLEAR_SD = 4.0
"""Standard deviations by which the best match must exceed all others before it is confirmed by registration."""
Match = tuple[int, int]
"""Position of the sensor's frame, and the position of the reference that it may belong to."""


@dataclass
class UnregisteredFrames:
    """Tile spectra of frames that could not be registered. When memory is full they are compared and dropped."""

    grid: Grid
    """Of all frames."""
    positions: list[int] = field(default_factory=list)
    references: list[NDArray[np.complex64]] = field(default_factory=list)
    sensors: list[NDArray[np.complex64]] = field(default_factory=list)
    count: int = 0
    """All unregistered frames, those that were dropped included."""
    matches: list[Match] = field(default_factory=list)

    def add(self, position: int, reference: NDArray[np.complex64], sensor: NDArray[np.complex64]) -> None:
        """Add the `low_frequencies` of one frame."""
        self.count += 1
        self.positions.append(position)
        self.references.append(reference)
        self.sensors.append(sensor)
        if 2 * len(self.positions) * self.sensors[0].nbytes > _MEMORY_BYTES:
            self.compare()

    def compare(self) -> None:
        """Add pairs that are each other's best match at zero displacement to `matches`, and drop the frames."""
        if len(self.positions) > 1:
            signs = np.tile(low_frequencies(centering_signs(*self.grid.tile)[None]), len(self.grid.tops))
            # The correlation at zero displacement is the sum over all frequencies: one matrix product for all pairs.
            score = np.real((np.stack(self.sensors) * signs) @ np.stack(self.references).T)
            np.fill_diagonal(score, -np.inf)
            best, top = score.argmax(1), score.max(1)
            mutual = score.argmax(0)[best] == np.arange(len(best))
            # In a small set the matches themselves would widen the scatter that they must exceed.
            score[np.arange(len(best)), best] = -np.inf
            others = score[np.isfinite(score)]
            clear = top >= others.mean() + _CLEAR_SD * others.std() if len(best) > 9 else top > 0
            self.matches += [(self.positions[k], self.positions[best[k]]) for k in np.flatnonzero(mutual & clear)]
        self.positions, self.references, self.sensors = [], [], []


def low_frequencies(spectra: NDArray) -> NDArray:
    """Return the low frequencies of spectra (n, h, w) in one row."""
    rows, columns = (np.abs(np.fft.fftfreq(side)) <= _HIGHEST_FREQUENCY for side in spectra.shape[1:])
    return spectra[:, rows][:, :, columns].ravel()
