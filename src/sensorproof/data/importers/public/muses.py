"""MUSES (Brödermann et al., ECCV 2024): camera, events, LiDAR and radar of driving in bad weather and at night."""

from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from sensorproof.data.batch import Calibration
from sensorproof.data.file_reading import ImageReading
from sensorproof.data.frame_table import Split
from sensorproof.data.importers.public.discovery import frame_id, image_size, require
from sensorproof.data.importers.public.layout import (
    FoundFrame,
    Layout,
    Projection,
    identity_pose,
    make_info,
    make_sensor,
)
from sensorproof.data.importers.public.muses_raw import EMPTY, EventProjection, LidarProjection, RadarProjection
from sensorproof.data.importers.public.projection import PinholeView, scale_intrinsics
from sensorproof.errors import BatchError

TITLE, PAGE = "MUSES", "https://muses.ethz.ch"
CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic_light", "traffic_sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
_SIZE = (1080, 1920)
"""Height and width of the camera's images, at which it was calibrated."""
_PROJECTED = "projected_to_rgb"
"""The folder in which the data set's kit puts its projections."""
_POINTS = (0.0, 65535.0)


class _Scene(BaseModel):
    """What is used of one entry of meta.json."""

    model_config = ConfigDict(extra="ignore")

    split: Split
    weather: str
    time_of_day: str
    path_to_frame_camera: str
    path_to_event_camera: str = ""
    path_to_lidar: str = ""
    path_to_radar: str = ""
    frame_camera_exposure_start_timestamp_us: int | None = None
    frame_camera_exposure_end_timestamp_us: int | None = None

    @property
    def time_s(self) -> float | None:
        """The middle of the camera's exposure."""
        start, end = self.frame_camera_exposure_start_timestamp_us, self.frame_camera_exposure_end_timestamp_us
        return None if start is None or end is None else (start + end) / 2e6


class _ScenesFile(RootModel[dict[str, _Scene]]):
    """meta.json: {name: scene}."""


_Row3 = Annotated[list[float], Field(min_length=3, max_length=3)]
_Row4 = Annotated[list[float], Field(min_length=4, max_length=4)]
_Matrix3 = Annotated[list[_Row3], Field(min_length=3, max_length=3)]
_Matrix4 = Annotated[list[_Row4], Field(min_length=4, max_length=4)]


class _Intrinsics(BaseModel):
    K: _Matrix3


class _CalibrationFile(BaseModel):
    """What is used of calib.json."""

    model_config = ConfigDict(extra="ignore")

    intrinsics: dict[str, _Intrinsics]
    extrinsics: dict[str, _Matrix4]


_File = TypeVar("_File", bound=BaseModel)


def describe(root: Path) -> Layout:
    """Describe the data set in a folder that has meta.json, calib.json and the sensors' folders.

    Projections of the data set's own kit are used where they are, as PNG; otherwise raw files are projected.

    Raises:
        UsageError: the folder is not the data set's.
        BatchError: meta.json or calib.json is not as it must be.
    """
    require(root, ["meta.json", "calib.json", "frame_camera"], TITLE, PAGE)
    scenes = _read_scenes(root)
    frames = tuple(_frame(root, name, scene, number) for number, (name, scene) in enumerate(scenes.items()))
    if any("event" in frame.raw for frame in frames):
        import h5py  # noqa: F401 - a missing package is to stop the import now, not at the first file
    times = [scene.time_s for scene in scenes.values() if scene.time_s is not None]
    size = image_size(root, [scene.path_to_frame_camera for scene in scenes.values()], _SIZE)
    projections, calibrations = _calibrate(root / "calib.json", size, min(times, default=None))
    # A PNG of the kit has its channels in the order of OpenCV.
    sensors = {
        "camera": make_sensor(
            "camera", 3, (0, 255), calibration=calibrations["camera"], read=ImageReading(bands=(0, 1, 2))
        ),
        "event": make_sensor("event", 2, (0, 255), calibration=calibrations["event"], read=ImageReading(bands=(2, 1))),
        "lidar": make_sensor(
            "lidar", 3, _POINTS, nodata=EMPTY, calibration=calibrations["lidar"], read=ImageReading(bands=(2, 1, 0))
        ),
        "radar": make_sensor(
            "radar", 2, _POINTS, nodata=EMPTY, calibration=calibrations["radar"], read=ImageReading(bands=(2, 1))
        ),
    }
    return Layout(
        title=TITLE,
        page=PAGE,
        info=make_info("muses", CLASSES, sensors, tags=("light",)),
        frames=frames,
        official={"train": 1500, "val": 250, "test": 750},
        projections=projections,
    )


