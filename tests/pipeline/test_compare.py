"""`sensorproof compare`: strengths are chosen on validation data, every arm is trained, and nothing is run twice."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.paths import ROOT
from sensorproof.compare import ARMS, compare_dataset, experiment, prepared_dataset, run_all, tune
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.errors import UsageError
from sensorproof.files import write_json
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
    data = PreparedDataset(prepared_dataset(yard, settings, tmp_path))
    # One seed likes the second strength best of all, both together like the first.
    scores = {(0.1, 7): 50.0, (0.1, 8): 52.0, (0.3, 7): 60.0, (0.3, 8): 41.0}
    for (strength, seed), score in scores.items():
        each = experiment("agm", strength, seed, 2, yard, settings)
        result = tmp_path / "yard/runs" / f"agm-{seed}-{each.key(data)}-0.json"
        write_json(result, {"validation_balance": score})
    assert tune(yard, settings, tmp_path / "yard", 1, print, ["baseline", "agm"]) == {"baseline": 0.0, "agm": 0.1}


def test_every_arm_is_trained_and_what_is_done_is_not_done_again(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    said: list[str] = []
    arms = compare_dataset(yard, settings, tmp_path, 1, said.append)
    tried = len(STRENGTHS) * len(yard.tuning_seeds) * (len(ARMS) - 1)
    assert len(said) == tried + len(ARMS) * len(yard.seeds)
    assert set(arms) == set(ARMS)
    assert all(each["seeds"] == [0, 1] for each in arms.values())
    assert all(each["strength"] in STRENGTHS for arm, each in arms.items() if arm != "baseline")
    for arm, each in arms.items():
        ahead = arms["regularized_dropout"]["mean"]["mean"] - each["mean"]["mean"]
        assert each["rivalry"]["mean"]["value"] == pytest.approx(ahead), arm
        ahead = each["mean"]["mean"] - arms["baseline"]["mean"]["mean"]
        assert each["gain"]["mean"]["value"] == pytest.approx(ahead), arm
    table = comparison_table(yard, arms, settings.compare)
    assert [line.split(" | ")[0].strip("| ") for line in table.splitlines()[4:]] == list(ARMS)

    lost = next((tmp_path / "yard/runs").glob("ogm_ge-0-*-1.json"))
    lost.unlink()
    said.clear()
    again = compare_dataset(yard, settings, tmp_path, 1, said.append)
    assert len(said) == 1
    assert "ogm_ge" in said[0]
    assert again["ogm_ge"]["full"] == arms["ogm_ge"]["full"]


def test_a_fault_in_a_worker_comes_out_as_what_it_is(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    prepared_dataset(yard, settings, tmp_path)
    with pytest.raises(UsageError, match=r"strength: is 1.5 for modality_dropout; give a probability"):
        run_all([experiment("modality_dropout", 1.5, 0, 2, yard, settings)], tmp_path / "yard", 1, False, print)


def test_arrays_are_made_anew_where_the_data_have_changed(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(yard.raw, raw)
    moved = yard.model_copy(update={"raw": str(raw)})
    label = prepared_dataset(moved, settings, tmp_path) / "label.npy"
    made, key = label.stat().st_ino, experiment("agm", 0.1, 0, 2, moved, settings).key(PreparedDataset(label.parent))
    prepared_dataset(moved, settings, tmp_path)
    assert label.stat().st_ino == made, "nothing has changed"
    image = min((raw / "yard/label").iterdir())
    Image.fromarray(np.zeros_like(np.asarray(Image.open(image)))).save(image)
    prepared_dataset(moved, settings, tmp_path)
    assert experiment("agm", 0.1, 0, 2, moved, settings).key(PreparedDataset(label.parent)) != key


def test_a_setting_of_the_term_runs_those_arms_again_that_carry_it(
    yard: BenchmarkDataset, settings: Settings, tmp_path: Path
) -> None:
    data = PreparedDataset(prepared_dataset(yard, settings, tmp_path))
    changed = settings.model_copy(update={"regularizer": settings.regularizer.model_copy(update={"sigma": 0.7})})

    def keys(arm: Arm, strength: float = 0.1) -> set[str]:
        return {experiment(arm, strength, 0, 2, yard, each).key(data) for each in (settings, changed)}

    assert {arm: len(keys(arm)) for arm in ARMS} == {arm: 2 if arm in REGULARIZED else 1 for arm in ARMS}
    assert keys("agm", 0.1) != keys("agm", 0.3), "the strength is every arm's"
