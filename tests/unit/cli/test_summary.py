"""`sensorproof summary` prints what a summary.json says, and claims no more."""

from pathlib import Path

from typer.testing import CliRunner

from helpers.evaluations import summary_of_gain
from sensorproof.cli import app
from sensorproof.documents import GateRecord, HoldoutRecord, Summary
from sensorproof.errors import SensorproofError


def printed(summary: Summary, folder: Path) -> list[str]:
    """The lines that the command prints."""
    summary.write(folder / "summary.json")
    done = CliRunner().invoke(app, ["summary", str(folder / "summary.json")])
    assert done.exit_code == 0, done.output
    return done.output.strip().splitlines()


def test_scores_gains_and_decision_are_printed(tmp_path: Path) -> None:
    assert printed(summary_of_gain(3.1, 1.94, 4.26), tmp_path) == [
        "mIoU, test split              full          mean         worst",
        "baseline                60.0 ± 1.0    50.0 ± 1.0    40.0 ± 1.0",
        "regularized             63.1 ± 1.0    53.1 ± 1.0    43.1 ± 1.0",
        "gain in full: +0.5 points (interval -0.5 to +1.5)",
        "gain in mean: +3.1 points (interval +1.9 to +4.3)",
        "gain in worst: +3.1 points (interval +1.9 to +4.3)",
        "promoted: sensorproof version 1",
        "report: artifacts/report.html",
    ]


def test_an_interval_has_no_confidence_as_the_document_does_not_say_it(tmp_path: Path) -> None:
    assert not any("%" in line for line in printed(summary_of_gain(3.1, 1.9, 4.3), tmp_path))


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    lines = printed(summary_of_gain(3.1, None, None, 0.5, 1), tmp_path)
    assert "gain in mean: +3.1 points (one seed, no interval)" in lines


def test_every_gate_is_printed_with_value_interval_and_threshold(tmp_path: Path) -> None:
    gates = (
        GateRecord(name="complete", value=0.0, threshold=0.0, passed=True),
        GateRecord(
            name="gain_baseline", value=-0.25, threshold=0.0, passed=False, interval=(-0.25, 1.85), note="gain +0.80"
        ),
        GateRecord(name="gain_champion", value=None, threshold=0.5, passed=False),
    )
    summary = summary_of_gain(0.8, -0.25, 1.85, gates=gates)
    holdout = HoldoutRecord(hash="ab" * 32, frames=6)
    scored = summary.model_copy(update={"promotion": summary.promotion.model_copy(update={"holdout": holdout})})
    assert printed(scored, tmp_path)[-6:-1] == [
        "refused: sensorproof version 1",
        "  passed  complete 0.00 (threshold 0)",
        "  FAILED  gain_baseline -0.25 (interval -0.25 to 1.85, threshold 0; gain +0.80)",
        "  FAILED  gain_champion not measured (threshold 0.5)",
        "  scored on 6 frames, SHA-256 abababababab…",
    ]


def test_a_summary_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    gate = {"name": "gain_mean", "value": 1.0, "threshold": 0.0, "passed": True}
    document = summary_of_gain(0.8, 0.25, 1.85).to_json()
    del document["comparison"], document["data"]["trained_on"], document["promotion"]["holdout"]
    document["promotion"]["gates"] = [gate]
    summary = Summary.parse(document, "summary.json")
    assert "  passed  gain_mean 1.00 (threshold 0)" in printed(summary, tmp_path)


def test_a_missing_summary_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["summary", str(tmp_path / "summary.json")])
    assert isinstance(done.exception, SensorproofError)
    assert "summary.json" in str(done.exception)
    assert "\n" not in str(done.exception)
