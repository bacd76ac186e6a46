"""Break a sensor's raw image: noise at three levels, failures, degradations by severity, values that are missing."""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sensorproof.auditing.frames import Statistics
from sensorproof.data.batch import Batch, Sensor
from sensorproof.data.images import read_image
from sensorproof.data.preprocessing import resize_image
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.degradations import STREAM, degradation_names, degrade, earlier_place
from sensorproof.evaluation.failures import FAILURES, Context
from sensorproof.evaluation.noisy_modality import LEVELS, add_noise

Image = NDArray[np.float32]
"""(C, h, w) in the sensor's own units, NaN where invalid."""
NOISE: Final = "noise"
SILENT: Final = "silent"
DEGRADATIONS: Final = "degradations"
RMM: Final = "rmm"
AuditProtocol = Literal["noise", "silent", "degradations", "rmm"]
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

    def kinds(self, sensor: str, protocols: Collection[str], severities: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Yield (protocol, kind) of all ways to break a sensor; what shows an earlier image needs a sequence of two."""
        frames = self.frames[self.frames[sensor] != ""]
        streams = frames.stream.duplicated().any()
        if NOISE in protocols:
            yield from ((NOISE, level) for level in LEVELS)
        for kind in FAILURES if SILENT in protocols else ():
            if (kind == "frozen" and not streams) or (kind == "other_frame" and len(frames) < 2):
                continue
            yield SILENT, kind
        for name in degradation_names(self.batch.sensors[sensor].kind) if DEGRADATIONS in protocols else ():
            if streams or name not in STREAM:
                yield from ((DEGRADATIONS, f"{name} {severity}") for severity in severities)

    def apply(self, protocol: str, kind: str, sensor: str, row: int, pixels: Image) -> Image:
        """Return the broken image of one sensor in one frame.

        Args:
            protocol: NOISE, SILENT or DEGRADATIONS.
            kind: a level of noise, the name of a failure, or a degradation and its severity.
            sensor: its name.
            row: of the frame in the batch.
            pixels: the sound image.
        """
        if protocol == DEGRADATIONS:
            return self._degrade(kind, sensor, row, pixels)
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

    def _degrade(self, kind: str, sensor: str, row: int, pixels: Image) -> Image:
        name, severity = kind.split(" ")
        if name in STREAM:
            return self._earlier(name, int(severity), sensor, row, pixels)
        claimed = self.batch.sensors[sensor]
        low, high = claimed.range
        rng = np.random.default_rng([self.seed, self.names.index(sensor), row, *name.encode()])
        scaled = ((pixels - low) / np.float32(high - low)).astype(np.float32)
        broken = degrade(claimed.kind, name, scaled, int(severity), rng)
        return _avoid_nodata((broken * np.float32(high - low) + low).astype(np.float32), claimed)

    def thin(self, sensor: str, share: float, row: int, pixels: Image) -> Image:
        """Set each value to the sensor's mean in the batch with a probability; invalid pixels stay so."""
        rng = np.random.default_rng([self.seed, self.names.index(sensor), row, *RMM.encode()])
        missing = rng.random(pixels.shape, dtype=np.float32) < share
        return np.where(missing & np.isfinite(pixels), self.statistics[sensor].mean, pixels).astype(np.float32)

    def _earlier(self, name: str, severity: int, sensor: str, row: int, pixels: Image) -> Image:
        """Return an earlier image of the frame's sequence; the frame's own where that lacks the sensor."""
        stream = self.frames[self.frames.stream == self.frames.stream[self.frames.row == row].iloc[0]]
        place = np.array([stream.row.tolist().index(row)])
        shown = stream.iloc[int(earlier_place(name, severity, place)[0])]
        return self._image(sensor, int(shown.row), pixels) if shown[sensor] else pixels

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
