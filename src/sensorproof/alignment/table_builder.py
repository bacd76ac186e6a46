"""A table that is built row by row in little memory."""

from typing import Any

import numpy as np
import pandas as pd

_CHUNK = 2000
"""Rows that are kept as dictionaries before they become columns."""


class TableBuilder:
    """A table that grows by rows; numbers keep single precision.

    Args:
        columns: columns that the table has even if no row has a value for them.
    """

    def __init__(self, columns: tuple[str, ...] = ()) -> None:
        self._columns = columns
        self._rows: list[dict[str, Any]] = []
        self._chunks: list[pd.DataFrame] = []

    def add(self, row: dict[str, Any]) -> None:
        """Add a row; columns that it lacks are NaN."""
        self._rows.append(row)
        if len(self._rows) == _CHUNK:
            self._pack()

    def extend(self, table: pd.DataFrame) -> None:
        """Add the rows of a table that another builder made."""
        self._pack()
        if len(table):
            self._chunks.append(table)

    def _pack(self) -> None:
        """Turn the latest rows into columns, because a dictionary per row takes ten times the memory."""
        if not self._rows:
            return
        chunk = pd.DataFrame(self._rows)
        for column in chunk.columns:
            if chunk[column].dtype.kind == "f":
                chunk[column] = chunk[column].astype(np.float32)
        self._chunks.append(chunk)
        self._rows = []

    def table(self) -> pd.DataFrame:
        """Return all rows so far."""
        self._pack()
        table = pd.concat(self._chunks, ignore_index=True) if self._chunks else pd.DataFrame()
        # A column that a part lacks makes the whole column double.
        doubles = [name for name, dtype in table.dtypes.items() if dtype == np.float64]
        table = table.astype(dict.fromkeys(doubles, np.float32)) if doubles else table
        self._chunks = [table] if len(table) else []
        missing = [column for column in self._columns if column not in table]
        return table.assign(**dict.fromkeys(missing, np.nan)) if missing else table
