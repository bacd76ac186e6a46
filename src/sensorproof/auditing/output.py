"""Write the report of an audit: audit.html, audit.json and the tables as CSV."""

from pathlib import Path
from typing import Any

import pandas as pd

from sensorproof.documents.audit import AuditRecord, CaseScore
from sensorproof.errors import UsageError
from sensorproof.files import atomic_folder
from sensorproof.reporting.audit_page import render_audit

RECORD, PAGE = "audit.json", "audit.html"


def check_target(out: Path) -> None:
    """Check that a report may be written to a folder: it is new, empty, or holds an earlier report.

    Raises:
        UsageError: it holds anything else.
    """
    if not out.exists() or (out.is_dir() and ((out / RECORD).is_file() or not any(out.iterdir()))):
        return
    raise UsageError(out, "exists and holds no audit", "choose another folder")


def write_audit(record: AuditRecord, out: Path) -> None:
    """Write a report into a folder, whole or not at all.

    Raises:
        UsageError: see `check_target`.
    """
    check_target(out)
    with atomic_folder(out) as folder:
        record.write(folder / RECORD)
        (folder / PAGE).write_text(render_audit(record), encoding="utf-8")
        _write_table(folder / "subsets.csv", _subset_rows(record))
        if record.broken:
            _write_table(folder / "silent.csv", _broken_rows(record, "failures"))
            _write_table(folder / "noise.csv", _broken_rows(record, "noise"))
        if any(own.degradations for own in record.broken.values()):
            _write_table(folder / "degradations.csv", _degradation_rows(record))
        if record.rmm:
            _write_table(folder / "rmm.csv", _rmm_rows(record))


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    pd.DataFrame(rows).to_csv(path, index=False, lineterminator="\n")


def _subset_rows(record: AuditRecord) -> list[dict[str, Any]]:
    """Make a row for each subset: mIoU, its loss, and the IoU of each class, in points."""
    return [
        {
            "subset": name,
            "missing": len(record.sensors) - len(name.split("+")),
            "miou": case.score,
            "loss": record.loss(case.score),
            **{f"iou_{each}": record.per_class.get(name, {}).get(each) for each in record.support},
            "failed": case.reason,
        }
        for name, case in record.subsets.items()
    ]


def _broken_rows(record: AuditRecord, table: str) -> list[dict[str, Any]]:
    """Make a row for each sensor and way to break it: mIoU, and beside it full and declared absence, in points."""
    rows = []
    for name, broken in record.broken.items():
        absent = record.absent(name)
        for kind, case in getattr(broken, table).items():
            rows.append(
                {
                    "sensor": name,
                    "failure" if table == "failures" else "level": kind,
                    "miou": case.score,
                    "full": record.full,
                    "absent": None if absent is None else absent.score,
                    "loss": record.loss(case.score),
                    "failed": case.reason,
                }
            )
    return rows


def _degradation_rows(record: AuditRecord) -> list[dict[str, Any]]:
    """Make a row for each sensor, degradation and severity: mIoU in points, with its interval."""
    return [
        {"sensor": name, "degradation": way, "severity": severity, **_case_columns(record, case)}
        for name, own in record.broken.items()
        for way, curve in own.degradations.items()
        for severity, case in curve.items()
    ]


def _rmm_rows(record: AuditRecord) -> list[dict[str, Any]]:
    """Make a row for each share of missing values and subset of sound sensors: mIoU in points, with its interval."""
    return [
        {"missing_share": share, "sound": subset, **_case_columns(record, case)}
        for share, table in record.rmm.items()
        for subset, case in table.items()
    ]


def _case_columns(record: AuditRecord, case: CaseScore) -> dict[str, Any]:
    low, high = case.interval
    return {"miou": case.score, "low": low, "high": high, "loss": record.loss(case.score), "failed": case.reason}
