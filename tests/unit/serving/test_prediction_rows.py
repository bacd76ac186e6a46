"""Rows of predictions.csv: only whole ones count, and one process writes them."""

from pathlib import Path

import pandas as pd
import pytest

from sensorproof.locks import BusyError
from sensorproof.serving.prediction_rows import HEADER, OpenPart, Row, check_idle, read_rows

ROWS = [
    Row("f0", "labels/f0.png", "0.5000", "camera", "depth: not given", "", ""),
    Row('a "b", c', "", "", "", "", "", "camera/x.png: is not a whole image; depth/x.npy: is missing"),
    Row("f2", "labels/f2.png", "1.0000", "camera+depth", "", "depth: frozen", ""),
]


def accept(place: int, row: Row) -> bool:
    return place < len(ROWS) and row == ROWS[place]


def write(path: Path, rows: list[Row]) -> bytes:
    part = OpenPart(path, accept)
    for row in rows:
        part.append(row)
    part.close()
    return path.read_bytes()


def test_rows_come_back_and_pandas_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    write(path, ROWS)
    with path.open("rb") as file:
        assert list(read_rows(file)) == ROWS
    assert pd.read_csv(path, keep_default_na=False, dtype=str).frame_id.tolist() == [row.frame_id for row in ROWS]


def test_a_cut_at_any_byte_leaves_the_rows_before_it(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    whole = write(path, ROWS)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        part = OpenPart(path, accept)
        assert part.done == max(0, whole[:length].count(b"\n") - 1)
        for row in ROWS[part.done :]:
            part.append(row)
        part.close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize("broken", [b"\0\0\0\n", b"\xff\n", b"f0,labels/f0.png\n", b'"f0\n', b"\n"])
def test_a_line_that_is_no_row_ends_the_table(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "part.csv"
    path.write_bytes(HEADER + ROWS[0].encode() + broken + ROWS[2].encode())
    part = OpenPart(path, accept)
    assert part.done == 1
    part.close()
    assert path.read_bytes() == HEADER + ROWS[0].encode()


def test_a_text_of_several_lines_stays_in_its_row(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    assert write(path, [Row("f0", "", "", "", "", "", "a\nb\r\n  c \udcff")]).count(b"\n") == 2
    with path.open("rb") as file:
        assert [row.faults for row in read_rows(file)] == ["a b c \\udcff"]


def test_two_do_not_write_the_same_part(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    part = OpenPart(path, accept)
    with pytest.raises(BusyError, match="by another process"):
        OpenPart(path, accept)
    with pytest.raises(BusyError):
        check_idle(path)
    part.close()
    check_idle(path)
    OpenPart(path, accept).close()
