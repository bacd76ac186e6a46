"""`sensorproof compare`: strengths are chosen on validation data, every arm is trained, and nothing runs twice."""

import json
import shutil
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.paths import ROOT
from sensorproof.compare.dataset import ARMS, compare_dataset, prepare_dataset, specify, tune
from sensorproof.compare.jobs import result_file, train_and_test
from sensorproof.compare.specialists import SPECIALISTS
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.documents import CANDIDATE, ScoredRun, TuningRun
from sensorproof.errors import UsageError
from sensorproof.experiment import fit, score_split
from sensorproof.objectives.build import REGULARIZED
from sensorproof.reporting.comparison import comparison_table
from sensorproof.settings import Arm, BenchmarkDataset, Settings, load_settings

STRENGTHS = [0.1, 0.3]


@pytest.fixture(scope="module")
def settings() -> Settings:
    settings = load_settings(ROOT / "params.yaml")
    compare = settings.compare.model_copy(update={"strengths": dict.fromkeys(ARMS[1:], STRENGTHS)})
    return settings.model_copy(update={"compare": compare})


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkDataset:
    raw = tmp_path_factory.mktemp("raw")
    simulate_batch(raw / "yard", SimulationConfig("yard", (48, 60), 5, 2, 2, 0, 0, 0.0), 1, False)
    return BenchmarkDataset(
        name="yard",
        raw=str(raw),
        size=[32, 40],
        batch_size=2,
        steps=4,
        learning_rate=0.01,
        seeds=[0, 1],
        tuning_seeds=[7, 8],
    )


