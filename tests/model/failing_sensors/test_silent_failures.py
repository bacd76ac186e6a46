"""Silent failures of a model's sensors, scored with and without its monitor."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.monitored_scenes import CHANNELS, FRAMES, SETTINGS
from helpers.project_artifacts import make_meta, write_prepared, write_raw
from helpers.project_artifacts import write_model as write_other_model
from sensorproof.benchmarks.silent import bench_silent
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.metadata import SensorInput
from sensorproof.documents.silent import SilentScores
from sensorproof.errors import BatchError, UsageError
from sensorproof.evaluation.failures import FAILURES, FURTHER, Context, Failure, Images
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.silent import _other_rows, _weigh, score_silent_failures
from sensorproof.evaluation.subsets import score_subsets
from sensorproof.models import Segmenter
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.monitoring.monitor import Monitor, MonitoredSensor
from sensorproof.monitoring.stream import Verdict
from sensorproof.serving.predictor import Predictor, load_predictor

SENSORS = sorted(CHANNELS)
NOTHING: dict[str, Failure] = {"nothing": lambda images, context: images}
"""A failure that none is."""


@pytest.fixture(scope="module")
def scores(model: Segmenter, monitor: Monitor, frames: PreparedFrames) -> SilentScores:
    return score_silent_failures(model, monitor, frames, FAILURES)


def deafen(monitor: Monitor) -> Monitor:
    """A monitor that never alarms, but for what repeats."""
    sensors = {
        name: MonitoredSensor(
            kind=sensor.kind,
            normal=sensor.normal.model_copy(
                update={"range_threshold": None, "distance_threshold": None, "empty": 1.0, "roughness": 100.0}
            ),
        )
        for name, sensor in monitor.description.sensors.items()
    }
    update = {"sensors": sensors, "mismatch_threshold": 1e9}
    return Monitor(monitor.description.model_copy(update=update), monitor.usual_maps)


def subset_scores(model: Segmenter, data: PreparedDataset) -> dict[str, float]:
    classes = data.meta.class_names
    return score_subsets(model, data.ordered("val", 5), classes).subsets


def test_full_and_absent_are_the_scores_of_the_subsets(
    model: Segmenter, data: PreparedDataset, scores: SilentScores
) -> None:
    subsets = subset_scores(model, data)
    assert scores.full == pytest.approx(subsets["camera+depth+thermal"])
    for name, sensor in scores.sensors.items():
        rest = "+".join(other for other in SENSORS if other != name)
        assert sensor.absent == pytest.approx(subsets[rest])
        assert list(sensor.failures) == list(FAILURES)


def test_a_frame_that_has_no_other_sensor_does_not_count_where_its_own_is_absent(
    model: Segmenter, monitor: Monitor, data: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = data.rows("val")
    present = {name: mask.copy() for name, mask in data.present.items()}
    present["depth"][rows[:3]] = present["thermal"][rows[:3]] = False
    monkeypatch.setattr(data, "present", present)
    scores = score_silent_failures(model, monitor, PreparedFrames.of_split(data, "val"), {})
    subsets = subset_scores(model, data)
    absent = {name: sensor.absent for name, sensor in scores.sensors.items()}
    assert absent == pytest.approx(
        {"camera": subsets["depth+thermal"], "depth": subsets["camera+thermal"], "thermal": subsets["camera+depth"]}
    )


def test_a_failure_that_none_is_costs_nothing(model: Segmenter, monitor: Monitor, frames: PreparedFrames) -> None:
    scores = score_silent_failures(model, monitor, frames, NOTHING)
    for sensor in scores.sensors.values():
        assert sensor.failures["nothing"].kept == scores.full
        assert sensor.failures["nothing"].monitored == scores.monitored
    found = sum(s.failures["nothing"].noticed * n for s, n in zip(scores.sensors.values(), (12, 11, 12), strict=True))
    assert found == pytest.approx(scores.false_alarms.alarms)  # what is noticed then is a false alarm


def test_a_monitor_that_never_alarms_changes_nothing(
    model: Segmenter, monitor: Monitor, frames: PreparedFrames
) -> None:
    quiet = {kind: failure for kind, failure in FAILURES.items() if kind != "frozen"}
    scores = score_silent_failures(model, deafen(monitor), frames, quiet)
    assert scores.monitored == scores.full
    assert scores.false_alarms.alarms == 0
    for sensor in scores.sensors.values():
        for own in sensor.failures.values():
            assert own.monitored == own.kept
            assert own.noticed == 0


def test_a_failure_that_is_always_noticed_is_as_declared_absence(scores: SilentScores) -> None:
    for sensor in scores.sensors.values():
        for kind in ("black", "bright", "noise"):
            own = sensor.failures[kind]
            assert own.noticed == 1
            assert own.monitored == pytest.approx(sensor.absent)
            assert own.kept != sensor.absent
        assert sensor.failures["half_lost"].noticed == 1
        assert sensor.failures["half_lost"].monitored != sensor.absent  # the half that is left is used


def test_a_frozen_sensor_is_noticed_from_the_second_frame_of_each_sequence_on(scores: SilentScores) -> None:
    """Also in the second sequence, whose first image is no repetition of anything."""
    assert scores.sensors["camera"].failures["frozen"].noticed == pytest.approx(1 - 2 / (2 * FRAMES))
    assert scores.sensors["depth"].failures["frozen"].noticed == pytest.approx(1 - 2 / (2 * FRAMES - 1))


def test_images_of_sound_sensors_are_counted_by_condition(scores: SilentScores) -> None:
    images = {condition: each.images for condition, each in scores.conditions.items()}
    assert images == {"(none)": 3 * FRAMES - 1, "day": 3 * FRAMES}


def test_the_same_seed_gives_the_same_scores(
    model: Segmenter, monitor: Monitor, frames: PreparedFrames, scores: SilentScores
) -> None:
    before = {name: frames.images(name, np.arange(2 * FRAMES)) for name in SENSORS}
    assert score_silent_failures(model.train(), monitor, frames, FAILURES) == scores
    assert not model.training
    other = score_silent_failures(model, monitor, frames, {"noise": FAILURES["noise"]}, seed=1)
    kept = {name: sensor.failures["noise"].kept for name, sensor in other.sensors.items()}
    assert kept != {name: sensor.failures["noise"].kept for name, sensor in scores.sensors.items()}
    for name, images in before.items():
        np.testing.assert_array_equal(frames.images(name, np.arange(2 * FRAMES)), images)


def test_the_passes_do_not_matter(
    model: Segmenter, monitor: Monitor, frames: PreparedFrames, scores: SilentScores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams go on from one pass to the next; only the noise is drawn again in each."""
    monkeypatch.setattr("sensorproof.evaluation.silent._AT_ONCE", 5)
    kinds = ("frozen", "other_frame", "shifted", "black")
    again = score_silent_failures(model, monitor, frames, {kind: FAILURES[kind] for kind in kinds})
    assert again.conditions == scores.conditions
    assert again.full == pytest.approx(scores.full, abs=0.05)
    for name, sensor in again.sensors.items():
        for kind in kinds:
            assert sensor.failures[kind].noticed == scores.sensors[name].failures[kind].noticed
            assert sensor.failures[kind].kept == pytest.approx(scores.sensors[name].failures[kind].kept, abs=0.05)


