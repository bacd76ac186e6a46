"""How fast frames are registered and tables judged, and whether memory grows with the number of frames."""

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
from sensorproof.alignment.pairs.pair_tracker import PairTracker
from sensorproof.alignment.registration.edges import Image
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.registration.phase_correlation import Grid, make_grid
from sensorproof.data.batch import BatchInfo, write_batch
from sensorproof.settings import ContentChecks, ValidationSettings, load_settings

_SIDE = 512
ROWS = 10_000
FEW, MANY = 500, 2500
"""Frames of the two batches whose memory is compared."""
_SHIFT = (3.25, -2.5)
BROKEN = 0.01
"""Share of the rows that break each rule of the table that is judged."""


def bench_alignment() -> dict[str, Any]:
    """All figures, by name."""
    settings = load_settings().validation
    return {**_bench_registration(settings.content), **_bench_judging(settings), **_bench_memory()}


def _bench_registration(settings: ContentChecks) -> dict[str, Any]:
    """One pair at 512 x 512 in 3 x 3 tiles: all content measures of ours, phase_cross_correlation of scikit-image."""
    from skimage.registration import phase_cross_correlation
    from threadpoolctl import threadpool_limits

    reference, sensor = _made_pair(_SIDE)
    info = _pair_info()
    grid = make_grid(_SIDE, _SIDE, settings.grid, settings.tile)
    assert grid is not None
    tracker = PairTracker("sensor", settings)
    frame = iter(range(10**6))

    def ours() -> None:
        seen = FrameFeatures(info, {"reference": reference[None], "sensor": sensor[None]}, None, settings)
        tracker.add(next(frame), 0, seen)

    tiles = _cut_tiles(reference, grid), _cut_tiles(sensor, grid)

    def theirs() -> None:
        for one, other in zip(*tiles, strict=True):
            phase_cross_correlation(one, other, upsample_factor=20)

    for _ in range(4):  # as in a long batch: windows are at hand, and frames before to compare with
        ours()
    own, other = _median_seconds(ours, 15), _median_seconds(theirs, 5)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # threadpool_limits does not know OpenCV's own
    with threadpool_limits(1):
        alone, other_alone = _median_seconds(ours, 45), _median_seconds(theirs, 15)
    cv2.setNumThreads(threads)
    row = tracker.recent[-1].row
    error = np.hypot(row["shift_y_px"] - _SHIFT[0], row["shift_x_px"] - _SHIFT[1])
    return {
        "registration: ours, ms a pair": 1000 * own,
        "registration: scikit-image, ms a pair": 1000 * other,
        "registration: times faster": other / own,
        "registration: ours, one thread, ms a pair": 1000 * alone,
        "registration: scikit-image, one thread, ms a pair": 1000 * other_alone,
        "registration: times faster, one thread each": other_alone / alone,
        "registration: error of the shift, px": float(error),
    }


def _made_pair(side: int) -> tuple[Image, Image]:
    """Shapes in front of each other, and what another sensor makes of them: other values, shifted, with noise."""
    rng = np.random.default_rng(0)
    scene = np.zeros((side + 64, side + 64), np.float32)
    for _ in range(120):
        center, axes = rng.integers(0, side + 64, 2), rng.integers(8, 60, 2)
        color, angle = float(rng.uniform(20, 235)), float(rng.uniform(0, 180))
        cv2.ellipse(scene, center.tolist(), axes.tolist(), angle, 0, 360, color, -1)
    values = rng.permutation(256).astype(np.float32)
    there = np.array([[1, 0, 32 - _SHIFT[1]], [0, 1, 32 - _SHIFT[0]]])
    moved = cv2.warpAffine(cv2.GaussianBlur(values[scene.astype(np.uint8)], (0, 0), 0.8), there, (side, side),
                           flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)  # fmt: skip
    seen = cv2.GaussianBlur(scene, (0, 0), 0.8)[32 : 32 + side, 32 : 32 + side]
    noise = rng.normal(0, 2, (2, side, side)).astype(np.float32)
    return np.asarray(seen + noise[0], np.float32), np.asarray(moved + noise[1], np.float32)


