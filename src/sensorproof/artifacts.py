"""Where the stages write their results, relative to the project. dvc.yaml names the same paths."""

from pathlib import Path

_ARTIFACTS = Path("artifacts")
PREPARED = _ARTIFACTS / "prepared"
VALIDATION = _ARTIFACTS / "validation"
QUARANTINED = VALIDATION / "quarantined.csv"
VERDICT = VALIDATION / "verdict.json"
WORST_FRAMES = "worst_frames.png"
"""Name of the small contact sheet in the folder of a batch: one frame of each sensor."""
CHECKS = _ARTIFACTS / "checks"
_CACHE = _ARTIFACTS / "cache"
CONTENT = _CACHE / "content"
FILE_HASHES = _CACHE / "files"
MEASURED = _CACHE / "measured"
STATISTICS = _CACHE / "statistics"
SHEETS = _CACHE / "sheets"
SHARDS = _CACHE / "shards"
PREPARED_SHARDS = _CACHE / "prepared"
CHAMPION = _ARTIFACTS / "champion"
CHAMPION_START = CHAMPION / "champion.json"
SEARCH = _ARTIFACTS / "search"
STUDIES = _ARTIFACTS / "studies" / "journal.log"
TRAIN = _ARTIFACTS / "train"
CHECKPOINTS = _ARTIFACTS / "checkpoints"
TRAINED = _CACHE / "trained"
"""Finished trainings by all that determines them."""
EVALUATE = _ARTIFACTS / "evaluate"
SPECIALISTS = _ARTIFACTS / "specialists"
EVALUATION = _ARTIFACTS / "evaluation.json"
REPORT = _ARTIFACTS / "report.html"
REPORT_FOLDER = _ARTIFACTS / "report"
REGISTRY = _ARTIFACTS / "registry.json"
SUMMARY = _ARTIFACTS / "summary.json"
FIELD = _ARTIFACTS / "field"
"""The history of the ingested batches, as a page and a picture."""


def run_folder(arm: str, seed: int) -> Path:
    """Return the folder of one training; stage train writes all seeds of an arm at once."""
    return TRAIN / arm / str(seed)
