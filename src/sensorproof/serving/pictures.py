"""The three pictures of a predicted frame: class ids, confidence, and the classes over what a sensor saw."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sensorproof.files import atomic_file
from sensorproof.models import ModelDescription
from sensorproof.reporting.overlay import draw_overlay
from sensorproof.reporting.palette import class_colors, rgb_table
from sensorproof.serving.predictor import Prediction

FOLDERS = ("labels", "confidence", "overlay")
CONFIDENCE_SCALE = 65535
"""The value of a confidence of 1 in its picture of 16 bits."""
_QUALITY = 90
"""Of overlays, as JPEG."""


def picture_files(labels: str) -> tuple[str, str, str]:
    """Return the files of a frame's labels, confidence and overlay, given the first, `labels/<name>.png`."""
    name = PurePosixPath(labels).stem if labels.endswith(".png") else labels
    return labels, f"confidence/{name}.png", f"overlay/{name}.jpg"


def color_table(description: ModelDescription) -> NDArray[np.uint8]:
    """Return (256, 3): the RGB colour of each class id, black for none."""
    table = np.zeros((256, 3), np.uint8)
    table[[each.id for each in description.classes]] = rgb_table(class_colors([c.name for c in description.classes]))
    return table


def write_pictures(
    root: Path, labels: str, prediction: Prediction, images: Mapping[str, NDArray[np.float32]], model: ModelDescription
) -> None:
    """Write the pictures of one frame, each of them whole or not at all.

    Args:
        root: the folder that holds FOLDERS.
        labels: the file of the label picture, relative to it.
        prediction: what to draw.
        images: what it was made from, {sensor: (C, h, w)} in own units, NaN where invalid.
        model: its sensors and classes. The overlay shows the reference sensor, or the first that was used.
    """
    files = [root / file for file in picture_files(labels)]
    shown = model.reference if model.reference in prediction.used else prediction.used[0]
    confidence = np.round(prediction.confidence.astype(np.float64).clip(0, 1) * CONFIDENCE_SCALE).astype(np.uint16)
    overlay = draw_overlay(images[shown], model.sensors[shown], prediction.labels, color_table(model))
    with atomic_file(files[0]) as temporary:
        Image.fromarray(prediction.labels).save(temporary)
    with atomic_file(files[1]) as temporary:
        Image.fromarray(confidence).save(temporary, compress_level=1)  # smaller takes several times as long
    with atomic_file(files[2]) as temporary:
        overlay.save(temporary, quality=_QUALITY, subsampling=0)
