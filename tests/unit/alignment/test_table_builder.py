"""Tables that grow row by row."""

import numpy as np
import pandas as pd

from sensorproof.alignment.table_builder import TableBuilder


def test_rows_of_several_chunks_are_one_table_in_single_precision() -> None:
    builder = TableBuilder(("a", "never"))
    for k in range(4001):
        builder.add({"a": k / 2, "name": f"n{k}"} if k % 2 else {"name": f"n{k}"})
    table = builder.table()
    assert list(table.columns) == ["name", "a", "never"]
    assert len(table) == 4001
    assert table.a.dtype == np.float32
    assert table.a.isna().sum() == 2001
    assert table.never.isna().all()
    builder.add({"name": "last"})
    assert builder.table().name.iloc[-1] == "last"


def test_an_empty_table_has_its_columns() -> None:
    table = TableBuilder(("a", "b")).table()
    assert table.empty
    pd.testing.assert_index_equal(table.columns, pd.Index(["a", "b"]))
