"""What it costs to read, augment and copy the samples of a training at size."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save_file

from sensorproof.data.batch import Class
from sensorproof.data.crops import Crop, CropSampler
from sensorproof.data.dataset import PreparedDataset, TensorBatch
from sensorproof.data.full_frames import FOLDER, INDEX, LABEL, FullIndex, StoredFrame
from sensorproof.data.metadata import PreparedMeta, SensorInput
from sensorproof.files import write_json

_FRAMES = 6
_MARGIN = 1.05
"""Sides of the frames, as a multiple of those of the crops."""
_PHOTOMETRIC = 0.3
_SCALES = (0.5, 2.0)
"""As the settings for public data sets have them."""


def measure_loading(
    sensors: int, size: tuple[int, int], classes: int, samples: int, step_s: float, device: torch.device
) -> dict[str, float]:
    """Read crops from a store of random frames, in one process with one thread.

    Args:
        sensors: of three channels.
        size: height and width of the crops.
        classes: number of classes.
        samples: crops of a step.
        step_s: seconds of a training step.
        device: to which they are copied.

    Returns:
        Seconds of a batch: `loading/read_s` (read, cut and resize), `loading/augment_s` (change the light of all
        sensors), `loading/copy_s` (to the device); and `loading/readers`, so many processes keep up with the steps.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with TemporaryDirectory() as folder:
            data = _write_store(Path(folder), sensors, size, classes)
            crop = Crop(size, _SCALES)
            plain = CropSampler(data, samples, 0, True, crop)
            light = CropSampler(data, samples, 0, True, crop, dict.fromkeys(data.sensors, _PHOTOMETRIC))
            light(0)  # imports what it needs
            read, whole = (_median([_seconds(lambda k=k, s=s: s(k)) for k in range(3)]) for s in (plain, light))  # type: ignore[misc]
            batch = plain(0)
    finally:
        torch.set_num_threads(threads)
    copy = _median([_seconds(lambda: _copy(batch, device)) for _ in range(3)])
    return {
        "loading/read_s": read,
        "loading/augment_s": max(0.0, whole - read),
        "loading/copy_s": copy,
        "loading/readers": float(math.ceil(whole / step_s)),
    }


def _write_store(root: Path, sensors: int, size: tuple[int, int], classes: int) -> PreparedDataset:
    """Write what stage prepare would write of a few random frames, without resized images."""
    height, width = (math.ceil(_MARGIN * side) for side in size)
    rng = np.random.default_rng(0)
    names = [f"sensor{k}" for k in range(sensors)]
    (root / FOLDER).mkdir()
    for row in range(_FRAMES):
        arrays = {f"{row}/{n}": rng.random((3, height, width), np.float32).astype(np.float16) for n in names}
        label = {f"{row}/{LABEL}": rng.integers(0, classes, (height, width), np.uint8)}
        save_file(arrays | label, root / FOLDER / f"{row}.safetensors")
    frames = {row: StoredFrame(shard=f"{row}.safetensors", size=(height, width)) for row in range(_FRAMES)}
    write_json(root / INDEX, FullIndex(frames=frames, sha256={}).model_dump(mode="json"))
    table = pd.DataFrame({"frame_id": list(map(str, range(_FRAMES))), "batch": "b", "split": "train"})
    table = table.assign(labelled=True, fault="", **dict.fromkeys((f"present_{n}" for n in names), True))
    table.to_csv(root / "frames.csv", index=False)
    for name in names:
        np.save(root / f"{name}.npy", np.zeros((_FRAMES, 3, 1, 1), np.float16))
    np.save(root / "label.npy", np.zeros((_FRAMES, 1, 1), np.uint8))
    sensor = SensorInput(
        kind="camera", channels=3, range=(0.0, 1.0), nodata=None, mean=(0.5,) * 3, std=(0.3,) * 3, stored="float16"
    )
    meta = PreparedMeta(
        sensors=dict.fromkeys(names, sensor),
        reference=names[0],
        classes=tuple(Class(id=k, name=str(k)) for k in range(classes)),
        size=(1, 1),
        batches=("b",),
        frames={"train": _FRAMES},
    )
    write_json(root / "meta.json", meta.model_dump(mode="json"))
    return PreparedDataset(root)


def _median(values: list[float]) -> float:
    return float(median(values))


def _seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _copy(batch: TensorBatch, device: torch.device) -> None:
    """Copy a batch to the device, and wait until it is there."""
    batch.to(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
