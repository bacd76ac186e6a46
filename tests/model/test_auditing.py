"""Scores of any model on a batch, with every subset of its sensors and with broken ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import sensorproof
from helpers.batches import edit_frames, make_batch
from helpers.project_artifacts import make_meta, write_model, write_raw
from sensorproof import audit, evaluate
from sensorproof.errors import BatchError, SensorproofError, UsageError

SUBSETS = ["camera", "camera+lidar", "camera+lidar+thermal", "camera+thermal", "lidar", "lidar+thermal", "thermal"]
Images = dict[str, NDArray]


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Eight frames of road (class 0, below) and sky (class 3, above), which every sensor shows."""
    return make_batch(tmp_path / "yard")


def by_camera(images: Images) -> NDArray:
    """Class ids of the camera alone: what is bright is sky."""
    return np.where(images["camera"][0] > 120, 3, 0)


def by_any(images: Images) -> NDArray:
    """Logits of whatever sensors there are; each knows the answer."""
    votes = []
    if "camera" in images:
        votes.append(images["camera"][0] > 120)
    if "thermal" in images:
        votes.append(images["thermal"][0] < 15000)
    if "lidar" in images:
        votes.append(images["lidar"][0] < 1)
    sky = np.mean(votes, axis=0)
    return np.stack([1 - sky, sky])


def test_a_model_that_needs_the_camera_gets_zeros_and_fails_without_it(batch: Path) -> None:
    result = audit(by_camera, batch)
    assert (result.missing, result.frames) == ("zero", 8)
    assert sorted(result.scores.subsets) == SUBSETS
    for subset, score in result.scores.subsets.items():
        if "camera" in subset:
            assert score == pytest.approx(100.0)
        else:  # all road: the sky is missed
            assert score < 50
            assert result.scores.per_class[subset]["sky"] == 0


def test_a_model_that_takes_any_subset_is_left_alone(batch: Path) -> None:
    result = audit(by_any, batch)
    assert result.missing == "drop"
    assert result.scores.full > 95
    assert result.scores.subsets["thermal"] == pytest.approx(100.0)
    assert result.scores.support["sky"] > 0


def test_the_mean_stands_in_if_asked(batch: Path) -> None:
    seen: list[float] = []

    def remember(images: Images) -> NDArray:
        seen.append(float(images["camera"].mean()))
        return by_camera(images)

    result = audit(remember, batch, missing="mean")
    assert result.missing == "mean"
    assert min(seen) > 20  # never the zeros of a black camera


def test_a_module_gets_tensors_and_is_put_into_evaluation(batch: Path) -> None:
    class Model(nn.Module):
        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            assert not self.training
            sky = (inputs["camera"][:, :1] > 120).float()
            return torch.cat([1 - sky, sky], 1)

    assert audit(Model().train(), batch).scores.full == pytest.approx(100.0)