def test_a_failure_is_shown_what_the_context_promises(
    model: Segmenter, monitor: Monitor, frames: PreparedFrames
) -> None:
    rows = np.arange(2 * FRAMES)
    seen: dict[int, tuple[Images, Context]] = {}

    def look(images: Images, context: Context) -> Images:
        seen[len(seen)] = (images.copy(), context)
        return images

    score_silent_failures(model, monitor, frames, {"look": look})
    for number, name in enumerate(SENSORS):
        images, context = seen[number]
        real = frames.images(name, rows).astype(np.float32)
        np.testing.assert_array_equal(images, real)
        here = np.flatnonzero(frames.present(name))
        first, before = np.repeat([0, FRAMES], FRAMES), np.maximum(rows - 1, np.repeat([0, FRAMES], FRAMES))
        np.testing.assert_array_equal(context.first[here], real[first][here])
        np.testing.assert_array_equal(context.before[here], real[before][here])
        assert np.isfinite(context.other[here]).any((1, 2, 3)).all()
        own = {real[row].tobytes(): row // FRAMES for row in here}
        shown = [own[context.other[row].tobytes()] for row in here]
        apart = [a != row // FRAMES for a, row in zip(shown, here, strict=True)]
        assert sum(apart) >= len(here) - 1  # the frame whose other one lacks the sensor shows itself


def test_a_sensor_that_the_frames_lack_is_not_judged(model: Segmenter, monitor: Monitor, data: PreparedDataset) -> None:
    """One alone has nothing to be compared with, and is never left out."""

    class CameraOnly(PreparedFrames):
        @property
        def sensors(self) -> dict[str, SensorInput]:
            return {"camera": self.data.meta.sensors["camera"]}

    alone = CameraOnly(data, data.rows("val"))
    scores = score_silent_failures(model, monitor, alone, {"black": FAILURES["black"]})
    assert list(scores.sensors) == ["camera"]
    assert scores.full == pytest.approx(subset_scores(model, data)["camera"])
    own = scores.sensors["camera"].failures["black"]
    assert scores.sensors["camera"].absent == 0
    assert (own.noticed, own.monitored) == (0, own.kept)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 1000))
