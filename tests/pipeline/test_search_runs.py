"""What MLflow holds of a search."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from helpers.mlflow_registry import BEST, GOOD, aliases, run_stage, runs_of
from helpers.project_artifacts import write_results
from helpers.search import make_search
from sensorproof.adapters.mlflow_champion import champion_choice
from sensorproof.artifacts import SEARCH


def test_the_search_is_a_run_with_pictures_and_a_child_for_each_trial(home: Path, client: MlflowClient) -> None:
    write_results(home, GOOD)
    result = make_search()
    result.write(home / SEARCH / "trials.json")
    run_stage()
    (pipeline,) = runs_of(client, "pipeline")
    (search,) = runs_of(client, "search")
    assert search.data.tags["mlflow.parentRunId"] == pipeline.info.run_id
    assert (search.data.params["chosen"], search.data.params["trials"]) == ("1", "6")
    assert search.data.metrics["validation/miou/mean"] == pytest.approx(47.2)
    files = {file.path for file in client.list_artifacts(search.info.run_id)}
    assert files == {"front.png", "history.png", "importance.png", "slices.png", "trials.json"}
    trials = {run.data.tags["mlflow.runName"]: run for run in runs_of(client, "trial")}
    assert set(trials) == {f"trial {number}" for number in range(6)}
    assert all(run.data.tags["mlflow.parentRunId"] == search.info.run_id for run in trials.values())
    assert {name: run.info.status for name, run in trials.items() if run.info.status != "FINISHED"} == {
        "trial 4": "KILLED",
        "trial 5": "FAILED",
    }
    assert (trials["trial 5"].data.tags["trial.state"], trials["trial 5"].data.tags["trial.reason"]) == (
        "failed",
        "the loss is nan",
    )
    chosen = trials["trial 1"]
    assert chosen.data.params["regularizer.strength"] == str(result.best.strength)
    assert chosen.data.metrics["violation/loss_full"] == pytest.approx(-0.2)
    curve = [(m.step, m.value) for m in client.get_metric_history(chosen.info.run_id, "validation/selection")]
    assert curve == [(2, 40.0)]
    assert [m.value for m in client.get_metric_history(chosen.info.run_id, "train/loss")] == [0.7]


def test_results_that_were_logged_before_are_not_logged_again(home: Path, client: MlflowClient) -> None:
    write_results(home, GOOD)
    make_search().write(home / SEARCH / "trials.json")
    run_stage()
    run_stage()
    assert (len(runs_of(client, "search")), len(runs_of(client, "trial"))) == (1, 6)
    assert len(runs_of(client, "training")) == 4


def test_the_choice_behind_the_champion_is_known_to_the_next_search(home: Path, client: MlflowClient) -> None:
    assert champion_choice() is None
    write_results(home, GOOD)
    run_stage()
    assert aliases(client)["champion"] == 1
    assert champion_choice() is None  # its settings were not searched
    write_results(home, BEST, first_seed=7, data_hash=f"{7:032d}.dir")
    make_search().write(home / SEARCH / "trials.json")
    run_stage()
    assert aliases(client)["champion"] == 2
    assert champion_choice() == ({"strength.prediction": 0.31}, "champion version 2")


def test_without_a_database_there_is_no_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert champion_choice() is None
    assert list(tmp_path.iterdir()) == []