def _pair_info() -> BatchInfo:
    """A batch of two sensors."""
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
    """The tiles of an image at its full resolution: gradient magnitudes, as gradient phase correlation takes them."""
    gradient: Image = np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1), dtype=np.float32)
    height, width = (side * grid.step for side in grid.tile)
    corners = zip(grid.tops, grid.lefts, strict=True)
    return [gradient[y * grid.step :, x * grid.step :][:height, :width].copy() for y, x in corners]


def _median_seconds(work: Callable[[], None], times: int) -> float:
    """The median time of one call."""
    taken = []
    for _ in range(times):
        start = perf_counter()
        work()
        taken.append(perf_counter() - start)
    return float(np.median(taken))


def _bench_judging(settings: ValidationSettings) -> dict[str, Any]:
    """10,000 rows judged by the whole suite, with Data Docs, after the imports."""
    quiet_environment()
    from sensorproof.adapters.great_expectations import check_expectations

    rules = make_rules(settings)
    table = _made_table(rules, ROWS)
    with tempfile.TemporaryDirectory() as folder:
        check_expectations(table.iloc[:100], rules, suite_name(settings), Path(folder) / "first")
        start = perf_counter()
        judgement = check_expectations(table, rules, suite_name(settings), Path(folder) / "docs")
        seconds = perf_counter() - start
    return {
        f"judging: {ROWS} rows with Data Docs, s": seconds,
        "judging: rules": len(rules),
        "judging: broken rules by row": len(judgement.broken),
    }


def _made_table(rules: list[Rule], rows: int) -> pd.DataFrame:
    """A table of measures in which BROKEN of the rows break each rule on frames."""
    rng = np.random.default_rng(0)
    sensors = ("camera", "thermal", "depth", "lidar", "label")
    table = pd.DataFrame({"frame_id": [f"frame-{k // 5:06d}" for k in range(rows)], "sensor": np.resize(sensors, rows)})
    for rule in rules:
        sign = 1 if rule.test in ("at_least", "above", "unless_still") else -1
        good, bad = rule.limit + sign * (1 + abs(rule.limit)), rule.limit - sign * (1 + abs(rule.limit))
        if rule.other:
            table[rule.other] = 1.0
            good, bad = (good, bad) if rule.test == "unless_still" else (0.5, 2.0)
        at_fault = (rng.random(rows) < BROKEN) & (rule.scope == "frame")
        table[rule.column] = np.where(at_fault, bad, good)
    return table


def _bench_memory() -> dict[str, Any]:
    """Peak memory of measuring few and many frames, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _sensor_files(root)
        few, many = (_peak_mib(root, frames) for frames in (FEW, MANY))
    return {
        f"memory: peak with {FEW} frames, MiB": few,
        f"memory: peak with {MANY} frames, MiB": many,
        "memory: table and all, KiB more a frame": 1024 * max(0.0, many - few) / (MANY - FEW),
    }


def _sensor_files(root: Path) -> None:
    """A few images that long batches name again and again."""
    for k in range(8):
        for name, image in zip(("reference", "sensor"), _made_pair(96), strict=True):
            cv2.imwrite(str(root / f"{name}-{k}.png"), np.clip(np.roll(image, k * 5, 1), 0, 255).astype(np.uint8))


def _peak_mib(root: Path, frames: int) -> float:
    """Peak resident memory of a process that measures a batch of that many frames."""
    rows = [
        {
            "frame_id": f"{k:06d}", "sequence": f"{k // 100}", "site": "a", "condition": "", "label": "",
            "reference": f"reference-{k % 8}.png", "reference_time": k / 10,
            "sensor": f"sensor-{k % 8}.png", "sensor_time": k / 10,
        }
        for k in range(frames)
    ]  # fmt: skip
    write_batch(root, _pair_info().model_dump(mode="json"), pd.DataFrame(rows))
    code = "import sys; from sensorproof.benchmarks.alignment import measure_and_tell; measure_and_tell(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["peak_mib"])


def _measure_and_tell(root: str) -> None:
    """Measure a batch and print this process's peak memory, as JSON."""
    import resource

    from sensorproof.alignment.measurement import measure_batch
    from sensorproof.data.batch import read_batch

    measure_batch(read_batch(Path(root)), load_settings().validation)
    print(json.dumps({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
