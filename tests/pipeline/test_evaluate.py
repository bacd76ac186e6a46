"""Stage evaluate: scores of every run, and the comparison of the arms."""

import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from helpers.mlflow_registry import load_stage
from helpers.project_artifacts import CLASSES, SENSORS, make_meta, write_model, write_results
from helpers.search import make_trial
from sensorproof.artifacts import (
    CHAMPION_START,
    EVALUATE,
    EVALUATION,
    PREPARED,
    SEARCH,
    SPECIALISTS,
    VERDICT,
    run_folder,
)
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.holdout import hash_holdout
from sensorproof.documents import (
    ArmSettings,
    ChampionStart,
    Evaluation,
    HoldoutRecord,
    RetrainingStart,
    RunScores,
    Scores,
    SearchResult,
    TrainingRecord,
    ValidationRecord,
    VerdictFrames,
)
from sensorproof.evaluation import runs
from sensorproof.evaluation.holdout import PartScores, score_part
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.experiment import score_split
from sensorproof.files import write_text
from sensorproof.models import load_model, save_model
from sensorproof.objectives.build import NO_REGULARIZATION
from sensorproof.serving.package import hash_model
from sensorproof.settings import Settings, load_settings


def prepare_stage(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Settings]:
    """A project of two arms and two seeds that is ready for stage evaluate, and the stage."""
    write_results(root, {"baseline": [50.0, 51.0], "regularized_dropout": [55.0, 56.0]})
    monkeypatch.chdir(root)
    EVALUATION.unlink()
    settings = load_settings()
    SearchResult(trials=(make_trial(0, 60.0, 50.0),), best=settings.regularizer).write(SEARCH / "trials.json")
    frames = VerdictFrames(total=13, quarantined=1, released=0)
    ValidationRecord(decision="accepted", frames=frames, batches={}).write(VERDICT)
    RetrainingStart().write(CHAMPION_START)
    stage = load_stage("evaluate")
    monkeypatch.setattr(stage, "locked_hash", lambda *_: "0123.dir")
    return stage, settings


def test_a_fine_tuned_candidate_is_scored_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, settings = prepare_stage(tmp_path, monkeypatch)
    champion = ChampionStart(
        version=3,
        model_sha256="0" * 64,
        arm="regularized_dropout",
        regularizer=settings.regularizer,
        class_balance=0.5,
        trained_on=("old/0",),
    )
    RetrainingStart(champion=champion, fine_tune=settings.retraining.fine_tune).write(CHAMPION_START)
    shutil.rmtree(run_folder("baseline", 0))
    stage.main()
    evaluation = Evaluation.read(EVALUATION)
    assert list(evaluation.arms) == ["regularized_dropout"]
    assert (evaluation.gain, evaluation.comparison) == (None, None)
    assert evaluation.data.trained_on == ("old/0", "x/train-0")
    assert evaluation.fine_tuning is not None
    assert evaluation.fine_tuning.skipped == ("baseline",)
    assert evaluation.fine_tuning.holdout.hash == hash_holdout(PreparedDataset(PREPARED))


