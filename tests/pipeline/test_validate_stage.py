"""The stage and the command give the same results on the same data, and a refused batch stops the stage."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from helpers.fault_batches import FRAMES, shift_images
from helpers.paths import ROOT
from helpers.project_artifacts import write_prepared
from helpers.synthetic_scenes import write_synthetic_batch
from sensorproof.artifacts import CHECKS, PREPARED, QUARANTINED, VALIDATION, VERDICT
from sensorproof.documents.validation import BatchRecord, ValidationRecord, VerdictFrames


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches in data/raw, one of which has faulty frames."""
    root = tmp_path_factory.mktemp("stage")
    shutil.copy(ROOT / "params.yaml", root)
    for name in ("first", "second"):
        write_synthetic_batch(root / "data/raw" / name, FRAMES, 2)
    shift_images(root / "data/raw/second", range(2, 4), 9)
    write_prepared(root / PREPARED)
    return root


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def run_stage(project: Path) -> subprocess.CompletedProcess[str]:
    return run(project, sys.executable, str(ROOT / "pipelines/stages/validate.py"))


def test_stage_and_command_agree_and_a_refusal_stops_the_stage(project: Path) -> None:
    done = run_stage(project)
    assert done.returncode == 0, done.stderr
    record = ValidationRecord.read(project / VERDICT)
    assert record.frames == VerdictFrames(total=2 * FRAMES, quarantined=2, released=0)
    quarantined = pd.read_csv(project / QUARANTINED, dtype=str)
    assert set(zip(quarantined.batch, quarantined.frame_id, strict=True)) == {("second", "f0002"), ("second", "f0003")}
    ledger = (project / "data/quarantine/ledger.csv").read_text()
    for name, code in (("first", 0), ("second", 3)):
        command = run(project, "sensorproof", "validate", f"data/raw/{name}", "--json", "verdict.json")
        assert command.returncode == code, command.stderr
        assert BatchRecord.read(project / "verdict.json") == record.batches[name]
        for file in ("verdict.json", "measures.csv", "quarantined.csv", "suite.json"):
            by_command, by_stage = (project / folder / name / file for folder in (CHECKS, VALIDATION))
            assert by_command.read_bytes() == by_stage.read_bytes()
    assert (project / "data/quarantine/ledger.csv").read_text() == ledger

    table = project / PREPARED / "frames.csv"
    whole = table.read_text()
    table.write_text("\n".join(line for line in whole.splitlines() if ",test," not in line))
    unusable = run_stage(project)
    assert (unusable.returncode, unusable.stderr.count("\n")) == (1, 1)
    assert "error: data/raw: no labelled frame for test" in unusable.stderr
    table.write_text(whole)

    shift_images(project / "data/raw/second", range(4, FRAMES), 9)
    refused = run_stage(project)
    assert refused.returncode == 4
    error = refused.stderr.strip().splitlines()
    assert len(error) == 1
    assert error[0].startswith("error: second: is refused: ")
    record = ValidationRecord.read(project / VERDICT)
    assert (record.decision, record.batches["first"].decision) == ("refused", "accepted")
    assert (project / VALIDATION / "second/docs/index.html").is_file()