def test_each_frame_gets_one_of_another_sequence_where_there_is_one(lengths: list[int], seed: int) -> None:
    sequences = np.repeat([f"s{k}" for k in range(len(lengths))], lengths)
    order = _other_rows(sequences, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(sequences)))
    if len(lengths) == 1:
        assert lengths[0] == 1 or (order != np.arange(len(order))).all()
    elif 2 * max(lengths) < len(sequences):
        assert (sequences[order] != sequences).all()


def test_a_failing_sensor_weighs_nothing_and_a_partly_lost_one_where_it_is_usable() -> None:
    present = {name: torch.tensor([True, True, False]) for name in ("camera", "depth")}
    half = np.array([[True, True], [False, False]])
    sound, bad, part = Verdict(False, 0.0), Verdict(True, 9.0, "black"), Verdict(True, 2.0, "partly lost", half)
    verdicts = [{"camera": bad, "depth": sound}, {"camera": sound, "depth": part}, {}]
    weights = _weigh(present, verdicts)
    assert weights["camera"].tolist() == [False, True, False]
    assert weights["depth"].tolist() == [[[1, 1], [1, 1]], [[1, 1], [0, 0]], [[0, 0], [0, 0]]]
    same = _weigh(present, [{"camera": sound}, {"depth": sound}, {}])
    assert all(torch.equal(same[name], present[name]) for name in present)


def fit_to_noise(folder: Path) -> Predictor:
    """A model with a monitor of two sensors whose images are noise over boxes."""
    description = write_other_model(folder / "model", 0)
    write_prepared(folder / "prepared")
    predictor = load_predictor(folder / "model", "cpu")
    monitor = fit_monitor(predictor.model, PreparedDataset(folder / "prepared"), SETTINGS)
    return Predictor(predictor.model, description, "cpu", monitor)


def test_a_batch_is_tried_with_either_set_of_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorproof.benchmarks.silent._ROUNDS", 2)
    batch, predictor = write_raw(tmp_path / "yard"), fit_to_noise(tmp_path)
    for further, failures in ((False, FAILURES), (True, FURTHER)):
        scores, share = bench_silent(predictor, batch, None, further=further)
        assert sorted(scores.sensors) == ["camera", "depth"]
        assert all(list(sensor.failures) == list(failures) for sensor in scores.sensors.values())
        assert share > 0
        assert scores.false_alarms.images == 8  # five frames, two without one of the sensors
    assert bench_silent(predictor, batch, "test", further=False)[0].false_alarms.images == 2


def test_what_cannot_be_tried_is_named(tmp_path: Path) -> None:
    batch, predictor = write_raw(tmp_path / "yard"), fit_to_noise(tmp_path)
    with pytest.raises(UsageError, match="has no monitor"):
        bench_silent(Predictor(predictor.model, predictor.description, "cpu"), batch, None, further=False)
    with pytest.raises(BatchError, match="has no labelled frame of the split night"):
        bench_silent(predictor, batch, "night", further=False)
    classes = make_meta().classes[:2]
    fewer = Predictor(
        predictor.model, predictor.description.model_copy(update={"classes": classes}), "cpu", predictor.monitor
    )
    with pytest.raises(BatchError, match="classes differ from the model's"):
        bench_silent(fewer, batch, None, further=False)
