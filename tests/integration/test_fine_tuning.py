"""The whole pipeline on small data: all arms from scratch, then one more batch and fine-tuning, by the flow."""

import json

import pytest

from helpers.project import Project, make_project

LOOSE = """\
promotion:
  {min_gain_baseline: -1000.0, min_gain_champion: -1000.0, min_worst: 0.0, max_loss_full: 1000.0,
   max_loss_class: 1000.0, max_loss_site: 1000.0, max_loss_condition: 1000.0, max_loss_silent: 1000.0,
   max_false_alarms: 1.0, max_time_ratio: 1000.0}
search: {enabled: false}
"""


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("tuning") / "project")
    project.configure(LOOSE)
    project.simulate("first", "--sites", "3")
    project.run("dvc", "repro")
    return project


def test_the_candidate_goes_on_from_the_champion(project: Project) -> None:
    artifacts = project.root / "artifacts"
    first = json.loads((artifacts / "summary.json").read_text())
    assert (first["promotion"]["decision"], "skipped" in first["promotion"]) == ("promoted", False)
    project.simulate("second", "--sites", "3", "--site-offset", "3", "--seed", "9")
    project.configure("retraining: {mode: fine_tune, fine_tune: {steps: 6}}")
    flow = project.run("python", "pipelines/flows/retraining.py")
    assert "fine-tuned from champion version 1" in flow.stdout
    assert "skipped: search, baseline, comparison with the baseline" in flow.stdout
    summary = json.loads((artifacts / "summary.json").read_text())
    assert set(summary["arms"]) == {"regularized_dropout"}
    assert summary["fine_tuning"]["champion"] == 1
    assert set(first["data"]["trained_on"]) <= set(summary["data"]["trained_on"])
    assert summary["promotion"]["version"] == 2
    assert [p.name for p in (artifacts / "train/baseline").iterdir()] == ["skipped.json"]
    history = (artifacts / "train/regularized_dropout/0/history.csv").read_text().splitlines()
    assert history[-1].startswith("6,")
    assert "was fine-tuned" in (artifacts / "report.html").read_text()
    assert "Running stage" not in project.run("dvc", "repro").stdout.replace("Running stage 'registry'", "")
