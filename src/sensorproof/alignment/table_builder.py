"""Rows of numbers that come one by one, kept in little memory."""

from typing import Any

import numpy as np
import pandas as pd

CHUNK = 2000


class TableBuilder:
    """A table that grows by rows; a row lacks what it has no value for. Numbers keep single precision."""

    def __init__(self, columns: tuple[str, ...] = ()) -> None:
        self.columns = columns
        """Columns that are there even where no row has them."""
        self.rows: list[dict[str, Any]] = []
        self.chunks: list[pd.DataFrame] = []

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if len(self.rows) == CHUNK:
            self.pack()

    def pack(self) -> None:
        """Turn the latest rows into columns: a dictionary a row takes ten times the memory."""
        if not self.rows:
            return
        chunk = pd.DataFrame(self.rows)
        for column in chunk.columns:
            if chunk[column].dtype.kind == "f":
                chunk[column] = chunk[column].astype(np.float32)
        self.chunks.append(chunk)
        self.rows = []

    def table(self) -> pd.DataFrame:
        """All rows so far."""
        self.pack()
        table = pd.concat(self.chunks, ignore_index=True) if self.chunks else pd.DataFrame()
        self.chunks = [table] if len(table) else []
        missing = [column for column in self.columns if column not in table]
        return table.assign(**dict.fromkeys(missing, np.nan)) if missing else table
