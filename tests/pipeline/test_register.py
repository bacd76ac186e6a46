"""Stage register, on a real MLflow database and real models."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient

from helpers.mlflow_registry import (
    BAD,
    BEST,
    GOOD,
    aliases,
    flip_a_byte,
    promotion,
    register_again,
    run_stage,
    runs_of,
    stored,
)
from helpers.project_artifacts import make_meta, write_model, write_results
from sensorproof.adapters.mlflow_registry import Registry
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.holdout import hash_holdout
from sensorproof.documents.promotion import AGAINST_CHAMPION, GATES, OF_SILENT_FAILURES
from sensorproof.files import read_json, write_json
from sensorproof.promotion import PromotionDecision
from sensorproof.serving.package import hash_model
from sensorproof.serving.predictor import load_predictor
from sensorproof.settings import load_settings

FIRST = [name for name in GATES if name not in AGAINST_CHAMPION]
"""The gates of the first model."""


def test_a_proven_gain_is_logged_registered_and_promoted(home: Path, client: MlflowClient) -> None:
    write_results(home, GOOD)
    run_stage()
    evaluation = read_json(home / "artifacts/evaluation.json")
    summary = read_json(home / "artifacts/summary.json")
    assert {key: value for key, value in summary.items() if key != "promotion"} == evaluation
    assert (summary["promotion"]["decision"], summary["promotion"]["model"]) == ("promoted", "sensorproof")
    assert summary["promotion"]["version"] == 1
    for gate in summary["promotion"]["gates"]:
        assert set(gate) == {"name", "value", "threshold", "passed", "interval", "note"}
    assert [gate["name"] for gate in summary["promotion"]["gates"]] == FIRST
    holdout = hash_holdout(PreparedDataset(Path("artifacts/prepared")))
    assert summary["promotion"]["holdout"] == {"hash": holdout, "frames": 8}
    assert evaluation["comparison"]["holdout"] == summary["promotion"]["holdout"]
    assert aliases(client) == {"champion": 1}

    (parent,) = runs_of(client, "pipeline")
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["data.hash"] == evaluation["data"]["hash"]
    assert parent.data.tags["params.hash"] == evaluation["params_hash"]
    assert parent.data.tags["git.commit"] == evaluation["git_commit"]
    assert parent.data.metrics["gain/mean"] == pytest.approx(evaluation["gain"]["mean"]["value"])
    assert parent.data.params["train.steps"] == str(load_settings().train.steps)
    assert {f.path for f in client.list_artifacts(parent.info.run_id)} == {
        "evaluation.json",
        "lineage.txt",
        "report",
        "report.html",
    }
    (entry,) = parent.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("raw", evaluation["data"]["hash"])

    children = runs_of(client, "training")
    assert {(c.data.tags["arm"], c.data.tags["seed"]) for c in children} == {
        (a, str(s)) for a in GOOD for s in range(2)
    }
    for child in children:
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.info.status == "FINISHED"
        assert child.inputs.dataset_inputs[0].dataset.digest == evaluation["data"]["hash"]
        expected = GOOD[child.data.tags["arm"]][int(child.data.tags["seed"])]
        for metric in ("full", "mean", "worst", "subset/camera", "subset/depth", "subset/camera.depth"):
            assert child.data.metrics[f"miou/{metric}"] == pytest.approx(expected)
        history = client.get_metric_history(child.info.run_id, "information/prediction/camera")
        assert [(m.step, m.value) for m in history] == [(10, 1.0), (20, 2.0), (30, 0.1 * 30)]
        assert len(client.get_metric_history(child.info.run_id, "train/loss")) == 3


def test_the_version_is_the_seed_that_was_best_on_validation(home: Path, client: MlflowClient) -> None:
    write_results(home, GOOD)
    for seed, validation in enumerate([70.0, 60.0]):
        path = home / f"artifacts/evaluate/regularized_dropout-{seed}.json"
        write_json(path, {**read_json(path), "validation_mean": validation})
    run_stage()
    version = client.get_model_version("sensorproof", "1")
    assert (version.tags["arm"], version.tags["seed"]) == ("regularized_dropout", "0")
    assert version.tags["model.sha256"] == hash_model(home / "artifacts/train/regularized_dropout/0/model")
    child = client.get_run(version.run_id)
    assert (child.data.tags["arm"], child.data.tags["seed"]) == ("regularized_dropout", "0")
    assert version.source == f"models:/{child.outputs.model_outputs[0].model_id}"


def test_unchanged_results_are_found_again(home: Path, client: MlflowClient) -> None:
    write_results(home, GOOD)
    run_stage()
    first = promotion()
    (home / "artifacts/report.html").write_text("drawn again")
    run_stage()
    assert promotion() == first
    assert len(runs_of(client, "pipeline")) == 1
    assert len(runs_of(client, "training")) == 4
    assert len(client.search_model_versions("name = 'sensorproof'")) == 1
    run_id = runs_of(client, "pipeline")[0].info.run_id
    assert Path(client.download_artifacts(run_id, "report.html")).read_text() == "drawn again"


def test_results_registered_again_are_compared_with_the_present_champion(home: Path, client: MlflowClient) -> None:
    register_again(GOOD, 0)
    shutil.copytree("artifacts", "first/artifacts")
    shutil.copy("dvc.lock", "first")
    assert register_again(BEST, 10).version == 2
    shutil.rmtree("artifacts")
    Path("first/artifacts").rename("artifacts")
    shutil.copy("first/dvc.lock", "dvc.lock")
    run_stage()
    assert (promotion().decision, promotion().version) == ("refused", 1)
    assert promotion().reasons[0].startswith("gain_champion: the gain in mean mIoU over champion version 2 is only")
    assert aliases(client) == {"challenger": 1, "champion": 2, "previous": 1}
    assert len(runs_of(client, "pipeline")) == 2
    assert client.get_model_version("sensorproof", "1").tags["decision"] == "refused"


def test_a_refusal_is_recorded_with_its_reasons(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(home, BAD)
    run_stage()
    printed = capsys.readouterr().out
    assert (promotion().decision, promotion().version) == ("refused", 1)
    assert [gate.name for gate in promotion().gates if not gate.passed] == ["gain_baseline"]
    assert aliases(client) == {"challenger": 1}
    version = client.get_model_version("sensorproof", "1")
    (reason,) = promotion().reasons
    assert reason in printed
    assert reason in version.tags["reasons"]
    assert version.tags["decision"] == "refused"
    assert "**failed**: the gain in mean mIoU" in version.description
    before = promotion()
    run_stage()
    assert promotion() == before


def test_the_run_of_a_process_that_died_is_closed(home: Path, client: MlflowClient) -> None:
    write_results(home, GOOD)
    run_stage()
    (parent,) = runs_of(client, "pipeline")
    children = runs_of(client, "training")
    client.update_run(parent.info.run_id, "RUNNING")
    for child in children[:3]:
        client.update_run(child.info.run_id, "RUNNING")
    run_stage()
    assert {run.info.status for run in runs_of(client, "pipeline")} == {"KILLED", "FINISHED"}
    statuses = {run.info.run_id: run.info.status for run in runs_of(client, "training")}
    assert [statuses[child.info.run_id] for child in children[:3]] == ["KILLED"] * 3
    assert set(statuses.values()) == {"KILLED", "FINISHED"}
    assert len(client.search_model_versions("name = 'sensorproof'")) == 1
    assert promotion().decision == "promoted"


def test_an_error_marks_the_run_as_failed(home: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(home, GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "add", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_stage()
    assert not (home / "artifacts/summary.json").exists()
    assert [run.info.status for run in runs_of(client, "pipeline")] == ["FAILED"]
    run_stage()
    assert promotion().version == 1


@pytest.mark.parametrize(("figure", "decision"), [(90.0, "promoted"), (30.0, "refused")])
def test_a_candidate_must_beat_the_champion(home: Path, client: MlflowClient, figure: float, decision: str) -> None:
    """The champion has 56 points. Both are scored for this, whatever the candidate's evaluation said."""
    register_again(GOOD, 0)
    better = {"baseline": [figure - 8, figure - 8], "regularized_dropout": [figure - 1, figure]}
    decided = register_again(better, 10)
    assert decided.decision == decision
    gates = {gate.name: gate for gate in decided.gates}
    assert tuple(gates) == GATES
    gain = gates["gain_champion"]
    assert gain.value == pytest.approx(figure - 56, abs=1e-3)
    assert gain.interval == pytest.approx((figure - 56, figure - 56), abs=1e-3)
    for loss in ("loss_full", "class_loss", "site_loss", "condition_loss"):
        assert gates[loss].value == pytest.approx(56 - figure, abs=1e-3)
    assert gates["parameters"].value == 1.0
    assert gates["inference_time"].value is not None
    assert gates["data"].passed
    expected = {"champion": 2, "previous": 1} if decision == "promoted" else {"champion": 1, "challenger": 2}
    assert aliases(client) == expected
    tags = client.get_model_version("sensorproof", "2").tags
    assert PromotionDecision.from_tags(2, tags).to_record() == decided


