"""Break a sensor's raw image: noise at three levels, and the failures of `evaluation.failures`."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensorproof.auditing.frames import Statistics
from sensorproof.data.batch import Batch, Sensor
from sensorproof.data.images import read_image
from sensorproof.data.preprocessing import resize_image
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.failures import FAILURES, Context
from sensorproof.evaluation.noisy_modality import LEVELS, add_noise

Image = NDArray[np.float32]
"""(C, h, w) in the sensor's own units, NaN where invalid."""
NOISE: Final = "noise"
SILENT: Final = "silent"
_ELSEWHERE = ("frozen", "other_frame", "shifted")
"""Failures that bring their own invalid pixels along; the others leave those of the image as they are."""


class Corruption:
    """Breaks the images of a batch, the same way each time.

    Args:
        batch: the batch.
        statistics: of each sensor.
        rows: of the frames that other images are taken from.
        seed: of noise and of the choice of other images.
    """

    def __init__(self, batch: Batch, statistics: dict[str, Statistics], rows: list[int], seed: int = 0) -> None:
        self.batch, self.statistics, self.seed = batch, statistics, seed
        self.frames = batch.frames.iloc[rows].assign(row=rows)
        self.frames["stream"] = self.frames.site + "/" + self.frames.sequence
        self.names = sorted(batch.sensors)
        self._read = lru_cache(64)(self._read_image)

    def kinds(self, sensor: str) -> Iterator[tuple[str, str]]:
        """Yield (protocol, kind) of all ways to break a sensor; `frozen` needs a sequence of two or more frames."""
        frames = self.frames[self.frames[sensor] != ""]
        yield from ((NOISE, level) for level in LEVELS)
        for kind in FAILURES:
            if kind == "frozen" and not frames.stream.duplicated().any():
                continue
            if kind == "other_frame" and len(frames) < 2:
                continue
            yield SILENT, kind

    def apply(self, protocol: str, kind: str, sensor: str, row: int, pixels: Image) -> Image:
        """Return the broken image of one sensor in one frame.

        Args:
            protocol: NOISE or SILENT.
            kind: a level of noise, or the name of a failure.
            sensor: its name.
            row: of the frame in the batch.
            pixels: the sound image.
        """
        ways = [*LEVELS, *FAILURES]
        rng = np.random.default_rng([self.seed, self.names.index(sensor), ways.index(kind), row])
        if protocol == NOISE:
            own = self.statistics[sensor]
            return add_noise((pixels - own.mean) / own.std, kind, rng) * own.std + own.mean
        claimed = self.batch.sensors[sensor]
        low, high = claimed.range
        others = {
            "frozen": lambda: self._first(sensor, row, pixels),
            "other_frame": lambda: self._other(sensor, row, pixels),
        }
        shown = others[kind]() if kind in others else pixels
        scaled, shown = ((image - low) / np.float32(high - low) for image in (pixels, shown))
        context = Context(first=shown[None], before=shown[None], other=shown[None], rng=rng)
        broken = FAILURES[kind](scaled[None], context)[0]
        if kind not in _ELSEWHERE:
            broken = np.where(np.isnan(scaled), np.float32(np.nan), broken)
        return _avoid_nodata((broken * np.float32(high - low) + low).astype(np.float32), claimed)

    def _first(self, sensor: str, row: int, pixels: Image) -> Image:
        """Return the first image of the frame's sequence."""
        stream = self.frames.stream[self.frames.row == row].iloc[0]
        own = self.frames[(self.frames.stream == stream) & (self.frames[sensor] != "")]
        return self._image(sensor, int(own.row.iloc[0]), pixels)

    def _other(self, sensor: str, row: int, pixels: Image) -> Image:
        """Return an image of another sequence; of another frame where there is one sequence alone."""
        stream = self.frames.stream[self.frames.row == row].iloc[0]
        there = self.frames[(self.frames[sensor] != "") & (self.frames.row != row)]
        elsewhere = there[there.stream != stream]
        candidates = (there if elsewhere.empty else elsewhere).row.to_numpy()
        rng = np.random.default_rng([self.seed, self.names.index(sensor), row])
        return self._image(sensor, int(rng.choice(candidates)), pixels)

    def _image(self, sensor: str, row: int, pixels: Image) -> Image:
        """Return the image of another row at the size of this one; this one itself where that cannot be read."""
        image = self._read(sensor, row)
        return pixels if image is None else resize_image(image, pixels.shape[1:], self.batch.sensors[sensor])

    def _read_image(self, sensor: str, row: int) -> Image | None:
        try:
            paths = self.batch.image_paths(sensor, self.batch.frames[sensor].iloc[row])
            image = read_image(paths, self.batch.sensors[sensor])
        except SensorproofError:
            return None
        return image if np.isfinite(image).any() else None


def _avoid_nodata(pixels: Image, sensor: Sensor) -> Image:
    """Move values that mean "no data" by the smallest step: a broken sensor does not declare its pixels empty."""
    if sensor.nodata is None:
        return pixels
    empty = (pixels == np.float32(sensor.nodata)).all(axis=0)
    middle = np.float32(sum(sensor.range) / 2)
    return np.where(empty, np.nextafter(pixels, middle), pixels)
