"""MFNet (Ha et al., IROS 2017): camera and thermal camera, urban scenes by day and night."""

from pathlib import Path

from sensorproof.data.file_reading import ImageReading
from sensorproof.data.importers.public.discovery import block, frame_id, read_lists, require
from sensorproof.data.importers.public.layout import FoundFrame, Layout, make_info, make_sensor

TITLE, PAGE = "MFNet", "https://www.mi.t.u-tokyo.ac.jp/static/projects/mil_multispectral/"
CLASSES = ("unlabeled", "car", "person", "bike", "curve", "car_stop", "guardrail", "color_cone", "bump")
_CONDITIONS = {"D": "day", "N": "night"}
"""{the last letter of a frame's name: when it was taken}."""


def describe(root: Path) -> Layout:
    """Describe the data set in a folder that has `images` of four channels, or the spread with `rgb` and `ther`.

    Raises:
        UsageError: the folder is not the data set's.
        BatchError: a list of frames cannot be read.
    """
    separate = (root / "rgb").is_dir() and not (root / "images").is_dir()
    require(root, ["rgb" if separate else "images", "train.txt", "val.txt", "test.txt"], TITLE, PAGE)
    thermal_band = 0 if separate else 3
    sensors = {
        "camera": make_sensor("camera", 3, (0, 255), read=ImageReading(bands=(0, 1, 2))),
        "thermal": make_sensor("thermal", 1, (0, 255), read=ImageReading(bands=(thermal_band,))),
    }
    listed = read_lists(root, {split: f"{split}.txt" for split in ("train", "val", "test")})
    return Layout(
        title=TITLE,
        page=PAGE,
        info=make_info("mfnet", CLASSES, sensors),
        frames=tuple(
            FoundFrame(
                frame_id=frame_id(name),
                sequence=f"{_CONDITIONS.get(name[-1:], 'all')}-{block(name)}",
                site="all",
                split=split,
                files={
                    "camera": (f"rgb/{name}.jpg" if separate else f"images/{name}.png",),
                    "thermal": (f"ther/{name}.jpg" if separate else f"images/{name}.png",),
                },
                label=f"labels/{name}.png",
                time_s=float(number),
                condition=_CONDITIONS.get(name[-1:], ""),
            )
            for number, (split, name) in enumerate(listed)
        ),
        official={"train": 784, "val": 392, "test": 393},
    )
