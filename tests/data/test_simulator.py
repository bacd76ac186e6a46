"""The embedded data: reproducible to the byte, and consistent as one world seen by four sensors is."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from sensorproof.cli import app
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_checks import Finding, Frame, load_frame
from sensorproof.data.simulator import SimulationConfig, generate, simulate_batch
from sensorproof.data.simulator.failures import ABSENT, FAILURES
from sensorproof.data.simulator.geometry import CAMERA_HEIGHT, CAMERA_PITCH, Pinhole
from sensorproof.data.simulator.layout import make_drive, make_scene, make_style
from sensorproof.data.simulator.render import Frame as Rendered
from sensorproof.data.simulator.render import Sequence, render
from sensorproof.data.simulator.scene import Label
from sensorproof.data.simulator.weather import DAY, NIGHT
from sensorproof.errors import UsageError

SMALL = SimulationConfig("small", size=(48, 60), sites=2, sequences=4, frames=2, failures=0.0)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return simulated(tmp_path_factory.mktemp("data"), SMALL)


@pytest.fixture(scope="module")
def frames(batch: Batch) -> list[tuple[Frame, list[Finding]]]:
    return [load_frame(batch, k) for k in range(len(batch.frames))]


def simulated(folder: Path, plan: SimulationConfig, **options: Any) -> Batch:
    simulate_batch(folder / plan.name, plan, **options)
    return read_batch(folder / plan.name)


def digest(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_seed_decides_every_byte_and_the_number_of_processes_none(tmp_path: Path) -> None:
    plan = {"name": "a", "size": (16, 20), "sites": 1, "sequences": 2, "frames": 2, "failures": 0.5}
    first = digest(simulated(tmp_path, SimulationConfig(**plan, seed=3)).root)
    assert digest(simulated(tmp_path, SimulationConfig(**plan, seed=3), force=True, workers=2).root) == first
    other = digest(simulated(tmp_path, SimulationConfig(**plan, seed=4), force=True).root)
    images = [name for name in first if name.endswith((".png", ".npy")) and name in other]
    assert len(images) > 8
    assert not [name for name in images if first[name] == other[name]]


def test_sites_of_other_numbers_are_other_places_and_of_the_same_number_the_same(batch: Batch, tmp_path: Path) -> None:
    plan = SimulationConfig("second", size=SMALL.size, sites=1, sequences=4, frames=2, failures=0.0, site_offset=1)
    second = digest(simulated(tmp_path, plan).root)
    both = digest(batch.root)
    labels = [name for name in second if name.startswith("label/")]
    assert labels
    assert all(second[name] == both[name] for name in labels)
    assert not [n for n in labels if both[n] == both[n.replace("site-01", "site-00")]]


def test_every_claim_is_borne_out(frames: list[tuple[Frame, list[Finding]]]) -> None:
    assert [finding for _, found in frames for finding in found] == []
    for frame, _ in frames:
        assert {name: image.shape for name, image in frame.images.items()} == {
            "camera": (3, 48, 60),
            "thermal": (1, 48, 60),
            "depth": (1, 48, 60),
            "lidar": (2, 48, 60),
        }


def test_what_a_batch_has(batch: Batch) -> None:
    table = batch.frames
    assert len(table) == SMALL.sites * SMALL.sequences * SMALL.frames
    assert set(table.condition) == {"day", "night", "fog", "rain"}
    assert table.groupby("site").sequence.nunique().tolist() == [4, 4]
    assert (table.label != "").all()
    assert batch.info.reference == "camera"


def test_times_lie_within_their_tolerance_and_go_forward(batch: Batch) -> None:
    for name, sensor in batch.sensors.items():
        offset = batch.frames[f"{name}_time"] - batch.frames.camera_time
        assert offset.abs().max() <= sensor.max_time_offset_s
        assert name == "camera" or offset.std() > 0
        steps = batch.frames.groupby("sequence")[f"{name}_time"].diff().dropna()
        assert (steps > 0.4).all()
        captured = sensor.calibration.captured if sensor.calibration else None
        assert captured is not None
        age = batch.frames.camera_time.min() - np.datetime64(captured).astype("datetime64[s]").astype(float)
        assert 0 < age < 30 * 86400


def test_all_classes_occur_and_far_things_are_ignored(frames: list[tuple[Frame, list[Finding]]]) -> None:
    seen = np.unique(np.concatenate([f.label.ravel() for f, _ in frames if f.label is not None]))
    assert set(seen) - {255} == {int(label) for label in Label}


def of_condition(batch: Batch, frames: list[tuple[Frame, list[Finding]]], condition: str) -> list[Frame]:
    return [f for (f, _), c in zip(frames, batch.frames.condition, strict=True) if c == condition]


def pixel_rays(batch: Batch) -> NDArray[np.float64]:
    """(H, W, 3) points at depth 1 through the pixel centres, from the K that batch.yaml claims."""
    calibration = batch.sensors["camera"].calibration
    assert calibration is not None
    v, u = np.mgrid[0 : SMALL.size[0], 0 : SMALL.size[1]] + 0.5
    return np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(calibration.intrinsics).T


def test_lidar_and_depth_measure_the_same_surfaces(batch: Batch, frames: list[tuple[Frame, list[Finding]]]) -> None:
    """Depth, carried into the LiDAR's frame by the claimed calibration, is as far away as the LiDAR says."""
    calibration = batch.sensors["lidar"].calibration
    assert calibration is not None
    turn, shift = calibration.pose[:3, :3], calibration.pose[:3, 3]
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.norm(shift) > 0.1
    errors, without_pose, mirrored = [], [], []
    for frame in of_condition(batch, frames, "day"):
        z = frame.images["depth"][0] / 1000
        points = pixel_rays(batch) * z[..., None]
        reach = frame.images["lidar"][0]
        # The ground is the same on the left and on the right; what stands on it is not.
        standing = (z < 15) & np.isin(frame.label, [Label.BUILDING, Label.VEGETATION, Label.VEHICLE, Label.PEDESTRIAN])
        expected = np.linalg.norm((points - shift) @ turn, axis=-1)
        errors.append((expected - reach)[z < 10])
        without_pose.append((np.linalg.norm(points, axis=-1) - reach)[z < 10])
        mirrored.append(np.stack([expected - reach, expected - reach[:, ::-1]])[:, standing])
    median, bare = (np.nanmedian(np.abs(np.concatenate(e))) for e in (errors, without_pose))
    own, flipped = np.nanmedian(np.abs(np.concatenate(mirrored, axis=1)), axis=1)
    assert np.isfinite(np.concatenate(errors)).sum() > 300
    assert median < 0.15
    assert bare > 2 * median
    assert flipped > 3 * own


