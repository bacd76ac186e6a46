"""artifacts/report: the page's tables as CSV and JSON, figures for `dvc metrics`, and pictures as PNG and SVG."""

from pathlib import Path
from typing import Final

import pandas as pd

from sensorproof.documents import Evaluation
from sensorproof.files import atomic_folder, write_json
from sensorproof.reporting.data_tables import Tables, make_metrics
from sensorproof.reporting.pictures import write_pictures
from sensorproof.settings import PromotionSettings

TABLES: Final = "tables.json"
"""All tables in one document."""
METRICS: Final = "metrics.json"


def write_report_folder(out: Path, evaluation: Evaluation, tables: Tables, promotion: PromotionSettings) -> None:
    """Write the folder, whole or not at all.

    Args:
        out: the folder.
        evaluation: artifacts/evaluation.json.
        tables: see `data_tables.make_tables`.
        promotion: the candidate.
    """
    with atomic_folder(out) as folder:
        for name, rows in tables.items():
            pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        write_json(folder / TABLES, tables)
        write_json(folder / METRICS, make_metrics(evaluation))
        write_pictures(folder, evaluation, promotion)
