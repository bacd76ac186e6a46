"""FMB (Liu et al., ICCV 2023): visible and infrared camera."""

from pathlib import Path

from sensorproof.data.file_reading import ImageReading, LabelReading
from sensorproof.data.importers.public.discovery import block, frame_id, read_lists, require
from sensorproof.data.importers.public.layout import FoundFrame, Layout, make_info, make_sensor

TITLE, PAGE = "FMB", "https://github.com/JinyuanLiu-CV/SegMiF"
CLASSES = (
    "background", "Road", "Sidewalk", "Building", "Lamp", "Sign", "Vegetation", "Sky", "Person", "Car", "Truck",
    "Bus", "Motorcycle", "Bicycle", "Pole",
)  # fmt: skip
"""The background, id 0, is scored."""


def describe(root: Path) -> Layout:
    """Describe the data set in a folder that has Visible, Infrared, Label, train.txt and test.txt.

    Raises:
        UsageError: the folder is not the data set's.
        BatchError: a list of frames cannot be read.
    """
    require(root, ["Visible", "train.txt", "test.txt"], TITLE, PAGE)
    sensors = {
        "camera": make_sensor("camera", 3, (0, 255), read=ImageReading(bands=(0, 1, 2))),
        "infrared": make_sensor("thermal", 1, (0, 255), read=ImageReading(bands=(0,))),
    }
    listed = read_lists(root, {"train": "train.txt", "test": "test.txt"})
    return Layout(
        title=TITLE,
        page=PAGE,
        info=make_info("fmb", CLASSES, sensors, label=LabelReading(band=0)),
        frames=tuple(
            FoundFrame(
                frame_id=frame_id(name),
                sequence=block(name),
                site="all",
                split=split,
                files={"camera": (f"Visible/{name}.png",), "infrared": (f"Infrared/{name}.png",)},
                label=f"Label/{name}.png",
                time_s=float(number),
            )
            for number, (split, name) in enumerate(listed)
        ),
        official={"train": 1220, "test": 280},
    )
