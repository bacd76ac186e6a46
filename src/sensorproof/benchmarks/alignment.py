"""Speed of registration and of the rules, and whether memory grows with the number of frames."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.adapters import quiet_environment
from sensorproof.alignment.decision.rules import Rule, make_rules, suite_name
from sensorproof.alignment.images import Image
from sensorproof.alignment.pairs.pair_tracker import PairTracker
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.registration.phase_correlation import Grid, make_grid
from sensorproof.data.batch import BatchInfo, write_batch
from sensorproof.settings import ContentChecks, ValidationSettings, load_settings

_SIDE_PX = 512
_ROWS = 10_000
_FEW, _MANY = 500, 2500
"""Frames of the two batches whose memory is compared."""
_SHIFT_PX = (3.25, -2.5)
"""y and x of the shift between the two images."""
_BROKEN_SHARE = 0.01
"""Share of the table's rows that break each rule."""


def bench_alignment() -> dict[str, Any]:
    """Return all figures by name."""
    settings = load_settings().validation
    return {**_bench_registration(settings.content), **_bench_rules(settings), **_bench_memory()}


def _bench_registration(settings: ContentChecks) -> dict[str, Any]:
    """Measure one pair at 512 x 512 in 3 x 3 tiles.

    Sensorproof computes all content measures, scikit-image runs phase_cross_correlation on the same tiles.
    """
    from skimage.registration import phase_cross_correlation
    from threadpoolctl import threadpool_limits

    reference, sensor = _make_pair(_SIDE_PX)
    info = _pair_info()
    grid = make_grid(_SIDE_PX, _SIDE_PX, settings.grid, settings.tile)
    assert grid is not None
    tracker = PairTracker("sensor", settings)
    position = iter(range(10**6))

    def register_ours() -> None:
        features = FrameFeatures(info, {"reference": reference[None], "sensor": sensor[None]}, None, settings)
        tracker.add(next(position), 0, features)

    tiles = _cut_tiles(reference, grid), _cut_tiles(sensor, grid)

    def register_theirs() -> None:
        for reference_tile, sensor_tile in zip(*tiles, strict=True):
            phase_cross_correlation(reference_tile, sensor_tile, upsample_factor=20)

    for _ in range(4):  # as in a long batch, windows are cached and there are previous frames to compare with
        register_ours()
    ours, theirs = _median_seconds(register_ours, 15), _median_seconds(register_theirs, 5)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # threadpool_limits does not know OpenCV's threads
    with threadpool_limits(1):
        ours_single, theirs_single = _median_seconds(register_ours, 45), _median_seconds(register_theirs, 15)
    cv2.setNumThreads(threads)
    tracker.close()
    last = tracker.frames.table().iloc[-1]
    error = np.hypot(last["shift_y_px"] - _SHIFT_PX[0], last["shift_x_px"] - _SHIFT_PX[1])
    return {
        "registration: ours, ms a pair": 1000 * ours,
        "registration: scikit-image, ms a pair": 1000 * theirs,
        "registration: times faster": theirs / ours,
        "registration: ours, one thread, ms a pair": 1000 * ours_single,
        "registration: scikit-image, one thread, ms a pair": 1000 * theirs_single,
        "registration: times faster, one thread each": theirs_single / ours_single,
        "registration: error of the shift, px": float(error),
    }


def _make_pair(side: int) -> tuple[Image, Image]:
    """Draw overlapping shapes as two sensors show them: with other values, shifted, with noise; (side, side) each."""
    rng = np.random.default_rng(0)
    scene = np.zeros((side + 64, side + 64), np.float32)
    for _ in range(120):
        center, axes = rng.integers(0, side + 64, 2), rng.integers(8, 60, 2)
        color, angle = float(rng.uniform(20, 235)), float(rng.uniform(0, 180))
        cv2.ellipse(scene, center.tolist(), axes.tolist(), angle, 0, 360, color, -1)
    values = rng.permutation(256).astype(np.float32)
    matrix = np.array([[1, 0, 32 - _SHIFT_PX[1]], [0, 1, 32 - _SHIFT_PX[0]]])
    moved = cv2.warpAffine(cv2.GaussianBlur(values[scene.astype(np.uint8)], (0, 0), 0.8), matrix, (side, side),
                           flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)  # fmt: skip
    still = cv2.GaussianBlur(scene, (0, 0), 0.8)[32 : 32 + side, 32 : 32 + side]
    noise = rng.normal(0, 2, (2, side, side)).astype(np.float32)
    return np.asarray(still + noise[0], np.float32), np.asarray(moved + noise[1], np.float32)


