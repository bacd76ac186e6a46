"""A miniature of MUSES with raw files, and its projections by another way: OpenCV's rectification, and plain loops."""

import json
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.public_datasets import Truth, Truths, chw, random_image, save_png, scene

SIZE = (27, 48)
FULL = (1080, 1920)
EMPTY = 15000
START_US = 1_666_000_000_000_000
Array = NDArray[Any]


def rotation(x: float, y: float, z: float) -> Array:
    matrix: Array = cv2.Rodrigues(np.array([x, y, z], float))[0]
    return matrix


def pose(turn: Array, shift: list[float]) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, shift
    return matrix


AXES = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]], float)
"""From x forward, y left, z up to x right, y down, z forward."""
CALIBRATION: dict[str, Any] = {
    "intrinsics": {
        "rgb": {"K": [[1500, 0, 955], [0, 1510, 545], [0, 0, 1]]},
        "event": {"K": [[1050, 0, 640], [0, 1045, 360], [0, 0, 1]]},
    },
    "extrinsics": {
        "event2rgb": pose(rotation(0.01, -0.02, 0.005), [0.08, 0.01, -0.02]).tolist(),
        "lidar2rgb": pose(rotation(0.02, 0, 0.01) @ AXES, [0.1, -0.3, 0.05]).tolist(),
        "radar2rgb": pose(AXES, [0.0, -0.2, 0.1]).tolist(),
    },
}


CALIBRATION_OF_RADAR = np.array(CALIBRATION["extrinsics"]["radar2rgb"])


def camera_matrix() -> Array:
    matrix = np.array(CALIBRATION["intrinsics"]["rgb"]["K"], float)
    matrix[0] *= SIZE[1] / FULL[1]
    matrix[1] *= SIZE[0] / FULL[0]
    return matrix


def write_events(path: Path, rng: np.random.Generator) -> Array:
    """Write events, and return the counts (2, H, W) of the last 30 ms as the data set's kit computes them."""
    count = 4000
    x, y = rng.integers(0, 1280, count), rng.integers(0, 720, count)
    x[:300], y[:300] = 700, 400  # more than 255 of them: the count is capped
    t, p = np.sort(rng.integers(0, 90_000, count)) + 5_000_000, rng.integers(0, 2, count)
    t[:300], p[:300] = t.max() - 10, 1
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values, kind in (("x", x, "u2"), ("y", y, "u2"), ("t", t, "u8"), ("p", p, "u1")):
            file.create_dataset(f"events/{name}", data=values.astype(kind), compression="gzip")
    rgb, event = camera_matrix(), np.array(CALIBRATION["intrinsics"]["event"]["K"], float)
    to_event = np.linalg.inv(CALIBRATION["extrinsics"]["event2rgb"])
    r1, r2, p1, p2, *_ = cv2.stereoRectify(
        rgb, None, event, None, SIZE[::-1], to_event[:3, :3], to_event[:3, 3:], flags=cv2.CALIB_ZERO_DISPARITY
    )
    recent = t >= t.max() - 30_000
    pixels = np.stack([x, y], 1)[recent].astype(float)
    rectified = cv2.undistortPoints(pixels, event, None, R=r2, P=p2)[:, 0]
    back = cv2.undistortPoints(rectified.astype(float), p1[:, :-1], None, R=np.linalg.inv(r1), P=rgb)[:, 0]
    counts = np.zeros((2, *SIZE), int)
    for (column, row), positive in zip(back.round().astype(int), p[recent], strict=True):
        if 0 <= column < SIZE[1] and 0 <= row < SIZE[0]:
            counts[0 if positive else 1, row, column] += 1
    return np.minimum(counts, 255)


def to_pixel(point: Array, sensor: str) -> tuple[int, int] | None:
    """Row and column of a point, or None outside of the image."""
    camera = np.array(CALIBRATION["extrinsics"][f"{sensor}2rgb"]) @ [*point, 1.0]
    if camera[2] <= 0:
        return None
    u, v, _ = camera_matrix() @ camera[:3] / camera[2]
    return (int(v), int(u)) if 0 < u < SIZE[1] - 1 and 0 < v < SIZE[0] - 1 else None


def stored(value: float) -> int:
    return int((value + 100) * 150)


def write_lidar(path: Path, rng: np.random.Generator) -> Array:
    """Write points, some behind the camera and some on one ray; return (range, intensity, height), NaN if empty."""
    count = 600
    cloud = np.column_stack(
        [
            rng.uniform(-20, 80, count), rng.uniform(-30, 30, count), rng.uniform(-2, 6, count),
            rng.uniform(0, 255, count), rng.integers(0, 5, count), 1.6e9 + rng.random(count),
        ]
    )  # fmt: skip
    cloud[:50, :3] = cloud[50:100, :3] * 1.5  # the same rays, farther away: hidden, though they come first or last
    cloud[100:150, :3] = cloud[150:200, :3] * 0.7
    cloud[200:210, :3] = 0.2  # the vehicle itself
    path.parent.mkdir(parents=True, exist_ok=True)
    cloud.astype(np.float64).tofile(path)
    image, nearest = np.full((3, *SIZE), np.nan), np.full(SIZE, np.inf)
    for x, y, z, intensity, *_ in cloud:
        distance = float(np.sqrt(x * x + y * y + z * z))
        place = to_pixel(np.array([x, y, z]), "lidar") if distance >= 1 else None
        if place is not None and distance < nearest[place]:
            nearest[place] = distance
            image[:, *place] = stored(distance), stored(intensity), stored(z)
    return image


