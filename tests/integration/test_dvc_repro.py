"""The whole pipeline on small simulated data: what it leaves, and what a change re-runs."""

import json
import re

import pytest

from helpers.project import Project, make_project

STAGES = {"prepare", "validate", "search", "evaluate", "report", "register"}
RUNS = {"train@baseline", "train@regularized_dropout"}


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("repro") / "project")
    project.simulate("first", "--sites", "3")
    project.run("dvc", "repro")
    return project


def stages_run(project: Project) -> set[str]:
    """Reproduce, and return the stages that ran, without the one that always runs."""
    return set(re.findall(r"Running stage '([^']+)'", project.run("dvc", "repro").stdout)) - {"registry"}


def test_summary_has_what_the_design_promises(reproduced: Project) -> None:
    summary = json.loads((reproduced.root / "artifacts/summary.json").read_text())
    assert summary["data"]["batches"] == ["first"]
    assert re.fullmatch(r"[0-9a-f]{32}\.dir", summary["data"]["hash"])
    assert set(summary["arms"]) == {"baseline", "regularized_dropout"}
    for arm in summary["arms"].values():
        assert arm["seeds"] == [0, 1]
        assert len(arm["subsets"]) == 15
        mean = sum(s["mean"] for s in arm["subsets"].values()) / 15
        assert arm["mean"]["mean"] == pytest.approx(mean)
        assert arm["worst"]["mean"] <= arm["mean"]["mean"] <= 100
    baseline, ours = summary["arms"]["baseline"], summary["arms"]["regularized_dropout"]
    assert baseline["parameters"] == ours["parameters"]
    for figure, gain in summary["gain"].items():
        assert gain["value"] == pytest.approx(ours[figure]["mean"] - baseline[figure]["mean"])
        assert gain["ci95"][0] <= gain["value"] <= gain["ci95"][1]
    assert summary["search"]["trials"] == 2
    assert summary["promotion"]["decision"] in {"promoted", "refused"}
    assert all(isinstance(gate["passed"], bool) for gate in summary["promotion"]["gates"])


def test_the_report_is_one_self_contained_page(reproduced: Project) -> None:
    page = (reproduced.root / "artifacts/report.html").read_text()
    assert "camera" in page
    assert "data:image/png;base64," in page
    assert not re.search(r"(src|href)=[\"']https?:", page)


def test_nothing_changed_runs_nothing(reproduced: Project) -> None:
    assert stages_run(reproduced) == set()


def test_what_the_registry_lost_is_registered_again(reproduced: Project) -> None:
    delete = "import mlflow; mlflow.MlflowClient('sqlite:///mlflow.db').delete_model_version('sensorproof', '1')"
    reproduced.run("python", "-c", delete)
    assert "no version is registered" in reproduced.run("sensorproof", "registry", "status").stdout
    done = reproduced.run("dvc", "repro").stdout
    assert "version 1 is no longer in the registry" in done
    assert "Running stage 'register'" in done
    assert "regularized_dropout" in reproduced.run("sensorproof", "registry", "status").stdout
    assert stages_run(reproduced) == set()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("promotion: {max_time_ratio: 1.2}", {"report", "register"}),
        ("regularizer: {sigma: 0.25}", {"search", "train@regularized_dropout", "evaluate", "report", "register"}),
        ("train: {checkpoint_every: 6}", {*RUNS, "evaluate", "report", "register"}),
        ("compare: {tuning_fraction: 0.7}", set()),
    ],
)
def test_a_change_re_runs_only_what_depends_on_it(reproduced: Project, override: str, expected: set[str]) -> None:
    before = (reproduced.root / "params.yaml").read_text()
    reproduced.configure(override)
    try:
        ran = stages_run(reproduced)
    finally:
        (reproduced.root / "params.yaml").write_text(before)
        reproduced.run("dvc", "repro")
    wanted = {run for run in RUNS for e in expected if run.startswith(e)} | (expected & STAGES)
    assert ran - wanted == set()
    assert {s for s in wanted if s in STAGES and s not in {"report", "register", "evaluate"}} <= ran


def test_a_second_batch_is_trained_on_with_the_first(reproduced: Project) -> None:
    counts = json.loads((reproduced.root / "artifacts/summary.json").read_text())["data"]["frames"]
    reproduced.simulate("second", "--sites", "3", "--site-offset", "3", "--seed", "9")
    assert "prepare" in stages_run(reproduced)
    data = json.loads((reproduced.root / "artifacts/summary.json").read_text())["data"]
    assert data["batches"] == ["first", "second"]
    assert data["frames"]["train"] > counts["train"]