@pytest.mark.parametrize(("seen", "decision"), [("x/train-0", "promoted"), ("x/test-2", "refused")])
def test_a_champion_that_was_trained_on_the_hold_out_is_not_compared_unnoticed(
    home: Path, client: MlflowClient, seen: str, decision: str
) -> None:
    """For instance because a batch was added that was recorded earlier, and the splits are others now."""
    write_results(home, GOOD)
    evaluation = read_json(home / "artifacts/evaluation.json")
    evaluation["data"]["trained_on"] = [seen]
    write_json(home / "artifacts/evaluation.json", evaluation)
    run_stage()
    decided = register_again(BEST, 10)
    assert decided.decision == decision
    expected = [f"data: champion version 1 was trained on sequences of the hold-out: {seen}"]
    assert list(decided.reasons) == ([] if decision == "promoted" else expected)


@pytest.mark.parametrize("fault", ["weights", "gone", "classes"])
def test_a_champion_that_cannot_be_compared_is_not_replaced(home: Path, client: MlflowClient, fault: str) -> None:
    register_again(GOOD, 0)
    folder = stored(client, client.get_model_version("sensorproof", "1"))
    if fault == "weights":
        flip_a_byte(folder / "model.safetensors")
    elif fault == "gone":
        shutil.rmtree(folder)
    else:
        meta = make_meta()
        others = tuple(c.model_copy(update={"name": f"other {c.name}"}) for c in meta.classes)
        write_model(folder, 1, meta.model_copy(update={"classes": others}))
        client.set_model_version_tag("sensorproof", "1", "model.sha256", hash_model(folder))
    decided = register_again(BEST, 10)
    assert decided.decision == "refused"
    reason = decided.reasons[0]
    faults = {"weights": "its files hash to", "gone": "cannot be fetched", "classes": "its classes are not"}
    assert reason.startswith("gain_champion: not measured: champion version 1 cannot be compared: ")
    assert faults[fault] in reason
    unmeasured = {gate.name for gate in decided.gates if gate.value is None}
    assert unmeasured == set(GATES) - {"complete", "gain_baseline", *OF_SILENT_FAILURES, "data"}
    assert aliases(client) == {"champion": 1, "challenger": 2}


