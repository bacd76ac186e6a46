"""The frames of prepared data and of a batch, as the evaluation of silent failures reads them."""

from pathlib import Path

import numpy as np
import pytest

from helpers.batches import edit_frames
from helpers.monitored_scenes import FRAMES, SEQUENCES, stream_of, write_scenes
from helpers.project_artifacts import MODEL, make_meta, write_raw
from helpers.project_artifacts import SIZE as MODEL_SIZE
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.metadata import IGNORE
from sensorproof.errors import BatchError
from sensorproof.evaluation.batch_frames import read_frames
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.models import describe_model

DESCRIPTION = describe_model(MODEL, make_meta())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedFrames:
    """The validation split: two sequences of one site."""
    data = PreparedDataset(write_scenes(tmp_path_factory.mktemp("scenes") / "prepared"))
    return PreparedFrames.of_split(data, "val")


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """Five frames; frame 1 has no depth, 2 no camera."""
    return write_raw(tmp_path / "yard")


def test_prepared_frames_are_those_of_the_split(prepared: PreparedFrames) -> None:
    assert prepared.sequences.tolist() == ["b/site-5/0"] * FRAMES + ["b/site-5/1"] * FRAMES
    assert prepared.conditions.tolist() == (["day"] * 3 + [""] * 3) * 2
    assert prepared.present("camera").all()
    assert np.flatnonzero(~prepared.present("depth")).tolist() == [2 * FRAMES - 1]
    assert prepared.sensors == prepared.data.meta.sensors


def test_rows_of_prepared_frames_are_counted_within_the_split(prepared: PreparedFrames) -> None:
    rows = np.array([7, 0, 7])
    images, labels = (np.concatenate([stream_of(*each)[0]["thermal"] for each in SEQUENCES["val"]]), prepared.labels)
    np.testing.assert_array_equal(prepared.images("thermal", rows), images[rows])
    truth = np.concatenate([stream_of(*each)[1] for each in SEQUENCES["val"]])
    np.testing.assert_array_equal(labels(rows), truth[rows])


def test_what_is_done_to_images_of_prepared_frames_stays_with_the_caller(prepared: PreparedFrames) -> None:
    rows = np.arange(2)
    before = prepared.images("camera", rows).copy()
    prepared.images("camera", rows)[:] = 7
    np.testing.assert_array_equal(prepared.images("camera", rows), before)


def test_frames_of_a_batch_are_prepared_for_the_model(batch: Batch) -> None:
    frames = read_frames(batch, DESCRIPTION)
    every = np.arange(5)
    assert list(frames.sensors) == ["camera", "depth"]
    assert frames.images("camera", every).shape == (5, 3, *MODEL_SIZE)
    assert frames.images("depth", every).dtype == np.float16
    assert frames.labels(every).shape == (5, *MODEL_SIZE)
    assert set(np.unique(frames.labels(every))) <= {0, 1, 2, IGNORE}
    assert frames.sequences.tolist() == ["x/strain"] * 3 + ["x/sval", "x/stest"]
    assert frames.conditions.tolist() == ["day"] * 5
    assert frames.present("depth").tolist() == [True, False, True, True, True]
    assert frames.present("camera").tolist() == [True, True, False, True, True]
    camera = frames.images("camera", every)[frames.present("camera")]
    assert 0 <= camera.min() < camera.max() <= 1


def test_frames_of_one_split_and_without_a_label_are_left_out(batch: Batch) -> None:
    assert len(read_frames(batch, DESCRIPTION, "train").sequences) == 3
    edit_frames(batch.root, lambda rows: rows[0].update(label=""))
    assert len(read_frames(read_batch(batch.root), DESCRIPTION, "train").sequences) == 2


def test_a_frame_of_which_nothing_can_be_read_is_left_out(batch: Batch) -> None:
    (batch.root / "camera/f1.png").write_bytes(b"")  # and it has no depth
    (batch.root / "label/f3.png").write_bytes(b"")
    frames = read_frames(read_batch(batch.root), DESCRIPTION)
    assert frames.sequences.tolist() == ["x/strain", "x/strain", "x/stest"]


def test_sensors_that_the_model_does_not_know_are_left_out(batch: Batch) -> None:
    sensors = {name: sensor for name, sensor in DESCRIPTION.sensors.items() if name == "depth"}
    frames = read_frames(batch, DESCRIPTION.model_copy(update={"sensors": sensors}))
    assert list(frames.pixels) == list(frames.sensors) == ["depth"]
    assert len(frames.sequences) == 4  # without that which has a camera only


def test_a_batch_without_a_labelled_frame_is_named(batch: Batch) -> None:
    with pytest.raises(BatchError, match="has no labelled frame of the split x that can be read"):
        read_frames(batch, DESCRIPTION, "x")
    edit_frames(batch.root, lambda rows: [row.update(label="") for row in rows])
    with pytest.raises(BatchError, match="has no labelled frame that can be read"):
        read_frames(read_batch(batch.root), DESCRIPTION)
