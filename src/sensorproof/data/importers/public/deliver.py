"""DELIVER (Zhang et al., CVPR 2023): camera, depth, events and LiDAR, simulated, in five weathers and five failures."""

from pathlib import Path, PurePosixPath
from typing import cast

from sensorproof.data.file_reading import ImageReading, LabelReading
from sensorproof.data.frame_table import SPLITS, Split
from sensorproof.data.importers.public.discovery import frame_id, image_size, require
from sensorproof.data.importers.public.layout import FoundFrame, Layout, make_info, make_sensor, shifted_ids

TITLE, PAGE = "DELIVER", "https://jamycheung.github.io/DELIVER.html"
CLASSES = (
    "Building", "Fence", "Other", "Pedestrian", "Pole", "RoadLine", "Road", "SideWalk", "Vegetation", "Cars", "Wall",
    "TrafficSign", "Sky", "Ground", "Bridge", "RailTrack", "GroundRail", "TrafficLight", "Static", "Dynamic", "Water",
    "Terrain", "TwoWheeler", "Bus", "Truck",
)  # fmt: skip
FAILURES = ("motionblur", "overexposure", "underexposure", "lidarjitter", "eventlowres")
"""Parts of a path that name a failing sensor."""
_PARTS = {"depth": ("hha", "_depth"), "event": ("event", "_event"), "lidar": ("lidar", "_lidar")}
"""{sensor: its folder and the part of its file names, where the camera has `img` and `_rgb`}."""


def describe(root: Path) -> Layout:
    """Describe the data set in a folder that has img, hha, event, lidar and semantic.

    Raises:
        UsageError: the folder is not the data set's.
    """
    require(root, ["img"], TITLE, PAGE)
    paths = sorted(
        path.relative_to(root).as_posix() for split in SPLITS for path in root.glob(f"img/*/{split}/*/*.png")
    )
    size = image_size(root, paths, (1042, 1042))
    colours = ImageReading(bands=(0, 1, 2))
    resized = ImageReading(bands=(0, 1, 2), size=size)  # some events have a lower resolution
    sensors = {
        "camera": make_sensor("camera", 3, (0, 255), read=colours),
        "depth": make_sensor("depth", 3, (0, 255), read=colours),
        "event": make_sensor("event", 3, (0, 255), read=resized),
        "lidar": make_sensor("lidar", 3, (0, 255), read=colours),
    }
    label = LabelReading(band=0, values=shifted_ids(len(CLASSES)))
    return Layout(
        title=TITLE,
        page=PAGE,
        info=make_info("deliver", CLASSES, sensors, label=label, tags=("failure",)),
        frames=tuple(_frame(path, number) for number, path in enumerate(paths)),
        official={"train": 3983, "val": 2005, "test": 1897},
    )


def _frame(path: str, number: int) -> FoundFrame:
    """Return the frame of a camera image `img/<weather>/<split>/<scene>/<number>_rgb_front.png`."""
    _, weather, split, scene, name = PurePosixPath(path).parts
    failure = next((failure for failure in FAILURES if failure in f"{scene}/{name}"), "")
    files = {"camera": (path,)} | {sensor: (_sibling(path, *part),) for sensor, part in _PARTS.items()}
    return FoundFrame(
        frame_id=frame_id(f"{weather}-{scene}-{name.split('_')[0]}"),
        sequence=f"{weather}/{scene}",
        site=scene.removesuffix(f"_{failure}") if failure else scene,
        split=cast(Split, split),
        files=files,
        label=_sibling(path, "semantic", "_semantic"),
        time_s=float(number),
        condition=weather,
        tags={"failure": failure},
    )


def _sibling(path: str, folder: str, part: str) -> str:
    """Return the path of the same frame in another folder."""
    head, _, name = path.rpartition("/")
    return f"{folder}/{head.removeprefix('img/')}/{name.replace('_rgb', part)}"