def test_a_frame_that_lacks_a_sensor_counts_with_the_others(batch: Path) -> None:
    edit_frames(batch, lambda rows: [row.update(lidar="", lidar_time="") for row in rows[:4]])
    result = audit(by_any, batch)
    assert sorted(result.scores.subsets) == SUBSETS
    pixels = result.scores.support
    edit_frames(batch, lambda rows: [row.update(lidar="", lidar_time="") for row in rows])
    with pytest.raises(SensorproofError, match="no frame to score with lidar; give labelled frames with these sensors"):
        audit(by_any, batch)
    assert pixels == audit(by_any, make_batch(batch.with_name("quay"))).scores.support


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda images: by_any(images)[:, :4], "answers at 4 x 16, the label has 12 x 16"),
        (lambda images: by_any(images)[None], r"answers with float64 of shape \(1, 2, 12, 16\)"),
        (lambda images: by_any(images) * np.nan, r"return finite logits \(2, height, width\) or class ids"),
        (lambda images: {"out": by_any(images)}, "answers with object"),
        (lambda images: by_any(images).argmax(0).astype(float), "answers with float64"),
    ],
)
def test_an_answer_of_another_form_is_one_line(batch: Path, model: Callable[[Images], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        audit(model, batch, missing="zero")
    assert "\n" not in str(caught.value)


def test_an_id_that_is_no_class_is_a_miss(batch: Path) -> None:
    assert audit(lambda images: np.full((12, 16), 99), batch, missing="zero").scores.full == 0


def test_bad_arguments_are_named(batch: Path) -> None:
    with pytest.raises(UsageError, match="missing: is 'magic'; choose from auto, drop, zero, mean"):
        audit(by_any, batch, missing="magic")  # type: ignore[arg-type]
    edit_frames(batch, lambda rows: [row.update(label="") for row in rows])
    with pytest.raises(BatchError, match="has no labelled frame that can be scored"):
        audit(by_any, batch)


def test_a_model_of_ours_is_scored_as_by_its_own_predictions(tmp_path: Path) -> None:
    """`evaluate` encodes once and decodes every subset; `audit` of the predictor's labels must say the same."""
    batch = write_raw(tmp_path / "yard")
    write_model(tmp_path / "model", 3, make_meta())
    predictor = sensorproof.load_model(tmp_path / "model", "cpu")
    ours = evaluate(predictor, batch)
    sizes = {"camera": (50, 61), "depth": (50, 61)}
    theirs = audit(lambda images: predictor.predict([images], sizes["camera"])[0].labels, batch, missing="drop").scores
    assert ours.subsets == pytest.approx(theirs.subsets)
    assert ours.per_class == theirs.per_class
    assert ours.support == theirs.support
    with pytest.raises(BatchError, match="classes differ from the model's"):
        evaluate(predictor, make_batch(tmp_path / "other"))


def raise_alone(images: Images) -> NDArray:
    if set(images) == {"lidar"}:
        raise KeyError("camera")
    return by_any(images)


def another_size_alone(images: Images) -> NDArray:
    return by_any(images)[:, :5] if set(images) == {"lidar"} else by_any(images)


def nan_alone(images: Images) -> NDArray:
    return by_any(images) * np.nan if set(images) == {"lidar"} else by_any(images)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (raise_alone, "raises KeyError: 'camera'"),
        (another_size_alone, "answers at 5 x 16, the label has 12 x 16"),
        (nan_alone, "answers with NaN or infinite logits"),
    ],
)
def test_a_subset_without_an_answer_is_named_and_the_rest_goes_on(
    batch: Path, model: Callable[[Images], Any], reason: str
) -> None:
    result = audit(model, batch, missing="drop")
    assert result.failed == {"lidar": reason}
    assert sorted(result.scores.subsets) == [name for name in SUBSETS if name != "lidar"]
    assert result.scores.subsets == {k: v for k, v in audit(by_any, batch).scores.subsets.items() if k != "lidar"}
    assert result.record.full == result.scores.full
    assert result.record.expected == {}  # a mean that leaves out the worst case would flatter


def test_a_model_that_fails_with_all_sensors_has_no_full_score(batch: Path) -> None:
    result = audit(lambda images: 1 / 0 if len(images) == 3 else by_any(images), batch)
    assert result.record.full is None
    assert result.failed == {"camera+lidar+thermal": "raises ZeroDivisionError: division by zero"}
    assert result.record.mean > 90


def test_a_model_that_fails_later_on_is_not_scored_on_fewer_frames(batch: Path) -> None:
    calls: list[int] = []

    def tire(images: Images) -> NDArray:
        calls.append(len(images))
        if len(images) == 3 and calls.count(3) > 4:
            raise MemoryError
        return by_any(images)

    result = audit(tire, batch)
    assert result.failed == {"camera+lidar+thermal": "raises MemoryError"}
    assert calls.count(3) == 5


