"""Miniature copies of public data sets, in the exact layout, and what an import of them must give.

The images are random; `label` is a scene of blocks that has every value that the data set's labels may have.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sensorproof.data.importers import PUBLIC, ImportSummary, import_public
from sensorproof.data.importers.public.layout import Layout

SIZE = (24, 40)


@dataclass
class Truth:
    """What a frame must be, in the form of `load_frame`."""

    images: dict[str, NDArray[Any]]
    """{sensor: (C, H, W)}."""
    label: NDArray[Any] | None
    """(H, W) class ids, 255 for void."""
    split: str
    raw: NDArray[Any] | None = None
    """The label as the file has it."""
    condition: str = ""
    tags: dict[str, str] = field(default_factory=dict)


Truths = dict[str, Truth]


def random_image(rng: np.random.Generator, channels: int = 3, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    shape = size if channels == 1 else (*size, channels)
    return rng.integers(0, 256, shape, np.uint8)


def scene(values: list[int], rng: np.random.Generator, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A label in which every value has at least a pixel, and the first two have large areas."""
    label = np.full(size, values[0], np.uint8)
    label[:, size[1] // 2 :] = values[1]
    places = rng.choice(size[0] * size[1], len(values), replace=False)
    label.reshape(-1)[places] = values
    return label


def chw(image: NDArray[Any]) -> NDArray[Any]:
    return image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)


def save_png(path: Path, image: NDArray[Any]) -> None:
    """Write 8 or 16 bits, channels as red, green, blue, alpha."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if image.dtype == np.uint16 and image.ndim == 3:
        assert cv2.imwrite(str(path), image[..., ::-1])
    else:
        Image.fromarray(image).save(path)


def save_jpeg(path: Path, image: NDArray[Any]) -> NDArray[Any]:
    """Write a JPEG and return what it holds: it is lossy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95)
    return np.asarray(Image.open(path))


def shifted(raw: NDArray[Any]) -> NDArray[Any]:
    """Ids of classes that the file counts from 1, 0 for void; one value at a time."""
    label = np.full_like(raw, 255)
    for value in range(1, 255):
        label[raw == value] = value - 1
    return label