def test_the_road_lies_flat_where_depth_says_it_does(batch: Batch, frames: list[tuple[Frame, list[Finding]]]) -> None:
    heights = []
    for frame in of_condition(batch, frames, "day"):
        points = pixel_rays(batch) * (frame.images["depth"][0] / 1000)[..., None]
        below = points[..., 1] * np.cos(CAMERA_PITCH) + points[..., 2] * np.sin(CAMERA_PITCH)
        heights.append(below[(frame.label == Label.ROAD) & (points[..., 2] < 8)])
    assert np.nanmedian(np.concatenate(heights)) == pytest.approx(CAMERA_HEIGHT, abs=0.1)
    assert np.nanstd(np.concatenate(heights)) < 0.3


def test_the_sky_is_cold_empty_and_up(batch: Batch, frames: list[tuple[Frame, list[Finding]]]) -> None:
    for frame, _ in frames:
        sky = frame.label == Label.SKY
        if sky.sum() < 100:
            continue
        assert not np.isfinite(frame.images["depth"][0][sky]).any()
        assert np.median(frame.images["thermal"][0][sky]) < np.median(frame.images["thermal"][0][~sky])
        rows = np.nonzero(sky)[0]
        assert rows.mean() < np.nonzero(frame.label == Label.ROAD)[0].mean()


def test_night_is_darker_for_the_camera_and_not_for_the_lidar(
    batch: Batch, frames: list[tuple[Frame, list[Finding]]]
) -> None:
    day, night = (of_condition(batch, frames, c) for c in ("day", "night"))
    brightness = [np.mean([f.images["camera"].mean() for f in part]) for part in (day, night)]
    assert brightness[1] < 0.8 * brightness[0]
    returns = [np.mean([np.isfinite(f.images["lidar"][0]).mean() for f in part]) for part in (day, night)]
    assert returns[1] > 0.7 * returns[0]


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (17, 64)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    read = simulated(tmp_path, SimulationConfig("odd", size=size, sites=1, sequences=1, frames=1, failures=0.0))
    frame, findings = load_frame(read, 0)
    assert findings == []
    assert {image.shape[1:] for image in frame.images.values()} == {size}
    assert frame.label is not None
    assert frame.label.shape == size