def _pair_info() -> BatchInfo:
    """Return batch.yaml of a batch with two sensors."""
    sensor = {"kind": "other", "channels": 1, "range": [0, 255], "nodata": None, "max_time_offset_s": 0.01}
    return BatchInfo.model_validate(
        {
            "name": "bench",
            "classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
            "ignore_index": 255,
            "reference": "reference",
            "sensors": {name: {**sensor, "calibration": None} for name in ("reference", "sensor")},
        },
        strict=False,
    )


def _cut_tiles(image: Image, grid: Grid) -> list[NDArray[np.float32]]:
    """Return the tiles of an image (H, W) at full resolution: gradient magnitudes for gradient phase correlation."""
    gradient: Image = np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1), dtype=np.float32)
    height, width = (side * grid.step for side in grid.tile)
    origins = zip(grid.tops, grid.lefts, strict=True)
    return [gradient[y * grid.step :, x * grid.step :][:height, :width].copy() for y, x in origins]


def _median_seconds(work: Callable[[], None], times: int) -> float:
    """Return the median time of one call."""
    seconds = []
    for _ in range(times):
        start = perf_counter()
        work()
        seconds.append(perf_counter() - start)
    return float(np.median(seconds))


def _bench_rules(settings: ValidationSettings) -> dict[str, Any]:
    """Check 10,000 rows by the whole suite, with Data Docs; imports do not count."""
    quiet_environment()
    from sensorproof.adapters.great_expectations import check_expectations

    rules = make_rules(settings)
    table = _make_table(rules, _ROWS)
    with tempfile.TemporaryDirectory() as folder:
        check_expectations(table.iloc[:100], rules, suite_name(settings), Path(folder) / "first")
        start = perf_counter()
        results = check_expectations(table, rules, suite_name(settings), Path(folder) / "docs")
        seconds = perf_counter() - start
    return {
        f"rules: {_ROWS} rows with Data Docs, s": seconds,
        "rules: number": len(rules),
        "rules: violations by row": len(results.broken),
    }


def _make_table(rules: list[Rule], rows: int) -> pd.DataFrame:
    """Make a table of measures in which a share of the rows breaks each rule on frames."""
    rng = np.random.default_rng(0)
    sensors = ("camera", "thermal", "depth", "lidar", "label")
    table = pd.DataFrame({"frame_id": [f"frame-{k // 5:06d}" for k in range(rows)], "sensor": np.resize(sensors, rows)})
    for rule in rules:
        sign = 1 if rule.test in ("at_least", "above", "unless_still") else -1
        good, bad = rule.limit + sign * (1 + abs(rule.limit)), rule.limit - sign * (1 + abs(rule.limit))
        if rule.other:
            table[rule.other] = 1.0
            good, bad = (good, bad) if rule.test == "unless_still" else (0.5, 2.0)
        at_fault = (rng.random(rows) < _BROKEN_SHARE) & (rule.scope == "frame")
        table[rule.column] = np.where(at_fault, bad, good)
    return table


def _bench_memory() -> dict[str, Any]:
    """Measure the peak memory for few and many frames, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_images(root)
        few, many = (_peak_mib(root, frames) for frames in (_FEW, _MANY))
    return {
        f"memory: peak with {_FEW} frames, MiB": few,
        f"memory: peak with {_MANY} frames, MiB": many,
        "memory: table and all, KiB more a frame": 1024 * max(0.0, many - few) / (_MANY - _FEW),
    }


def _write_images(root: Path) -> None:
    """Write a few images that the rows of a long batch name again and again."""
    for k in range(8):
        for name, image in zip(("reference", "sensor"), _make_pair(96), strict=True):
            cv2.imwrite(str(root / f"{name}-{k}.png"), np.clip(np.roll(image, k * 5, 1), 0, 255).astype(np.uint8))


def _peak_mib(root: Path, frames: int) -> float:
    """Return the peak resident memory of a process that measures a batch of that many frames."""
    rows = [
        {
            "frame_id": f"{k:06d}", "sequence": f"{k // 100}", "site": "a", "condition": "", "label": "",
            "reference": f"reference-{k % 8}.png", "reference_time": k / 10,
            "sensor": f"sensor-{k % 8}.png", "sensor_time": k / 10,
        }
        for k in range(frames)
    ]  # fmt: skip
    write_batch(root, _pair_info().model_dump(mode="json"), pd.DataFrame(rows))
    code = "import sys; from sensorproof.benchmarks.alignment import print_peak; print_peak(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["peak_mib"])


def print_peak(root: str) -> None:
    """Measure a batch and print this process's peak memory as JSON; called in a process of its own."""
    import resource

    from sensorproof.alignment.measurement import measure_batch
    from sensorproof.data.batch import read_batch

    measure_batch(read_batch(Path(root)), load_settings().validation)
    print(json.dumps({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
