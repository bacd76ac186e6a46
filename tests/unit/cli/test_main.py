"""The command itself: its version, and the one line of an error."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sensorproof
from sensorproof.cli import app
from sensorproof.console import report_errors
from sensorproof.errors import RejectedError, SensorproofError, UsageError


def test_the_version_is_printed() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"sensorproof {sensorproof.__version__}\n")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (SensorproofError("a.png", "is broken", "copy it"), 1, "error: a.png: is broken; copy it\n"),
        (UsageError("--size", "is 0", "give more"), 2, "error: --size: is 0; give more\n"),
        (RejectedError("b", "is refused", "fix it"), 4, "error: b: is refused; fix it\n"),
        (PermissionError(13, "Permission denied", "x"), 1, "error: x: Permission denied; check the path and its "),
        (
            ModuleNotFoundError("No module named 'mlflow'", name="mlflow.tracking"),
            1,
            "error: mlflow is not installed; ",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted; run the same command again\n"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENSORPROOF_DEBUG", raising=False)

    @report_errors
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as stopped:
        fail()
    printed = capsys.readouterr().err
    assert (stopped.value.code, printed.count("\n")) == (code, 1)
    assert printed.startswith(line)
    monkeypatch.setenv("SENSORPROOF_DEBUG", "1")
    with pytest.raises(type(error)):
        fail()


def test_another_missing_module_is_a_fault_of_ours() -> None:
    @report_errors
    def fail() -> None:
        raise ModuleNotFoundError("No module named 'nothing'", name="nothing")

    with pytest.raises(ModuleNotFoundError):
        fail()


def test_the_installed_command_prints_one_line(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("sensorproof")
    done = subprocess.run([command, "validate", "nowhere"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: params.yaml: is missing; run inside a Sensorproof project\n"
