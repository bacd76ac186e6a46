"""The champion's answers are those that it gives in use: with its monitor, each sequence as one stream."""

from pathlib import Path

import numpy as np
import pytest

from helpers.batches import edit_info, put
from helpers.project_artifacts import write_model, write_monitor, write_raw
from sensorproof.data.batch import read_batch
from sensorproof.errors import BatchError
from sensorproof.field.answers import ask
from sensorproof.loading import load_model
from sensorproof.serving.batches import read
from sensorproof.serving.predictor import Predictor

SPLITS = ("train", "val", "train", "val", "test", "test")
"""Each is a sequence: the frames of two are mixed in frames.csv."""


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    root = tmp_path_factory.mktemp("champion")
    write_model(root / "model", 3)
    write_monitor(root / "model", root / "prepared")
    return load_model(root / "model", "cpu")


def test_they_are_those_of_the_predictor_sequence_by_sequence(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b", SPLITS)
    answers = ask(predictor, batch, 100)
    expected = []
    for rows in ((0, 2), (1, 3), (4, 5)):
        stream = predictor.open_stream()
        frames = [read(batch, row, predictor.sensors).images for row in rows]
        expected += predictor.predict(frames, predictor.description.size, stream=stream)
    assert [answer.confidence for answer in answers] == [pytest.approx(p.confidence.mean()) for p in expected]
    assert [answer.failing for answer in answers] == [tuple(p.failing) for p in expected]
    assert any(answer.failing for answer in answers)  # these images are unlike those that the monitor was fitted on
    assert {answer.site for answer in answers} == {"x"}


def test_of_a_large_batch_whole_sequences_are_asked(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b", SPLITS)
    assert len(ask(predictor, batch, 4)) == 4
    assert len(ask(predictor, batch, 1)) == 2


def test_a_frame_that_nothing_can_be_read_of_has_no_answer(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b", SPLITS)
    for row in (0, 3):
        for sensor, ending in (("camera", "png"), ("depth", "npy")):
            (tmp_path / "b" / sensor / f"f{row}.{ending}").unlink(missing_ok=True)
    answers = ask(predictor, batch, 100)
    assert len(answers) == 4
    assert all(np.isfinite(answer.confidence) for answer in answers)


def test_another_schema_is_named(predictor: Predictor, tmp_path: Path) -> None:
    write_raw(tmp_path / "b", SPLITS)
    edit_info(tmp_path / "b", put("sensors", "depth", "range", value=[0.0, 9.0]))
    with pytest.raises(BatchError, match=r"depth: range is .*, the model was trained on"):
        ask(predictor, read_batch(tmp_path / "b"), 100)