def write_radar(path: Path, rng: np.random.Generator) -> Array:
    """Write a polar picture with few echoes; return (range, intensity), NaN if empty."""
    bins = 400
    picture = np.zeros((11 + bins, 400), np.uint8)
    picture[:8] = rng.integers(0, 256, (8, 400))
    picture[10] = 255
    picture[10, 190] = 0
    # Few echoes, and no two of one strength.
    strengths = rng.permutation(255)[:200] + 1
    picture[11 + rng.integers(110, bins, 200), rng.choice(np.arange(150, 250), 200)] = strengths
    save_png(path, picture)
    image, strongest = np.full((2, *SIZE), np.nan), np.full(SIZE, -1.0)
    rows = np.arange(bins)
    for column in sorted({*range(145, 255)} - {190}):
        azimuth = -np.radians(np.linspace(-180 + 0.9, 180, 400))[column]
        along = 0.0438 * (rows + 1)
        points = np.stack([along * np.cos(azimuth), along * np.sin(azimuth), np.full(bins, -1.62)])
        camera = CALIBRATION_OF_RADAR @ np.concatenate([points, np.ones((1, bins))])
        u, v, _ = camera_matrix() @ camera[:3] / camera[2]
        distance = np.sqrt((points**2).sum(0))
        seen = (camera[2] > 0) & (u > 0) & (u < SIZE[1] - 1) & (v > 0) & (v < SIZE[0] - 1) & (distance >= 1)
        for k in rows[seen]:
            echo, place = int(picture[11 + k, column]), (int(v[k]), int(u[k]))
            if echo >= strongest[place]:  # of equally strong ones the last is seen
                strongest[place] = echo
                image[:, *place] = stored(distance[k]), stored(echo)
    return image


def write_muses(root: Path, scenes: int = 8) -> Truths:
    """Scenes of all splits; the last but one of the training has projections of the data set's own kit instead."""
    rng, truths, meta = np.random.default_rng(7), {}, {}
    splits = ["train"] * (scenes - 4) + ["val"] * 2 + ["test"] * 2
    for k, split in enumerate(splits):
        name, weather, light = f"REC{k // 2:04d}_frame_{100 * k:06d}", ["clear", "fog", "rain", "snow"][k % 4], "day"
        light = "night" if k % 3 == 2 else "day"
        place = f"{split}/{weather}/{light}/{name}"
        camera, label = random_image(rng, 3, SIZE), scene([0, 1, *range(19), 255], rng, SIZE)
        save_png(root / f"frame_camera/{place}_frame_camera.png", camera)
        if split != "test":
            save_png(root / f"gt_semantic/{place}_gt_labelTrainIds.png", label)
        paths = {s: f"{s}/{place}_{s}.{e}" for s, e in (("event_camera", "h5"), ("lidar", "bin"), ("radar", "png"))}
        images = {
            "camera": chw(camera),
            "event": write_events(root / paths["event_camera"], rng),
            "lidar": write_lidar(root / paths["lidar"], rng),
            "radar": write_radar(root / paths["radar"], rng),
        }
        if k == 2:
            use_projections(root, paths, images)
        entry = {"split": split, "weather": weather, "time_of_day": light}
        entry |= {f"path_to_{sensor}": path for sensor, path in paths.items()}
        entry["path_to_frame_camera"] = f"frame_camera/{place}_frame_camera.png"
        start = START_US + 86_400_000_000 * (k // 2) + 100_000 * k
        entry |= {
            "frame_camera_exposure_start_timestamp_us": start,
            "frame_camera_exposure_end_timestamp_us": start + 8,
        }
        meta[name] = entry | {"reference_frame_available": "No"}
        withheld = split == "test"
        truths[name] = Truth(images, None if withheld else label, split, label, weather, {"light": light})
    (root / "meta.json").write_text(json.dumps(meta))
    (root / "calib.json").write_text(json.dumps(CALIBRATION))
    return truths


def use_projections(root: Path, paths: dict[str, str], images: dict[str, Array]) -> None:
    """Replace raw files by PNG as the kit writes them: channels (positive, negative, 0), (range, intensity, height)."""
    zero = np.zeros((1, *SIZE))
    empty = np.full((1, *SIZE), EMPTY)
    for sensor, image, kind in (
        ("event_camera", np.concatenate([images["event"], zero]), np.uint8),
        ("lidar", images["lidar"], np.uint16),
        ("radar", np.concatenate([images["radar"], empty]), np.uint16),
    ):
        path = root / "projected_to_rgb" / Path(paths[sensor]).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.moveaxis(np.nan_to_num(image, nan=EMPTY), 0, -1).astype(kind))
        (root / paths[sensor]).unlink()
        assert Image.open(path).size == SIZE[::-1]