def write_deliver(root: Path) -> Truths:
    """Two scenes a split; one with coarse events, one camera with alpha, one grey LiDAR."""
    rng, truths = np.random.default_rng(1), {}
    scenes = [
        ("cloud", "train", "MAP_1_point1", ""), ("fog", "train", "MAP_1_point2_motionblur", "motionblur"),
        ("rain", "val", "MAP_2_point7", ""), ("night", "val", "MAP_2_point8_eventlowres", "eventlowres"),
        ("sun", "test", "MAP_3_point4", ""), ("night", "test", "MAP_3_point5_lidarjitter", "lidarjitter"),
    ]  # fmt: skip
    for weather, split, place, failure in scenes:
        for number in ("000300", "000310"):
            stem = f"{weather}/{split}/{place}/{number}"
            camera = random_image(rng, 4 if weather == "rain" else 3)
            depth = random_image(rng)
            lidar = random_image(rng, 1 if weather == "sun" else 3)
            coarse = failure == "eventlowres"
            event = random_image(rng, 3, (SIZE[0] // 2, SIZE[1] // 2) if coarse else SIZE)
            raw = scene([7, 8, *range(26), 255], rng)
            save_png(root / f"img/{stem}_rgb_front.png", camera)
            save_png(root / f"hha/{stem}_depth_front.png", depth)
            save_png(root / f"event/{stem}_event_front.png", event)
            save_png(root / f"lidar/{stem}_lidar_front.png", lidar)
            opaque = np.full_like(raw, 255)
            save_png(root / f"semantic/{stem}_semantic_front.png", np.dstack([raw, opaque // 2, raw // 3, opaque]))
            images = {
                "camera": chw(camera)[:3],
                "depth": chw(depth),
                "event": chw(event.repeat(2, 0).repeat(2, 1) if coarse else event),
                "lidar": chw(np.dstack([lidar] * 3) if lidar.ndim == 2 else lidar),
            }
            label = shifted(np.where(raw == 255, 0, raw))
            truths[f"{weather}-{place}-{number}"] = Truth(images, label, split, raw, weather, {"failure": failure})
    return truths


def write_mcubes(root: Path) -> Truths:
    """8 and 16 bits in one data set, float64 and float32 polarisation; a crop of the left 192 columns."""
    rng, truths = np.random.default_rng(2), {}
    size, cut = (SIZE[0], SIZE[1] + 192), np.s_[..., 192:]
    names: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for k, split in enumerate(["train", "train", "train", "val", "val", "test", "test"]):
        name = f"outscene{1208 + k // 2}_{k % 2}_{150 + 30 * k:010d}"
        names[split].append(name)
        deep = k % 2 == 1
        largest = 65535 if deep else 255
        camera = rng.integers(0, largest + 1, (*size, 3)).astype(np.uint16 if deep else np.uint8)
        nir = rng.integers(0, 65536, size).astype(np.uint16) if deep else random_image(rng, 1, size)
        angle = rng.random(size) * 2 * np.pi
        sin, cos = np.sin(angle).astype(np.float64 if deep else np.float32), np.cos(angle)
        dolp = rng.random(size)
        label = scene([0, 1, *range(20), 255], rng, size)
        save_png(root / f"polL_color/{name}.png", camera)
        save_png(root / f"NIR_warped/{name}.png", nir)
        save_png(root / f"NIR_warped_mask/{name}.png", np.full(size, 255, np.uint8))
        save_png(root / f"GT/{name}.png", label)
        for folder, array in (("polL_aolp_sin", sin), ("polL_aolp_cos", cos), ("polL_dolp", dolp)):
            (root / folder).mkdir(exist_ok=True)
            np.save(root / folder / f"{name}.npy", array)
        images = {
            "camera": chw(camera)[cut] / largest,
            "aolp": np.stack([sin, cos, sin])[cut],
            "dolp": dolp[None][cut],
            "nir": nir[None][cut] / largest,
        }
        truths[name] = Truth(images, label[cut], split, label)
    (root / "list_folder").mkdir()
    for split, listed in names.items():
        (root / f"list_folder/{split}.txt").write_text("\n".join(listed) + "\n")
    return truths


def write_lists(root: Path, lists: dict[str, list[str]]) -> None:
    for split, lines in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{line}\n" for line in lines))


def write_mfnet(root: Path) -> Truths:
    """Camera and thermal in one picture of four channels."""
    rng, truths, lists = np.random.default_rng(3), {}, {"train": [], "val": [], "test": []}
    for k, split in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 2):
        name = f"{k + 1:05d}{'DN'[k % 2]}"
        lists[split].append(name)
        picture, label = random_image(rng, 4), scene([0, 1, *range(9)], rng)
        save_png(root / f"images/{name}.png", picture)
        save_png(root / f"labels/{name}.png", label)
        images = {"camera": chw(picture)[:3], "thermal": chw(picture)[3:]}
        truths[name] = Truth(images, label, split, label, ["day", "night"][k % 2])
    write_lists(root, lists)
    return truths


def write_mfnet_separate(root: Path) -> Truths:
    """The other spread: two JPEG of each frame, of which the thermal one has three equal channels."""
    rng, truths, lists = np.random.default_rng(4), {}, {"train": [], "val": [], "test": []}
    for k, split in enumerate(["train"] * 2 + ["val", "test"]):
        name = f"{k + 1:05d}D"
        lists[split].append(name)
        label = scene([0, 1, *range(9)], rng)
        camera = save_jpeg(root / f"rgb/{name}.jpg", random_image(rng))
        thermal = save_jpeg(root / f"ther/{name}.jpg", np.dstack([random_image(rng, 1)] * 3))
        save_png(root / f"labels/{name}.png", label)
        images = {"camera": chw(camera), "thermal": chw(thermal)[:1]}
        truths[name] = Truth(images, label, split, label, "day")
    write_lists(root, lists)
    return truths


def write_fmb(root: Path) -> Truths:
    """15 ids with the background as one of them, no validation part; infrared as three equal channels."""
    rng, truths, lists = np.random.default_rng(5), {}, {"train": [], "test": []}
    for k, split in enumerate(["train"] * 6 + ["test"] * 2):
        name = f"{k * 40:05d}"
        lists[split].append(f"{name}.png")
        camera, infrared, label = random_image(rng), random_image(rng, 1), scene([0, 1, *range(15)], rng)
        save_png(root / f"Visible/{name}.png", camera)
        save_png(root / f"Infrared/{name}.png", np.dstack([infrared] * 3))
        save_png(root / f"Label/{name}.png", label)
        truths[name] = Truth({"camera": chw(camera), "infrared": infrared[None]}, label, split, label)
    write_lists(root, lists)
    return truths


def write_nyudepthv2(root: Path) -> Truths:
    """40 classes counted from 1, 0 for void, lists with folders and endings, no validation part."""
    rng, truths, lists = np.random.default_rng(6), {}, {"train": [], "test": []}
    for k, split in enumerate(["train"] * 6 + ["test"] * 2):
        name = f"{k * 40}"
        lists[split].append(f"RGB/{name}.jpg Label/{name}.png")
        raw = scene([5, 1, *range(41)], rng)
        camera = save_jpeg(root / f"RGB/{name}.jpg", random_image(rng))
        depth = save_jpeg(root / f"HHA/{name}.jpg", random_image(rng))
        save_png(root / f"Label/{name}.png", raw)
        truths[name] = Truth({"camera": chw(camera), "depth": chw(depth)}, shifted(raw), split, raw)
    write_lists(root, lists)
    return truths


WRITERS: dict[str, Callable[[Path], Truths]] = {
    "deliver": write_deliver,
    "mcubes": write_mcubes,
    "mfnet": write_mfnet,
    "fmb": write_fmb,
    "nyudepthv2": write_nyudepthv2,
}
"""{format: what writes a miniature}; MUSES has a module of its own."""


def whole(name: str) -> Callable[[Path], Layout]:
    """An importer for which a miniature has all frames."""
    return lambda root: replace(PUBLIC[name](root), official={})


def import_whole(name: str, root: Path, **options: bool) -> ImportSummary:
    """Import root/source to root/out."""
    return import_public(whole(name), root / "source", root / "out", **options)
