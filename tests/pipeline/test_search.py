"""Stage search: a strength is chosen by its mean score over the seeds."""

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from helpers.mlflow_registry import load_stage
from helpers.paths import ROOT
from sensorproof.errors import SensorproofError
from sensorproof.experiment import RunSpec
from sensorproof.settings import load_settings


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load_stage("search")
    monkeypatch.setattr(module, "PreparedDataset", lambda *_: SimpleNamespace(digest="data"))
    monkeypatch.setattr(module, "CHECKPOINTS", tmp_path)
    return module


def test_every_trial_trains_with_all_seeds_and_the_best_mean_is_chosen(
    stage: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[float, int]] = []

    def fit(spec: RunSpec, _: Any) -> Any:
        strength, seed = spec.regularizer.strength, spec.seed
        trained.append((strength, seed))
        # With the first seed, strong terms score high; with the second, weak ones, by twice as much.
        return SimpleNamespace(validation=SimpleNamespace(selection_score=100 * strength * (1 if seed == 4 else -2)))

    monkeypatch.setattr(stage, "fit", fit)
    settings = load_settings(ROOT / "params.yaml")
    search = settings.search.model_copy(update={"trials": 5, "seeds": [4, 7]})
    result = stage.run_search(settings.model_copy(update={"search": search}))
    strengths = [trial.strength for trial in result.trials]
    assert trained == [(strength, seed) for strength in strengths for seed in (4, 7)]
    assert [trial.score for trial in result.trials] == pytest.approx([-50 * strength for strength in strengths])
    assert result.best.strength == min(strengths)


def test_a_device_that_is_not_there_stops_before_the_first_trial(
    stage: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(ROOT / "params.yaml")
    train = settings.train.model_copy(update={"device": "cuda:99"})
    with pytest.raises(SensorproofError, match=r"train.device: cuda:99 does not exist; set it to auto or cpu"):
        stage.run_search(settings.model_copy(update={"train": train}))
    assert capfd.readouterr().err == ""
