"""artifacts/train/<arm>/<seed>/history.csv: scalars of a training, one row per recorded step."""

import csv
from collections.abc import Sequence
from pathlib import Path

from sensorproof.errors import SensorproofError

STEP = "step"
INFORMATION = "information/"
"""Prefix of the columns `information/<scale>/<sensor>`: what a sensor contributes."""
Row = dict[str, float]
"""{column: value}; a column that was not measured at a step is left out."""


def write_history(path: Path, rows: Sequence[Row]) -> None:
    """Write one line per row; a column that a row lacks stays empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_history(path: Path) -> list[Row]:
    """Read the rows; empty cells are left out.

    Raises:
        SensorproofError: the file is missing or is not a history.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
        if not all(STEP in row for row in rows):
            raise ValueError(f"a row has no {STEP}")
    except (OSError, ValueError, TypeError) as error:
        raise SensorproofError(path, f"is no training history ({error})", "run `dvc repro --force train`") from error
    return rows
