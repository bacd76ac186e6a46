"""Stage search: trials, seeds, early stops, interruptions, and what is chosen; the studies are real ones of Optuna."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from helpers.mlflow_registry import load_stage
from helpers.paths import ROOT
from helpers.search import make_scores, search_settings, write_frames, write_stage_frames
from sensorproof.adapters import optuna_worker
from sensorproof.adapters.optuna import Source, join_search, run_search
from sensorproof.adapters.optuna_storage import open_storage
from sensorproof.adapters.optuna_worker import Pace
from sensorproof.artifacts import CHAMPION_START, PREPARED, SEARCH, STUDIES
from sensorproof.documents import ArmSettings, RetrainingStart, SearchResult
from sensorproof.documents.search import Check, TaskResult
from sensorproof.errors import SensorproofError, SettingsError, UsageError
from sensorproof.files import dump_yaml
from sensorproof.settings import Settings

FAST = Pace(beat=0.05, grace=0.5, poll=0.02)
Score = Callable[[ArmSettings, int], tuple[float, float]]
FIRST = ({"strength.prediction": 0.1}, "params.yaml")
WIDER = {"learning_rate": [0.003, 0.03], "standardize": {"depth": ["frame", "dataset"], "camera": ["frame"]}}


class KilledError(BaseException):
    """The process ends here: nothing of ours may run after it."""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    write_frames(tmp_path / "prepared")
    return Source(tmp_path / "prepared", None, tmp_path / "studies/journal.log")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Score], list[tuple[float, int]]]:
    """Replace the trainings by a function of settings and seed; return what was trained, as (strength, seed)."""

    def install(score: Score) -> list[tuple[float, int]]:
        trained: list[tuple[float, int]] = []

        def run(chosen: ArmSettings, seed: int, folds: Any, settings: Settings, compare: Any) -> Any:
            def work() -> TaskResult:
                trained.append((chosen.regularizer.strength, seed))
                full, mean = score(chosen, seed)
                stops = compare if settings.search.pruning.first < 1 else None
                checks = [Check(steps=1, score=(full + mean) / 2)] if stops else []
                common: dict[str, Any] = {"steps": 4, "seconds": 0.0, "checks": tuple(checks)}
                if stops and not stops(0, checks[0]):
                    return TaskResult(outcome="pruned", reason="not among the best", **common | {"steps": 1})
                return TaskResult(outcome="complete", scores=(make_scores(full, mean, seed=seed),), **common)

            return work

        monkeypatch.setattr(optuna_worker, "TrialRun", run)
        monkeypatch.setattr(optuna_worker, "score_reference", lambda *_: (make_scores(40.0, 10.0),))
        return trained

    return install


def noise(chosen: ArmSettings, seed: int) -> tuple[float, float]:
    """Scores that differ with the strength in no simple way."""
    digest = hashlib.sha256(f"{chosen.regularizer.strength:.9f} {seed}".encode()).digest()
    return 50.0 + digest[0] / 25.6, 40.0 + digest[1] / 25.6


def quiet(_: str) -> None:
    """Print nothing."""


def without_times(result: SearchResult) -> list[dict[str, Any]]:
    return [trial.to_json() | {"seconds": 0} for trial in result.trials]


def test_the_stage_writes_what_it_chose_for_every_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stage_frames(tmp_path)
    settings = search_settings(trials=3, seeds=[0, 1], close=100.0, space=WIDER)
    settings = settings.model_copy(update={"search": settings.search.model_copy(update={"silent_failures": True})})
    (tmp_path / "params.yaml").write_text(dump_yaml(settings.model_dump(mode="json")))
    monkeypatch.chdir(tmp_path)
    RetrainingStart().write(CHAMPION_START)
    load_stage("search").main()
    result = SearchResult.read(SEARCH / "trials.json")
    assert [trial.number for trial in result.trials] == [0, 1, 2]
    assert {trial.standardize["camera"] for trial in result.trials if trial.standardize} == {"frame"}
    chosen = result.trials[result.chosen or 0]
    assert result.best == chosen.regularizer
    assert chosen.outcome == "complete"
    assert result.folds == (("d", "e"),)
    candidate, baseline = (ArmSettings.read(SEARCH / f"arms/{arm}.json") for arm in settings.train.arms[::-1])
    assert candidate.regularizer == result.best
    assert baseline.regularizer.strength == 0
    assert candidate.learning_rate == baseline.learning_rate == chosen.learning_rate
    assert candidate.standardize == baseline.standardize == chosen.standardize is not None
    pruned = [trial for trial in result.trials if trial.outcome == "pruned"]
    assert all(trial.steps < settings.search.steps and trial.full is None for trial in pruned)
    assert "3 of 3 ended" in capsys.readouterr().out
    study = optuna.load_study(study_name=result.study, storage=open_storage(None, STUDIES))
    ended = [t for t in study.get_trials() if t.state == optuna.trial.TrialState.COMPLETE]
    limits = {"worst_subset", "loss_full", "gain_baseline", "silent_loss", "false_alarms"}
    assert all(limits <= set(t.constraints) for t in ended)
    assert study.user_attrs["finished"]


def test_a_trial_is_trained_and_scored_with_its_own_standardisation(source: Source) -> None:
    settings = search_settings(trials=2, pruning={"first": 1.0}, space={"standardize": WIDER["standardize"]})
    first = [({"strength.prediction": 0.1, "standardize.depth": how}, "given") for how in ("frame", "dataset")]
    result, _ = run_search(source, settings, first, quiet, FAST)
    assert [trial.standardize and trial.standardize["depth"] for trial in result.trials] == ["frame", "dataset"]
    assert result.trials[0].losses != result.trials[1].losses
    usual = search_settings(trials=1, pruning={"first": 1.0})
    alone, _ = run_search(Source(source.prepared, None, source.journal.with_name("usual")), usual, [FIRST], quiet, FAST)
    assert alone.trials[0].losses not in [trial.losses for trial in result.trials]  # its camera is by the data set


def test_a_sensor_in_the_space_that_no_batch_has_is_one_line(source: Source) -> None:
    settings = search_settings(space={"standardize": {"radar": ["dataset", "frame"]}})
    with pytest.raises(SettingsError, match=r"standardize: names radar, which no batch has; name some of camera, d"):
        run_search(source, settings, [], quiet, FAST)


def test_the_stage_keeps_the_settings_where_the_search_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = search_settings(enabled=False)
    write_frames(tmp_path / PREPARED)
    (tmp_path / "params.yaml").write_text(dump_yaml(settings.model_dump(mode="json")))
    monkeypatch.chdir(tmp_path)
    RetrainingStart().write(CHAMPION_START)
    load_stage("search").main()
    assert SearchResult.read(SEARCH / "trials.json") == SearchResult(trials=(), best=settings.regularizer)
    assert ArmSettings.read(SEARCH / "arms/regularized_dropout.json").regularizer == settings.regularizer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": {"photometric": {"camra": 0.3}}}, "train.photometric: names camra, which no batch has"),
        ({"evaluate": {"failure_probability": {"camera": 0.1}}}, "failure_probability: wrong or missing: depth"),
        ({"compute": {"processes": 3}}, "a batch of 4 does not divide by processes x train.accumulate = 3 x 1"),
    ],
)
def test_what_would_stop_a_later_stage_stops_the_search_before_its_first_trial(
    change: dict[str, dict[str, Any]], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_frames(tmp_path / PREPARED)
    document = search_settings().model_dump(mode="json")
    for section, keys in change.items():
        document[section] |= keys
    (tmp_path / "params.yaml").write_text(dump_yaml(document))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENSORPROOF_DEBUG", "1")
    RetrainingStart().write(CHAMPION_START)
    with pytest.raises(SensorproofError, match=re.escape(message)):
        load_stage("search").main()
    assert not STUDIES.exists()


def test_settings_that_the_space_leaves_out_are_named(
    tmp_path: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stage_frames(tmp_path)
    settings = search_settings(trials=1, space={"strength": {"prediction": [1.0, 2.0]}})
    (tmp_path / "params.yaml").write_text(dump_yaml(settings.model_dump(mode="json")))
    monkeypatch.chdir(tmp_path)
    RetrainingStart().write(CHAMPION_START)
    scripted(noise)
    load_stage("search").main()
    assert "search.space leaves out the settings of params.yaml" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_trials(source: Source, scripted: Any, tmp_path: Path) -> None:
    scripted(noise)
    settings = search_settings(trials=12, seeds=[3, 4])
    first, _ = run_search(source, settings, [FIRST], quiet, FAST)
    again, _ = run_search(Source(source.prepared, None, tmp_path / "other.log"), settings, [FIRST], quiet, FAST)
    assert without_times(first) == without_times(again)
    assert len({trial.regularizer.strength for trial in first.trials}) == 12
    assert {trial.outcome for trial in first.trials} == {"complete", "pruned"}
    other, _ = run_search(
        Source(source.prepared, None, tmp_path / "third.log"), search_settings(trials=12, seeds=[5]), [], quiet, FAST
    )
    assert other.trials[1].regularizer.strength != first.trials[1].regularizer.strength


@pytest.mark.parametrize("end", [KilledError, KeyboardInterrupt])
@pytest.mark.parametrize("after", [1, 2, 5, 8, 9])
def test_an_interrupted_search_goes_on_with_the_same_trials(
    source: Source, scripted: Any, tmp_path: Path, after: int, end: type[BaseException]
) -> None:
    settings = search_settings(trials=8, seeds=[0, 1], close=100.0, pruning={"first": 1.0})
    scripted(noise)
    whole, _ = run_search(Source(source.prepared, None, tmp_path / "whole.log"), settings, [FIRST], quiet, FAST)

    def dying(chosen: ArmSettings, seed: int) -> tuple[float, float]:
        if len(trained) == after:
            raise end
        return noise(chosen, seed)

    trained = scripted(dying)
    with pytest.raises(end):
        run_search(source, settings, [FIRST], quiet, FAST)
    trained = scripted(noise)
    resumed, _ = run_search(source, settings, [FIRST], quiet, FAST)
    assert without_times(resumed) == without_times(whole)
    assert len(trained) == 16 - (after - 1)


def test_close_trials_are_judged_by_all_seeds(source: Source, scripted: Any) -> None:
    def score(chosen: ArmSettings, seed: int) -> tuple[float, float]:
        # With the first seed, strong terms do a little better; with the others, weak ones by far.
        strength = chosen.regularizer.strength
        return 50.0, 40.0 + (strength if seed == 4 else -20 * strength)

    trained = scripted(score)
    settings = search_settings(trials=5, seeds=[4, 7, 9], close=5.0, pruning={"first": 1.0})
    result, _ = run_search(source, settings, [], quiet, FAST)
    strengths = [trial.regularizer.strength for trial in result.trials]
    assert sorted(trained) == sorted((strength, seed) for strength in strengths for seed in (4, 7, 9))
    assert result.best.strength == min(strengths)
    assert all(trial.seeds == (4, 7, 9) for trial in result.trials)


def test_a_trial_that_diverges_is_a_failed_trial(source: Source) -> None:
    """Real trainings, of which the one with a mad learning rate gives a loss that is not finite."""
    settings = search_settings(trials=2, steps=20, pruning={"first": 1.0}, space={"learning_rate": [0.001, 1e9]})
    mad = {"strength.prediction": 0.1, "learning_rate": 1e9}
    sane = {"strength.prediction": 0.1, "learning_rate": 0.01}
    result, _ = run_search(source, settings, [(mad, "test"), (sane, "test")], quiet, FAST)
    assert [trial.outcome for trial in result.trials] == ["failed", "complete"]
    assert "not finite" in result.trials[0].reason or "loss is" in result.trials[0].reason
    assert result.chosen == 1


def test_all_trials_failed_is_one_line(source: Source) -> None:
    settings = search_settings(trials=1, steps=20, space={"learning_rate": [0.001, 1e9]})
    mad = {"strength.prediction": 0.1, "learning_rate": 1e9}
    with pytest.raises(SensorproofError, match=r"search: no trial of 1 ended with a score \(") as caught:
        run_search(source, settings, [(mad, "test")], quiet, FAST)
    assert "\n" not in str(caught.value)


def test_scores_that_are_nan_are_a_failed_trial(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    from sensorproof.searching import trial

    monkeypatch.setattr(trial, "score_validation", lambda *_, **__: make_scores(float("nan"), 40.0))
    monkeypatch.setattr(optuna_worker, "score_reference", lambda *_: (make_scores(40.0, 10.0),))
    settings = search_settings(trials=1, pruning={"first": 1.0})
    with pytest.raises(SensorproofError, match="a score is not finite"):
        run_search(source, settings, [], quiet, FAST)


def test_a_device_that_is_not_there_stops_before_the_first_trial(source: Source) -> None:
    settings = search_settings()
    train = settings.train.model_copy(update={"device": "cuda:99"})
    with pytest.raises(SensorproofError, match=r"train.device: cuda:99 does not exist; set it to auto or cpu"):
        run_search(source, settings.model_copy(update={"train": train}), [], quiet, FAST)
    assert not source.journal.exists()


def test_a_finished_search_is_not_gone_on_with_but_its_choice_can_be_tried_first(source: Source, scripted: Any) -> None:
    scripted(noise)
    settings = search_settings(trials=4, warm_start=["studies"])
    first, close = run_search(source, settings, [], quiet, FAST)
    close()
    second, _ = run_search(source, settings, [], quiet, FAST)
    assert second.study != first.study
    chosen = first.trials[first.chosen or 0]
    assert (second.trials[0].values, second.trials[0].origin) == (chosen.values, f"study {first.study}")
    narrow = search_settings(trials=4, warm_start=["studies"], space={"strength": {"prediction": [0.7, 0.8]}})
    outside, _ = run_search(source, narrow, [], quiet, FAST)
    assert all(trial.origin == "sampler" for trial in outside.trials)


def test_minutes_are_a_budget_too(source: Source, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = scripted(noise)
    monkeypatch.setattr("sensorproof.searching.tasks.Board.seconds_spent", lambda *_: 25.0 * len(trained))
    result, _ = run_search(source, search_settings(trials=None, minutes=1.0, seeds=[0]), [], quiet, FAST)
    assert len(result.trials) == 3


def test_a_worker_joins_only_a_study_of_the_same_data_and_settings(
    source: Source, scripted: Any, tmp_path: Path
) -> None:
    settings = search_settings(trials=2)
    where = str(source.journal)
    with pytest.raises(UsageError, match=r"has no study to join, or it is finished; start the search first") as caught:
        join_search(source, settings, None, quiet, FAST)
    assert where in str(caught.value)

    def dying(chosen: ArmSettings, seed: int) -> tuple[float, float]:
        raise KilledError

    scripted(dying)
    with pytest.raises(KilledError):
        run_search(source, settings, [], quiet, FAST)
    with pytest.raises(UsageError, match="search-1 is of other settings"):
        join_search(source, search_settings(trials=2, steps=5), None, quiet, FAST)
    write_frames(tmp_path / "more", {"a": "train", "b": "val", "c": "test"})
    other = Source(tmp_path / "more", None, source.journal)
    with pytest.raises(UsageError, match="search-1 is of other data"):
        join_search(other, settings, None, quiet, FAST)
    with pytest.raises(UsageError, match="has no study search-9 to join"):
        join_search(source, settings, "search-9", quiet, FAST)
    trained = scripted(noise)
    assert join_search(source, settings, None, quiet, FAST) == "search-1"
    assert len(trained) >= 2


def test_a_storage_that_cannot_be_used_is_one_line_without_its_password(source: Source) -> None:
    address = "postgresql+psycopg2://me:secret@127.0.0.1:9/none"
    with pytest.raises(
        UsageError, match=r"search.storage: postgresql\+psycopg2://me:…@127.0.0.1:9/none cannot"
    ) as caught:
        open_storage(address, source.journal)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_worker_command_is_one_line_where_there_is_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from helpers.project_artifacts import command

    write_stage_frames(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    assert command("search", "worker") == 2
    assert capsys.readouterr().err.startswith("error: artifacts/studies/journal.log: has no study to join")