@cache
def rendered(failure: str, night: bool = False) -> Rendered:
    """The same frame of the same world with one failure."""
    rng = np.random.default_rng(5)
    drive = make_drive(make_style(rng), rng)
    scene = make_scene(drive, 1.0, rng)
    sequence = Sequence(scene, drive, NIGHT if night else DAY, Pinhole(64, 80), np.zeros(80, np.float32))
    return render(sequence, 0.5, -0.01, failure, np.random.default_rng(7))


def roughness(image: NDArray[Any]) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=1)).mean())


def test_each_failure_does_what_its_name_says() -> None:
    good = rendered("")
    assert sorted(good.images) == ["camera", "depth", "lidar", "thermal"]
    for failure in FAILURES:
        bad = rendered(failure)
        assert np.array_equal(bad.label, good.label)
        assert set(good.images) - set(bad.images) == ({ABSENT[failure]} if failure in ABSENT else set())
    assert rendered("over_exposure").images["camera"].mean() > 1.3 * good.images["camera"].mean()
    assert (rendered("over_exposure").images["camera"] == 255).mean() > 0.2
    assert rendered("under_exposure").images["camera"].mean() < 0.6 * good.images["camera"].mean()
    assert roughness(rendered("motion_blur").images["camera"]) < 0.85 * roughness(good.images["camera"])
    assert roughness(rendered("thermal_low_resolution").images["thermal"]) < 0.7 * roughness(good.images["thermal"])
    moved = rendered("lidar_jitter").images["lidar"][..., 0].astype(float) - good.images["lidar"][..., 0]
    assert (moved != 0).mean() > 0.5 * (good.images["lidar"][..., 0] > 0).mean()


def test_failures_are_marked_where_they_are(tmp_path: Path) -> None:
    plan = SimulationConfig("failing", size=(16, 16), sites=1, sequences=2, frames=24, failures=1.0)
    table = simulated(tmp_path, plan).frames
    failure = table.condition.str.split("+").str[1]
    assert set(failure) == set(FAILURES)
    for name, sensor in ABSENT.items():
        assert ((table[sensor] == "") == (failure == name)).all()
        assert (table[f"{sensor}_time"].isna() == (failure == name)).all()
    assert (table.camera != "").all()


def test_the_share_of_failures_is_the_one_asked_for() -> None:
    rng = np.random.default_rng(0)
    drawn = [generate.draw_failure(0.1, rng) for _ in range(4000)]
    assert np.mean([d != "" for d in drawn]) == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "two words"},
        {"name": ""},
        {"size": (8, 100)},
        {"size": (100, 5000)},
        {"sites": 0},
        {"sequences": 0},
        {"frames": -1},
        {"seed": -1},
        {"site_offset": -1},
        {"failures": 1.5},
        {"failures": float("nan")},
    ],
)
def test_plans_that_make_no_sense(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(change))}: "):
        simulate_batch(tmp_path / "x", SimulationConfig(**{"name": "x"} | change))
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(generate, "write_batch", fail)
    with pytest.raises(OSError, match="disk full"):
        simulate_batch(tmp_path / "x", SimulationConfig("x", size=(16, 16), sites=1, sequences=1, frames=1))
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path) -> None:
    small = ["--size", "16", "20", "--sites", "1", "--sequences", "1", "--frames", "2", "--workers", "1"]
    runner, out = CliRunner(), tmp_path / "yard"
    done = runner.invoke(app, ["simulate", str(out), *small])
    assert (done.exit_code, read_batch(out).name, len(read_batch(out).frames)) == (0, "yard", 2)
    assert "2 frames of 1 drives at 1 sites" in done.stdout
    again = runner.invoke(app, ["simulate", str(out), *small])
    assert isinstance(again.exception, UsageError)
    assert runner.invoke(app, ["simulate", str(out), *small, "--force", "--seed", "1"]).exit_code == 0
    assert runner.invoke(app, ["simulate", str(out), "--frames", "many"]).exit_code == 2
