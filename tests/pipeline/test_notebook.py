"""The notebook runs from top to bottom, and what it claims shows."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from helpers.paths import ROOT


def test_the_notebook_runs_and_the_regularised_model_needs_the_camera_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shutil.copy(ROOT / "examples/missing_sensor.ipynb", tmp_path)
    notebook = nbformat.read(tmp_path / "missing_sensor.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit the notebook without outputs"
    done = NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(
        output["text"] for cell in done.cells for output in cell.get("outputs", []) if output["output_type"] == "stream"
    )
    scores = {line.split()[0]: line.split("mIoU ")[1] for line in printed.splitlines() if " mIoU full " in line}
    mean = {name: float(text.split("mean ")[1].split(",")[0]) for name, text in scores.items()}
    assert mean["regularised"] > mean["plain"] + 1