def test_a_model_that_changes_its_input_spoils_nothing(batch: Path) -> None:
    def careless(images: Images) -> NDArray:
        answer = by_any(images)
        for pixels in images.values():
            pixels *= 0
        return answer

    assert audit(careless, batch).scores == audit(by_any, batch).scores


def test_the_choice_rests_on_a_frame_with_all_sensors(batch: Path) -> None:
    """The first frame has the camera alone, on which alone this model could be tried there."""
    edit_frames(batch, lambda rows: rows[0].update(lidar="", lidar_time="", thermal="", thermal_time=""))
    result = audit(by_camera, batch)
    assert result.missing == "zero"
    assert result.record.missing_reason == "given thermal alone, it raises KeyError: 'camera'"


def test_only_frames_of_a_split_are_scored(batch: Path) -> None:
    edit_frames(batch, lambda rows: [row.update(split="test" if i < 3 else "train") for i, row in enumerate(rows)])
    assert audit(by_any, batch, split="test").frames == 3
    with pytest.raises(BatchError, match="has no labelled frame of the split val"):
        audit(by_any, batch, split="val")


def test_the_expected_score_weighs_subsets_by_their_probability(batch: Path) -> None:
    record = audit(by_camera, batch).record
    scores = record.subsets
    total = sum(
        0.1 ** (3 - len(name.split("+"))) * 0.9 ** len(name.split("+")) * (case.score or 0)
        for name, case in scores.items()
    )
    assert record.expected["0.1"] == pytest.approx(total / (1 - 0.1**3))
    assert record.expected["0.2"] < record.expected["0.1"] < record.expected["0.05"] < (record.full or 0)


def test_broken_sensors_are_believed_and_stand_beside_declared_absence(batch: Path) -> None:
    result = audit(by_camera, batch, failures=True)
    camera, lidar = result.record.broken["camera"], result.record.broken["lidar"]
    blind = result.scores.subsets["lidar+thermal"]  # zeros for the camera, which is what a black one shows
    assert camera.failures["black"].score == pytest.approx(blind)
    assert (camera.failures["bright"].score or 0) < 50  # all sky
    assert (camera.failures["half_lost"].score or 0) > 0
    assert (camera.noise["low"].score or 0) > (camera.noise["high"].score or 100) > 40
    assert list(camera.noise) == ["low", "mid", "high"]
    assert set(camera.failures) == {
        *("black", "bright", "noise", "dark", "frozen", "other_frame", "shifted", "half_lost")
    }
    assert {case.score for case in [*lidar.failures.values(), *lidar.noise.values()]} == {result.record.full}
    assert audit(by_camera, batch, failures=True).record == result.record


def test_a_model_that_fails_on_a_broken_sensor_is_named(batch: Path) -> None:
    def fussy(images: Images) -> NDArray:
        if images["camera"].max() == 0:
            raise ValueError("black image")
        return by_camera(images)

    record = audit(fussy, batch, missing="mean", failures=True).record
    assert record.broken["camera"].failures["black"].reason == "raises ValueError: black image"
    assert record.broken["camera"].failures["bright"].score is not None
    assert record.failed == {}


def test_a_sensor_that_one_frame_has_neither_freezes_nor_swaps(tmp_path: Path) -> None:
    record = audit(by_any, make_batch(tmp_path / "single", sequences=1, frames=1), failures=True).record
    assert {"frozen", "other_frame"} & set(record.broken["camera"].failures) == set()


def test_a_predictor_is_audited_as_it_is_evaluated(tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "yard")
    write_model(tmp_path / "model", 3, make_meta())
    predictor = sensorproof.load_model(tmp_path / "model", "cpu")
    result = audit(predictor, batch, failures=True)
    assert result.missing == "drop"
    assert result.scores.subsets == pytest.approx(evaluate(predictor, batch).subsets)
    assert set(result.record.broken) == {"camera", "depth"}
    with pytest.raises(BatchError, match="classes differ from the model's"):
        audit(predictor, make_batch(tmp_path / "other"))


