"""Stage search: a strength is judged by the mean of its seeds."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from helpers.paths import ROOT
from sensorproof.experiment import RunSpec
from sensorproof.settings import load_settings


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("search", ROOT / "pipelines/stages/search.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PreparedDataset", lambda *_: SimpleNamespace(digest="data"))
    monkeypatch.setattr(module, "CHECKPOINTS", tmp_path)
    return module


def test_every_trial_trains_with_all_seeds_and_the_best_mean_is_taken(
    stage: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[float, int]] = []

    def fit(experiment: RunSpec, _: Any) -> Any:
        strength, seed = experiment.regularizer.strength, experiment.seed
        trained.append((strength, seed))
        # The first seed likes strong terms, the second likes weak ones twice as much.
        return SimpleNamespace(validation=SimpleNamespace(selection_score=100 * strength * (1 if seed == 4 else -2)))

    monkeypatch.setattr(stage, "fit", fit)
    settings = load_settings(ROOT / "params.yaml")
    search = settings.search.model_copy(update={"trials": 5, "seeds": [4, 7]})
    trials, best = stage.run_search(settings.model_copy(update={"search": search}))
    strengths = [trial["strength"] for trial in trials]
    assert trained == [(strength, seed) for strength in strengths for seed in (4, 7)]
    assert [trial["score"] for trial in trials] == pytest.approx([-50 * strength for strength in strengths])
    assert best.strength == min(strengths)
