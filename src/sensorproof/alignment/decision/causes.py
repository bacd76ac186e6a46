"""Name the cause of images that cannot be registered: mirrored, turned, or a label of a single class."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.frames import RawFrame, Reader, in_order, read_frame
from sensorproof.alignment.images import Image
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.registration.tile_registration import register
from sensorproof.data.batch import Batch
from sensorproof.data.frame_table import LABEL
from sensorproof.data.orientation import upright
from sensorproof.settings import ContentChecks

_FRAMES = 8
"""Frames of a sensor that are looked at, evenly spread over those that cannot be registered."""
_AGREEING = 2
"""Frames that must show the same cause, where as many are looked at: a single one may register by chance."""
_TURNS = {
    2: "mirrored left to right",
    4: "mirrored top to bottom",
    3: "turned by 180 degrees",
    6: "turned by 90 degrees",
    8: "turned by 270 degrees",
    5: "mirrored and turned by 90 degrees",
    7: "mirrored and turned by 270 degrees",
}
"""{the orientation that would put the image right: what is wrong with it}; see `data.orientation`."""
_ONE_CLASS = "without edges: a single class"


def find_causes(batch: Batch, table: pd.DataFrame, settings: ContentChecks, read: Reader = read_frame) -> list[str]:
    """Look for the cause in some frames of every sensor that could not be registered to the reference.

    Args:
        batch: the batch.
        table: its measures, a row per frame and sensor.
        settings: of the registration.
        read: how a frame is read.

    Returns:
        A line for every cause of a sensor that enough frames show.
    """
    order, _ = in_order(batch)
    pairs = table[(table.sensor != table.reference) & table.height.notna() & table.shift_y_px.isna()]
    lines = []
    for sensor, rows in pairs.groupby("sensor", sort=False):
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(_FRAMES, len(rows))).round().astype(int))
        causes: Counter[str] = Counter()
        examples: dict[str, str] = {}
        for position, frame_id in rows[["position", "frame_id"]].iloc[chosen].to_numpy().tolist():
            frame = read(batch, int(order[int(position)]))
            for cause in _causes_of(batch, frame, str(sensor), settings):
                causes[cause] += 1
                examples.setdefault(cause, str(frame_id))
        lines += [
            f"{sensor}: looks {cause} in {count} of {len(chosen)} unregistered frames that were looked at, such as "
            f"{examples[cause]}"
            for cause, count in causes.most_common()
            if count >= min(_AGREEING, len(chosen))
        ]
    return lines


def _causes_of(batch: Batch, frame: RawFrame, sensor: str, settings: ContentChecks) -> Iterator[str]:
    """Yield the causes that one frame shows: at most one turn, the one that registers best."""
    if sensor == LABEL:
        if frame.label is None:
            return
        if len(np.unique(frame.label[frame.label != batch.info.ignore_index])) <= 1:
            yield _ONE_CLASS
            return
    best = max(
        ((_match_of(batch, frame, sensor, orientation, settings), orientation) for orientation in _TURNS),
        default=(0.0, 0),
    )
    if best[0] > 0:
        yield _TURNS[best[1]]


def _match_of(batch: Batch, frame: RawFrame, sensor: str, orientation: int, settings: ContentChecks) -> float:
    """Return how well the frame registers once the sensor's image is turned; 0 if it does not."""
    images, label = dict(frame.images), frame.label
    if sensor == LABEL:
        label = None if label is None else np.ascontiguousarray(upright(label, orientation))
    elif sensor in images:
        images[sensor] = _turned(images[sensor], orientation)
    features = FrameFeatures(batch.info, images, label, settings)
    grid = features.grid(sensor)
    if grid is None:
        return 0.0
    spectra = features.spectra_of(features.reference, grid), features.spectra_of(sensor, grid)
    registration, _ = register(*spectra, features.edges_of(sensor, grid), grid, settings)
    return 0.0 if registration.shift is None else registration.match


def _turned(image: Image, orientation: int) -> NDArray[np.float32]:
    """Turn an image (C, H, W)."""
    turned = upright(np.moveaxis(image, 0, -1), orientation)
    return np.ascontiguousarray(np.moveaxis(turned, -1, 0))
