"""NYUDepthv2 (Silberman et al., ECCV 2012): camera, and depth as HHA, of rooms; 40 classes."""

from pathlib import Path

from sensorproof.data.file_reading import ImageReading, LabelReading
from sensorproof.data.importers.public.discovery import block, frame_id, read_lists, require
from sensorproof.data.importers.public.layout import FoundFrame, Layout, make_info, make_sensor, shifted_ids

TITLE, PAGE = "NYUDepthv2", "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor_mat", "clothes", "ceiling", "books",
    "refrigerator", "television", "paper", "towel", "shower_curtain", "box", "whiteboard", "person", "night_stand",
    "toilet", "sink", "lamp", "bathtub", "bag", "otherstructure", "otherfurniture", "otherprop",
)  # fmt: skip


def describe(root: Path) -> Layout:
    """Describe the data set in a folder that has RGB, HHA, Label, train.txt and test.txt.

    Raises:
        UsageError: the folder is not the data set's.
        BatchError: a list of frames cannot be read.
    """
    require(root, ["RGB", "train.txt", "test.txt"], TITLE, PAGE)
    colours = ImageReading(bands=(0, 1, 2))
    sensors = {
        "camera": make_sensor("camera", 3, (0, 255), read=colours),
        "depth": make_sensor("depth", 3, (0, 255), read=colours),
    }
    listed = read_lists(root, {"train": "train.txt", "test": "test.txt"})
    return Layout(
        title=TITLE,
        page=PAGE,
        info=make_info("nyudepthv2", CLASSES, sensors, label=LabelReading(values=shifted_ids(len(CLASSES)))),
        frames=tuple(
            FoundFrame(
                frame_id=frame_id(name),
                sequence=block(name),
                site="all",
                split=split,
                files={"camera": (f"RGB/{name}.jpg",), "depth": (f"HHA/{name}.jpg",)},
                label=f"Label/{name}.png",
                time_s=float(number),
            )
            for number, (split, name) in enumerate(listed)
        ),
        official={"train": 795, "test": 654},
    )