def test_a_strength_is_chosen_by_its_mean_over_the_tuning_seeds(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    data = PreparedDataset(prepare_dataset(yard, settings, tmp_path))
    # Seed 7 scores highest with the second strength, but the mean is higher with the first.
    scores = {(0.1, 7): 50.0, (0.1, 8): 52.0, (0.3, 7): 60.0, (0.3, 8): 41.0}
    for (strength, seed), score in scores.items():
        spec = specify("agm", strength, seed, 2, yard, settings)
        run = TuningRun(arm="agm", seed=seed, selection_score=score)
        run.write(result_file(tmp_path / "yard", spec, data, tested=False))
    assert tune(yard, settings, tmp_path / "yard", 1, print, ["baseline", "agm"]) == {"baseline": 0.0, "agm": 0.1}


def test_every_arm_is_trained_and_only_missing_results_are_computed(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    yard = yard.model_copy(update={"tuning_seeds": [7]})
    lines: list[str] = []
    arms = compare_dataset(yard, settings, tmp_path, 1, lines.append)
    tuning_runs = len(STRENGTHS) * len(yard.tuning_seeds) * (len(ARMS) - 1)
    assert len(lines) == tuning_runs + len(ARMS) * len(yard.seeds)
    assert set(arms) == set(ARMS)
    assert all(scores.seeds == (0, 1) for scores in arms.values())
    assert all(scores.strength in STRENGTHS for arm, scores in arms.items() if arm != "baseline")
    for arm, scores in arms.items():
        difference = arms[CANDIDATE].mean.mean - scores.mean.mean
        assert scores.gain_of_candidate.mean.value == pytest.approx(difference), arm
        difference = scores.mean.mean - arms["baseline"].mean.mean
        assert scores.gain.mean.value == pytest.approx(difference), arm
    table = comparison_table(yard, arms, settings.compare)
    assert [line.split(" | ")[0].strip("| ") for line in table.splitlines()[4:]] == list(ARMS)

    next((tmp_path / "yard/runs").glob("ogm_ge-0-*-1.json")).unlink()
    lines.clear()
    again = compare_dataset(yard, settings, tmp_path, 2, lines.append)
    assert len(lines) == 1
    assert "ogm_ge" in lines[0]
    assert again["ogm_ge"].full == arms["ogm_ge"].full


def test_a_specialist_sees_the_sensors_of_its_subset_alone(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    prepared = prepare_dataset(yard, settings, tmp_path)
    frames = pd.read_csv(prepared / "frames.csv", keep_default_na=False)
    first = frames.index[frames.split == "train"][0]
    frames.loc[first, "present_depth"] = False
    frames.to_csv(prepared / "frames.csv", index=False)
    whole, alone = PreparedDataset(prepared), PreparedDataset(prepared, sensors=("depth",))
    assert alone.sensors == ["depth"]
    assert set(alone.batch(alone.rows("train")).inputs) == {"depth"}
    assert first in whole.rows("train")
    assert first not in alone.rows("train")  # there would be nothing to see
    assert first in PreparedDataset(prepared, sensors=("camera", "depth")).rows("train")
    every = PreparedDataset(prepared, sensors=tuple(whole.sensors))
    spec = specify("baseline", 0.0, 0, 2, yard, settings)
    assert len({spec.key(data) for data in (whole, alone, every)}) == 3


def test_specialists_stand_as_one_more_arm_with_the_share_that_each_arm_reaches(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorproof.compare.dataset.ARMS", ("baseline", CANDIDATE))
    path = prepare_dataset(yard, settings, tmp_path) / "meta.json"
    meta = json.loads(path.read_text())
    meta["sensors"] = {name: meta["sensors"][name] for name in ("camera", "lidar")}  # so that fewer are trained
    path.write_text(json.dumps(meta))
    lines: list[str] = []
    plain = compare_dataset(yard, settings, tmp_path, 1, lines.append)
    assert "share" not in plain[CANDIDATE].to_json()
    lines.clear()
    arms = compare_dataset(yard, settings, tmp_path, 1, lines.append, specialists=True)
    subsets = list(arms["baseline"].subsets)
    assert len(lines) == (len(subsets) - 1) * len(yard.seeds)  # that of all sensors is the baseline
    assert any("with lidar alone" in line for line in lines)
    specialists = arms[SPECIALISTS]
    assert specialists.full == arms["baseline"].full
    assert list(specialists.subsets) == subsets
    assert specialists.mean.mean == pytest.approx(fmean(each.mean for each in specialists.subsets.values()))
    assert specialists.parameters > 2.5 * arms["baseline"].parameters
    share = arms[CANDIDATE].share
    assert share is not None
    expected = arms[CANDIDATE].gain.mean.value / specialists.gain.mean.value
    assert share.value == pytest.approx(expected)
    assert arms["baseline"].share is None
    table = comparison_table(yard, arms, settings.compare).splitlines()
    assert f"{100 * share.value:.0f} % [" in table[5]
    assert len({line.count("|") for line in table[2:]}) == 1

    data = PreparedDataset(tmp_path / "yard/prepared", sensors=("lidar",))
    spec = specify("baseline", 0.0, 1, yard.steps, yard, settings)
    expected = score_split(fit(spec, data).model, data, "test", "cpu", 2).full
    assert ScoredRun.read(result_file(tmp_path / "yard", spec, data, tested=True)).full == pytest.approx(expected)


def test_an_error_in_a_worker_is_raised_as_it_is(yard: BenchmarkDataset, settings: Settings, tmp_path: Path) -> None:
    prepare_dataset(yard, settings, tmp_path)
    with pytest.raises(UsageError, match=r"strength: is 1.5 for modality_dropout; give a probability"):
        train_and_test([specify("modality_dropout", 1.5, 0, 2, yard, settings)], tmp_path / "yard", 2, print)


def test_arrays_are_prepared_again_if_the_data_change(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(yard.raw, raw)
    moved = yard.model_copy(update={"raw": str(raw)})
    label = prepare_dataset(moved, settings, tmp_path) / "label.npy"
    inode, key = label.stat().st_ino, specify("agm", 0.1, 0, 2, moved, settings).key(PreparedDataset(label.parent))
    prepare_dataset(moved, settings, tmp_path)
    assert label.stat().st_ino == inode, "nothing has changed"
    image = min((raw / "yard/label").iterdir())
    Image.fromarray(np.zeros_like(np.asarray(Image.open(image)))).save(image)
    prepare_dataset(moved, settings, tmp_path)
    assert specify("agm", 0.1, 0, 2, moved, settings).key(PreparedDataset(label.parent)) != key


def test_a_setting_of_the_regulariser_changes_the_key_of_regularised_arms_only(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    data = PreparedDataset(prepare_dataset(yard, settings, tmp_path))
    changed = settings.model_copy(update={"regularizer": settings.regularizer.model_copy(update={"sigma": 0.7})})

    def keys(arm: Arm, strength: float = 0.1) -> set[str]:
        return {specify(arm, strength, 0, 2, yard, s).key(data) for s in (settings, changed)}

    assert {arm: len(keys(arm)) for arm in ARMS} == {arm: 2 if arm in REGULARIZED else 1 for arm in ARMS}
    assert keys("agm", 0.1) != keys("agm", 0.3), "every arm has a strength"