def configure(section: str, **options: Any) -> None:
    """Change some settings of the project."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params[section] |= options
    write_text(Path("params.yaml"), yaml.safe_dump(params))


def results() -> dict[str, bytes | str]:
    """What the stage wrote, to the bit; counts without the times that a zip archive notes."""
    counts = {path.name: PixelCounts.load(path).counts.tobytes() for path in sorted(EVALUATE.glob("*.npz"))}
    return counts | {path.name: path.read_text() for path in [*sorted(EVALUATE.glob("*.json")), EVALUATION]}


def test_any_number_of_processes_gives_the_same_scores_and_the_same_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, _ = prepare_stage(tmp_path, monkeypatch)
    stage.main()
    alone, here = results(), []

    def score_here(*task: Any) -> PartScores:
        here.append(task[0])
        return score_part(*task)

    monkeypatch.setattr(runs, "score_part", score_here)
    configure("compute", workers=2)
    stage.main()
    assert here == []
    assert results() == alone

    folder = run_folder("regularized_dropout", 1) / "model"
    model, description = load_model(folder)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    save_model(model, description, folder)
    faults = []
    for workers in (2, 1):
        configure("compute", workers=workers)
        with pytest.raises(SystemExit):
            stage.main()
        faults.append(capsys.readouterr().err)
        assert results() == alone
    assert faults[0] == faults[1]
    assert faults[0].startswith("error: evaluation: the model answers NaN or infinity")
    assert len(faults[0].splitlines()) == 1
    assert set(here) == {"subsets"}


def test_specialists_are_trained_if_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, _ = prepare_stage(tmp_path, monkeypatch)
    configure("evaluate", specialists=True, protocols=[])
    configure("train", steps=2, batch_size=2)
    own = ArmSettings(regularizer=NO_REGULARIZATION, class_balance=0.5, learning_rate=0.01)
    own.write(SEARCH / "arms/baseline.json")
    stage.main()
    evaluation = Evaluation.read(EVALUATION)
    baseline, reference = evaluation.arms["baseline"], evaluation.specialists
    assert baseline.protocols is None
    assert reference is not None
    assert list(reference.subsets) == list(baseline.subsets)
    assert reference.subsets["camera+depth"] == baseline.subsets["camera+depth"]
    assert reference.mean.mean == pytest.approx(fmean(each.mean for each in reference.subsets.values()))
    assert list(reference.shares) == ["regularized_dropout"]
    gap = reference.mean.mean - baseline.mean.mean
    assert reference.shares["regularized_dropout"].value == pytest.approx(evaluation.gain.mean.value / gap)
    results = sorted(SPECIALISTS.glob("runs/*.json"))
    assert len(results) == 4  # of the camera and of depth, with two seeds
    written = [path.stat().st_mtime_ns for path in results]
    stage.main()
    assert [path.stat().st_mtime_ns for path in results] == written
    own.model_copy(update={"standardize": {"camera": "frame"}}).write(SEARCH / "arms/baseline.json")
    stage.main()
    assert len(list(SPECIALISTS.glob("runs/*.json"))) == 2 * 4 - 2  # depth alone is as it was


def test_a_run_is_scored_with_the_inputs_that_it_was_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = prepare_stage(tmp_path, monkeypatch)
    meta = make_meta()
    camera = meta.sensors["camera"].model_copy(update={"standardize": "frame"})
    folder = run_folder("baseline", 0) / "model"
    write_model(folder, 5, meta.model_copy(update={"sensors": {**meta.sensors, "camera": camera}}))
    stage.main()
    data = PreparedDataset(PREPARED)
    own, usual = (
        score_split(load_model(folder)[0], given, "test", "cpu", 4).subsets
        for given in (data.standardized({"camera": "frame"}), data)
    )
    assert RunScores.read(EVALUATE / "baseline-0.json").subsets == own != usual


def test_every_run_is_scored_and_the_arms_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, settings = prepare_stage(tmp_path, monkeypatch)
    stage.main()

    scored = {}
    for arm in ("baseline", "regularized_dropout"):
        for seed in (0, 1):
            run = scored[arm, seed] = RunScores.read(EVALUATE / f"{arm}-{seed}.json")
            folder = run_folder(arm, seed)
            model, _ = load_model(folder / "model")
            expected = score_split(model, PreparedDataset(PREPARED), "test", "cpu", 4)
            assert run.subsets == expected.subsets
            counts = PixelCounts.load(EVALUATE / f"{arm}-{seed}.npz")
            assert counts.scores().to_document() == Scores(**{name: getattr(run, name) for name in Scores.model_fields})
            assert run.model_sha256 == hash_model(folder / "model")
            assert run.validation_mean == TrainingRecord.read(folder / "train.json").val.mean

    evaluation = Evaluation.read(EVALUATION)
    assert (evaluation.data.hash, evaluation.params_hash) == ("0123.dir", settings.hash)
    assert evaluation.data.frames.to_json() == {"train": 2, "val": 2, "test": 8, "quarantined": 1}
    assert evaluation.data.classes == CLASSES
    assert evaluation.data.trained_on == ("x/train-0",)
    comparison = evaluation.comparison
    assert comparison is not None
    holdout = hash_holdout(PreparedDataset(PREPARED))
    assert comparison.holdout == HoldoutRecord(hash=holdout, frames=8)
    assert comparison.mean.value == pytest.approx(evaluation.gain.mean.value)
    assert comparison.full.value == pytest.approx(evaluation.gain.full.value)
    assert comparison.worst.value == pytest.approx(evaluation.arms["regularized_dropout"].worst.mean)
    assert (set(comparison.sites.gains), set(comparison.conditions.gains)) == ({"x"}, {"day"})
    assert evaluation.data.sensors == dict(zip(SENSORS, ("camera", "depth"), strict=True))
    assert (evaluation.search.trials, evaluation.search.best["strength"]) == (1, settings.regularizer.strength)
    for scores in evaluation.arms.values():
        assert scores.calibration is not None
        assert set(scores.calibration) == set(scores.subsets)
        assert scores.contributions is not None
        added = sum(each.shapley.value for each in scores.contributions.sensors.values())
        assert scores.contributions.empty + added == pytest.approx(scores.full.mean)
        assert all(each.information is not None for each in scores.contributions.sensors.values())
        assert scores.protocols is not None
        assert scores.protocols.emm is not None
        assert set(scores.protocols.emm.subsets) == set(scores.subsets)
        assert scores.protocols.degradations is not None
        assert set(scores.protocols.degradations) == set(SENSORS)
        assert scores.groups is not None
        assert {name: each.frames for name, each in scores.groups.conditions.items()} == {"day": 8}
        assert {name: each.pixels for name, each in scores.groups.classes.items()} == scores.support
    for arm, scores in evaluation.arms.items():
        assert scores.mean.mean == pytest.approx(fmean(scored[arm, seed].mean for seed in (0, 1)))
    differences = [scored["regularized_dropout", s].mean - scored["baseline", s].mean for s in (0, 1)]
    assert evaluation.gain.mean.value == pytest.approx(np.mean(differences))
    assert capsys.readouterr().out.startswith(f"baseline: full {evaluation.arms['baseline'].full.mean:.1f}, mean")
