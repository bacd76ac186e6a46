"""Scores of any model on a batch, with every subset of its sensors."""

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
