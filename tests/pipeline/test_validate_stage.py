"""Stage and command give the same answer on the same data, and a refused batch stops the stage."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.synthetic_scenes import ROOT, write_files

FRAMES = 16


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches in data/raw; one of them has frames at fault."""
    root = tmp_path_factory.mktemp("stage")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for name in ("first", "second"):
        write_files(root / "data/raw" / name, FRAMES, 2)
    shift(root / "data/raw/second", range(2, 4))
    return root


def shift(batch: Path, rows: range) -> None:
    for row in rows:
        path = batch / "other" / f"{row}.png"
        Image.fromarray(np.roll(np.asarray(Image.open(path)), 9, axis=0)).save(path)


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def stage(project: Path) -> subprocess.CompletedProcess[str]:
    return run(project, sys.executable, str(ROOT / "pipelines/stages/validate.py"))


def test_stage_and_command_agree_and_a_refusal_stops_the_stage(project: Path) -> None:
    done = stage(project)
    assert done.returncode == 0, done.stderr
    verdict = json.loads((project / "artifacts/validation/verdict.json").read_text())
    assert verdict["frames"] == {"total": 2 * FRAMES, "quarantined": 2, "released": 0}
    aside = pd.read_csv(project / "artifacts/validation/quarantined.csv", dtype=str)
    assert set(zip(aside.batch, aside.frame_id, strict=True)) == {("second", "f0002"), ("second", "f0003")}
    ledger = (project / "data/quarantine/ledger.csv").read_text()
    for name, code in (("first", 0), ("second", 3)):
        said = run(project, "sensorproof", "validate", f"data/raw/{name}", "--json", "said.json")
        assert said.returncode == code, said.stderr
        assert json.loads((project / "said.json").read_text()) == verdict["batches"][name]
        for file in ("verdict.json", "measures.csv", "quarantined.csv", "suite.json"):
            ours = project / "artifacts/checks" / name / file
            assert ours.read_bytes() == (project / "artifacts/validation" / name / file).read_bytes()
    assert (project / "data/quarantine/ledger.csv").read_text() == ledger

    shift(project / "data/raw/second", range(4, FRAMES))
    refused = stage(project)
    assert refused.returncode == 4
    error = refused.stderr.strip().splitlines()
    assert len(error) == 1
    assert error[0].startswith("error: second: is refused: ")
    left = json.loads((project / "artifacts/validation/verdict.json").read_text())
    assert (left["decision"], left["batches"]["first"]["decision"]) == ("refused", "accepted")
    assert (project / "artifacts/validation/second/docs/index.html").is_file()