def test_only_the_model_that_was_scored_is_registered(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(home, GOOD)
    flip_a_byte(home / "artifacts/train/regularized_dropout/1/model/model.safetensors")
    with pytest.raises(SystemExit, match="1"):
        run_stage()
    assert "regularized_dropout/1/model: is not the model that was scored" in capsys.readouterr().err
    assert client.search_registered_models() == []


def test_one_seed_is_not_enough(home: Path) -> None:
    write_results(home, {"baseline": [50.0], "regularized_dropout": [60.0]})
    run_stage()
    assert promotion().decision == "refused"
    assert list(promotion().reasons) == [
        "gain_baseline: not measured: one seed gives no interval, so the gain is unproven"
    ]


def test_a_candidate_that_was_not_trained_is_refused(home: Path, client: MlflowClient) -> None:
    write_results(home, GOOD)
    params = yaml.safe_load((home / "params.yaml").read_text())
    params["train"]["arms"], params["promotion"]["candidate"] = ["baseline", "regularized"], "regularized"
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    run_stage()
    assert (promotion().decision, promotion().version) == ("refused", None)
    assert promotion().reasons[0] == "complete: arm regularized is missing"
    assert set(promotion().reasons[1:]) == {f"{name}: not measured: see complete" for name in FIRST[1:]}
    assert promotion().holdout is None
    (parent,) = runs_of(client, "pipeline")
    assert parent.data.tags["reasons"].startswith("complete: arm regularized is missing")
    assert client.search_registered_models() == []


LOAD = """
import sys, numpy, mlflow, json
model = mlflow.pyfunc.load_model("models:/sensorproof@champion")
data = numpy.load(sys.argv[1])
inputs = {name: data[name] for name in ("camera", "depth")}
import sensorproof
alone = model.predict({name: x[:2] for name, x in inputs.items()}, params={"without": ["camera"]})
answers = model.predict(inputs)
labels = {name: [a["labels"] for a in part] for name, part in (("all", answers), ("without", alone))}
numpy.savez(sys.argv[2], **labels)
print(json.dumps([a["used"] for a in answers]))
print(json.dumps([sensorproof.__file__, model.metadata.signature.to_dict()]))
"""


def test_the_registered_model_predicts_as_the_model_folder(home: Path, client: MlflowClient) -> None:
    """In a process of its own, with the code in the package; the last depth frame is missing."""
    write_results(home, GOOD)
    run_stage()
    rng = np.random.default_rng(0)
    inputs = {
        "camera": rng.uniform(0, 255, (3, 3, 45, 51)).astype(np.float32),
        "depth": rng.uniform(1, 50, (3, 1, 30, 40)).astype(np.float32),
    }
    inputs["depth"][2], inputs["depth"][0, :, :9] = np.nan, np.nan
    (home / "downloaded").mkdir()
    np.savez(home / "in.npz", **inputs)
    environment = {**os.environ, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, "in.npz", "out.npz"],
        capture_output=True,
        text=True,
        cwd=home,
        env=environment,
        check=True,
    )
    used, (code, signature) = map(json.loads, done.stdout.splitlines())
    assert used == [["camera", "depth"], ["camera", "depth"], ["camera"]]
    assert Path(code).is_relative_to(home / "mlruns")
    assert [(i["name"], i["required"]) for i in json.loads(signature["inputs"])] == [
        ("camera", False),
        ("depth", False),
    ]
    predictor = load_predictor(home / "artifacts/train/regularized_dropout/1/model", "cpu")
    frames = [{name: pixels[i] for name, pixels in inputs.items()} for i in range(3)]
    out = np.load(home / "out.npz")
    np.testing.assert_array_equal(out["all"], [p.labels for p in predictor.predict(frames)])
    alone = [p.labels for p in predictor.predict([{"depth": frame["depth"]} for frame in frames[:2]])]
    np.testing.assert_array_equal(out["without"], alone)
    assert len(np.unique(out["all"])) > 1
    files = [p.name for p in (home / "mlruns").rglob("*") if p.is_file()]
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pth", ".pt"))]
    (card,) = (path.read_text() for path in (home / "mlruns").rglob("MODEL_CARD.md"))
    assert "mIoU in points on the test split" in card
    for subset in ("camera", "depth", "camera+depth"):
        assert f"| {subset} | " in card
    assert json.loads((home / "artifacts/evaluation.json").read_text())["data"]["hash"] in card
    assert "## Limits" in card
    assert "The worst case, camera shifted, lies 1.5 points below the better of declaring" in card
    assert "## Licence" in card
    (parent,) = runs_of(client, "pipeline")
    lineage = Path(client.download_artifacts(parent.info.run_id, "lineage.txt", str(home / "downloaded")))
    assert "champion (register by " in lineage.read_text()