def test_degradations_are_believed_and_what_does_not_touch_the_model_costs_nothing(batch: Path) -> None:
    record = audit(by_camera, batch, protocols=["degradations"], severities=[1, 5]).record
    assert record.rmm == {}
    camera, lidar = record.broken["camera"], record.broken["lidar"]
    assert camera.failures == camera.noise == {}
    assert set(camera.degradations) == {*("motion_blur", "over_exposure", "under_exposure", "fog", "frozen", "delayed")}
    assert list(camera.degradations["fog"]) == ["1", "5"]
    assert (camera.degradations["under_exposure"]["5"].score or 0) < (record.full or 0)
    assert {case.score for curve in lidar.degradations.values() for case in curve.values()} == {record.full}
    assert audit(by_camera, batch, protocols=["degradations"], severities=[5, 1]).record == record


def test_rmm_thins_the_sensors_that_are_not_sound(batch: Path) -> None:
    record = audit(by_camera, batch, protocols=["rmm"]).record
    assert record.broken == {}
    assert list(record.rmm) == ["0.25", "0.5", "0.75"]
    for table in record.rmm.values():
        assert set(table) == set(SUBSETS)
        assert {table[name].score for name in table if "camera" in name} == {record.full}
    few, many = (record.rmm[share]["lidar"].score or 0 for share in ("0.25", "0.75"))
    assert many < few < (record.full or 0)


def test_every_score_has_an_interval_over_the_frames(batch: Path) -> None:
    record = audit(by_any, batch, failures=True).record
    assert (record.units, record.drawn) == ("frames", 8)
    assert set(record.intervals) == {"full", "mean", "worst"}
    for figure in ("full", "mean", "worst"):
        low, high = record.intervals[figure]
        assert low is not None
        assert high is not None
        assert low <= getattr(record, figure) <= high
    case = record.broken["camera"].failures["noise"]
    assert case.score is not None
    assert case.interval[0] is not None
    assert case.interval[0] < case.score


def test_one_frame_has_no_interval(tmp_path: Path) -> None:
    record = audit(by_any, make_batch(tmp_path / "single", sequences=1, frames=1)).record
    assert record.intervals == dict.fromkeys(("full", "mean", "worst"), (None, None))


def test_sensors_may_fail_with_probabilities_of_their_own(batch: Path) -> None:
    given = {"camera": 0.5, "lidar": 0.0, "thermal": 0.0}
    record = audit(by_camera, batch, failure_probability=given).record
    assert record.failure_probability == given
    both = [record.subsets[name].score or 0 for name in ("camera+lidar+thermal", "lidar+thermal")]
    assert record.expected["given"] == pytest.approx(np.mean(both))
    one = audit(by_camera, batch, failure_probability=0.1).record
    assert one.expected["given"] == one.expected["0.1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocols": ["magic"]}, r"protocols: \['magic'\] are unknown"),
        ({"severities": [6]}, r"severities: \[6\] are unknown"),
        ({"failure_probability": {"camera": 0.1}}, "unknown or missing for lidar, thermal"),
        ({"failure_probability": 1.0}, "of camera is 1; give 0 or more, below 1"),
    ],
)
def test_what_cannot_be_asked_for_is_named(batch: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        audit(by_camera, batch, **options)


def test_a_subset_without_an_answer_has_neither_score_nor_interval(batch: Path) -> None:
    def moody(images: Images) -> NDArray:
        if set(images) == {"lidar"}:
            return np.full((2, *images["lidar"].shape[1:]), np.nan)
        return by_any(images)

    record = audit(moody, batch, missing="drop", protocols=["rmm"]).record
    assert record.failed == {"lidar": "answers with NaN or infinite logits"}
    assert record.subsets["lidar"].interval == (None, None)
    assert record.intervals["mean"][0] is not None
    assert record.expected == {}
    assert record.rmm["0.5"]["lidar"].score is not None  # there it is given the others too
