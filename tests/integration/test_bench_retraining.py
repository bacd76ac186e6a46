"""`sensorproof bench retraining` on a checkout with two stages that do nothing: real DVC, Prefect flows and server."""

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.paths import ROOT
from sensorproof.benchmarks.retraining import bench_retraining
from sensorproof.errors import UsageError

STAGES = """\
stages:
  prepare:
    cmd: ls ${data.raw} > names.txt && echo prepare >> ran.txt
    deps:
      - ${data.raw}
    outs:
      - names.txt
  last:
    cmd: sleep 0.2 && echo last >> %s
    deps:
      - names.txt
"""


def test_the_stages_run_four_times_in_a_copy_and_the_flows_cost_more_than_the_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, ran = tmp_path / "checkout", tmp_path / "ran.txt"
    shutil.copytree(
        ROOT / "pipelines/flows", checkout / "pipelines/flows", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "params.yaml", checkout)
    (checkout / "dvc.yaml").write_text(STAGES % ran)
    (checkout / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", checkout / ".dvc")
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
    subprocess.run(["git", "add", "."], cwd=checkout, check=True)
    before = {path for path in checkout.rglob("*") if ".git" not in path.parts}
    monkeypatch.chdir(checkout)
    figures = bench_retraining(lambda _: None)
    assert ran.read_text().split() == ["last"] * 4
    assert figures["stages"] == 2
    assert figures["their own commands, s"] > 0.2
    assert all(figures[name] > 0 for name in figures if name.endswith("more than that, s"))
    assert {path for path in checkout.rglob("*") if ".git" not in path.parts} == before


def test_another_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is not in this folder"):
        bench_retraining(lambda _: None)