def _read_scenes(root: Path) -> dict[str, _Scene]:
    """Read meta.json: {name: scene}, in the order of the names."""
    path = root / "meta.json"
    scenes = _validate(_ScenesFile, path)
    return dict(sorted(scenes.root.items()))


def _calibrate(
    path: Path, size: tuple[int, int], first_s: float | None
) -> tuple[dict[str, Projection], dict[str, Calibration | None]]:
    """Read calib.json; return how raw files are projected, and the calibrations of batch.yaml.

    The projected images are in the camera's view, and so have its intrinsics. The data set does not say when it was
    calibrated: the day of its first frame stands for that; without times there is no calibration.
    """
    content = _validate(_CalibrationFile, path)
    try:
        camera, event = (np.array(content.intrinsics[name].K) for name in ("rgb", "event"))
        poses = {name: np.array(content.extrinsics[f"{name}2rgb"]) for name in ("event", "lidar", "radar")}
    except KeyError as error:
        raise BatchError(path, f"lacks {error}", f"get it again from {PAGE}") from error
    view = PinholeView(scale_intrinsics(camera, size, _SIZE), size)
    projections: dict[str, Projection] = {
        "event": EventProjection(view, event, poses["event"]),
        "lidar": LidarProjection(view, poses["lidar"]),
        "radar": RadarProjection(view, poses["radar"]),
    }
    flat = {"camera": identity_pose()} | {name: tuple(map(float, pose.ravel())) for name, pose in poses.items()}
    if first_s is None:
        return projections, dict.fromkeys(flat)
    captured: date = datetime.fromtimestamp(first_s, UTC).date()
    intrinsics = tuple(map(float, view.intrinsics.ravel()))
    return projections, {name: Calibration(K=intrinsics, T_ref=pose, captured=captured) for name, pose in flat.items()}


def _frame(root: Path, name: str, scene: _Scene, number: int) -> FoundFrame:
    """Return the frame of one scene; of a sensor's two files, the kit's projection comes first."""
    camera = scene.path_to_frame_camera
    files, raw = {"camera": (camera,)}, set()
    for sensor, folder in (("event", "event_camera"), ("lidar", "lidar"), ("radar", "radar")):
        relative = getattr(scene, f"path_to_{folder}") or _sibling(camera, folder)
        projected = f"{_PROJECTED}/{PurePosixPath(relative).with_suffix('.png')}"
        if (root / projected).is_file():
            files[sensor] = (projected,)
        else:
            files[sensor] = (relative,)
            raw.add(sensor)
    return FoundFrame(
        frame_id=frame_id(name),
        sequence=name.split("_")[0],
        site=name.split("_")[0],
        split=scene.split,
        files=files,
        label="" if scene.split == "test" else _label(camera),
        time_s=scene.time_s if scene.time_s is not None else float(number),
        condition=scene.weather,
        tags={"light": scene.time_of_day},
        raw=frozenset(raw),
    )


def _sibling(camera: str, folder: str) -> str:
    """Return the usual path of a sensor that meta.json does not name."""
    ending = {"event_camera": ".h5", "lidar": ".bin", "radar": ".png"}[folder]
    stem = camera.replace("frame_camera/", f"{folder}/", 1).rpartition("_frame_camera")[0]
    return f"{stem}_{folder}{ending}"


def _label(camera: str) -> str:
    stem = camera.replace("frame_camera/", "gt_semantic/", 1).rpartition("_frame_camera")[0]
    return f"{stem}_gt_labelTrainIds.png"


def _validate(kind: type[_File], path: Path) -> _File:
    """Read a JSON file of the data set.

    Raises:
        BatchError: it is not JSON, or not as it must be.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault: Any = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        message = f"is not that of {TITLE} ({where + ': ' if where else ''}{fault['msg']})"
        raise BatchError(path, message, f"get it again from {PAGE}") from error
