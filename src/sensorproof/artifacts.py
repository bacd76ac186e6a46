"""Where the stages leave what they make, relative to the project. dvc.yaml names the same paths."""

from pathlib import Path

ARTIFACTS = Path("artifacts")
PREPARED = ARTIFACTS / "prepared"
VALIDATION = ARTIFACTS / "validation"
QUARANTINED = VALIDATION / "quarantined.csv"
VERDICT = VALIDATION / "verdict.json"
CHECKS = ARTIFACTS / "checks"
SEARCH = ARTIFACTS / "search"
TRAIN = ARTIFACTS / "train"
CHECKPOINTS = ARTIFACTS / "checkpoints"
EVALUATE = ARTIFACTS / "evaluate"
EVALUATION = ARTIFACTS / "evaluation.json"
REPORT = ARTIFACTS / "report.html"
SUMMARY = ARTIFACTS / "summary.json"


def run_folder(arm: str, seed: int) -> Path:
    """What stage train left of one run."""
    return TRAIN / f"{arm}-{seed}"
