"""The search cannot read the test split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.search import FRAMES, SITES, search_settings, write_frames
from sensorproof.data.dataset import PreparedDataset
from sensorproof.errors import SensorproofError
from sensorproof.searching.data import SearchData, open_folds
from sensorproof.searching.space import to_settings
from sensorproof.searching.trial import TrialRun, score_reference

KNOWN = sum(split != "test" for split in SITES.values()) * FRAMES


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    write_frames(tmp_path)
    return tmp_path


def spoil_test_frames(root: Path) -> None:
    """Make every pixel and label of the test split another one."""
    rows = PreparedDataset(root).rows("test")
    for path in root.glob("*.npy"):
        array = np.load(path)
        array[rows] = 1 if array.dtype == np.uint8 else 1000.0
        np.save(path, array)


def test_no_row_number_leads_to_a_test_frame(prepared: Path) -> None:
    data, whole = SearchData(prepared), PreparedDataset(prepared)
    held_out = whole.rows("test")
    assert set(data.frames.split) == {"train", "val"}
    for name in data.sensors:
        assert len(data.images[name]) == len(data.present[name]) == len(data.labels) == KNOWN
        hidden = {whole.images[name][row].tobytes() for row in held_out}
        reachable = {data.images[name][row].tobytes() for row in range(-KNOWN, KNOWN)}
        assert len(reachable) == KNOWN
        assert not hidden & reachable
        for row in (KNOWN, int(held_out[0]), -KNOWN - 1):
            with pytest.raises(IndexError):
                data.images[name][row]
    with pytest.raises(IndexError):
        data.batch(np.array([KNOWN]))


def test_the_test_split_has_no_rows(prepared: Path) -> None:
    with pytest.raises(SensorproofError, match="search: asked for the test split; choose settings on validation"):
        SearchData(prepared).rows("test")
    with pytest.raises(SensorproofError, match="asked for the test split"):
        next(SearchData(prepared).ordered("test", 2))


def test_other_test_frames_change_nothing(prepared: Path) -> None:
    """The proof that nothing of the test split reaches a trial: with other pixels there, every score is the same."""
    settings = search_settings()
    chosen = to_settings({"strength.prediction": 0.1}, settings)

    def results() -> tuple[object, ...]:
        folds = open_folds(prepared, None, 1)
        run = TrialRun(chosen, 0, folds, settings)()
        return folds[0].digest, run.scores, run.losses, score_reference(folds, settings)

    before = results()
    spoil_test_frames(prepared)
    assert results() == before
    labels = np.load(prepared / "label.npy")
    labels[0, 0, 0] = 1
    np.save(prepared / "label.npy", labels)
    assert SearchData(prepared).digest != before[0]


def test_without_folds_the_rows_are_those_of_the_splits(prepared: Path) -> None:
    data, whole = SearchData(prepared), PreparedDataset(prepared)
    for split in ("train", "val"):
        ours, theirs = data.batch(data.rows(split)), whole.batch(whole.rows(split))
        assert ours.target.equal(theirs.target)
        assert all(ours.inputs[name].equal(theirs.inputs[name]) for name in data.sensors)
    assert data.validation_sites == ("d", "e")


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_are_of_whole_sites_and_score_each_site_once(prepared: Path, folds: int) -> None:
    opened = open_folds(prepared, None, folds)
    assert len(opened) == folds
    assert sorted(site for data in opened for site in data.validation_sites) == ["a", "b", "c", "d", "e"]
    for data in opened:
        trained = set(data.frames.loc[data.rows("train")].site)
        assert not trained & set(data.validation_sites)
        assert trained | set(data.validation_sites) == {"a", "b", "c", "d", "e"}
    assert len({data.digest for data in opened}) == 1


def test_there_are_no_more_folds_than_sites(tmp_path: Path) -> None:
    write_frames(tmp_path, {"a": "train", "b": "val", "c": "test"})
    assert len(open_folds(tmp_path, None, 5)) == 2
    frames = pd.read_csv(tmp_path / "frames.csv").assign(site="one")
    frames.to_csv(tmp_path / "frames.csv", index=False)
    (single,) = open_folds(tmp_path, None, 5)
    assert len(single.rows("val")) == FRAMES


def test_frames_in_quarantine_are_left_out(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "quarantined.csv").write_text("batch,frame_id\nb,0\n")
    data = SearchData(prepared, tmp_path / "quarantined.csv")
    assert len(data.labels) == KNOWN - 1
    assert data.digest != SearchData(prepared).digest
