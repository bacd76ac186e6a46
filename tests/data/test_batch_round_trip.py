"""Whatever batch is written is read back as it was."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.batches import info_of
from sensorproof.data.batch import read_batch, write_batch

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=8)
SENSOR = st.from_regex(r"[A-Za-z0-9éж热][A-Za-z0-9_éж热-]{0,5}", fullmatch=True).filter(
    lambda s: s not in ("frame_id", "site", "label", "split") and not s.endswith("_time")
)
NUMBER = st.floats(-1e6, 1e6)


@st.composite
def batches(draw: st.DrawFn) -> tuple[dict[str, Any], pd.DataFrame]:
    sensors = draw(st.lists(SENSOR, min_size=2, max_size=4, unique=True))
    ids = draw(st.lists(TEXT, min_size=1, max_size=5, unique=True))
    table = pd.DataFrame({"frame_id": ids})
    for column in ("sequence", "site", "condition"):
        table[column] = [draw(TEXT) for _ in ids]
    table["label"] = [draw(st.sampled_from(["", "l/a.png"])) for _ in ids]
    if draw(st.booleans()):
        table["split"] = [draw(st.sampled_from(["train", "val", "test"])) for _ in ids]
    for sensor in sensors:
        times = [draw(st.none() | NUMBER.map(lambda t: round(t, 6))) for _ in ids]
        table[sensor] = ["" if t is None else f"{sensor}/ü b.png" for t in times]
        table[f"{sensor}_time"] = [np.nan if t is None else t for t in times]
    info = info_of(draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,9}", fullmatch=True)))
    calibration = {"K": [1.5] * 9, "T_ref": [0.1] * 16, "captured": "2025-01-31"}
    info["sensors"] = {
        s: {
            "kind": draw(st.sampled_from(["camera", "radar", "other"])),
            "channels": draw(st.integers(1, 64)),
            "range": sorted([draw(NUMBER), 2e6]),
            "nodata": draw(st.none() | NUMBER),
            "max_time_offset_s": draw(st.floats(0, 10)),
            "calibration": draw(st.sampled_from([None, calibration])),
        }
        for s in sensors
    }
    info["reference"] = sensors[-1]
    return info, table


@settings(max_examples=40, deadline=None)
@given(batches())
def test_what_is_written_is_read(made: tuple[dict[str, Any], pd.DataFrame]) -> None:
    info, table = made
    with TemporaryDirectory() as folder:
        write_batch(Path(folder), info, table)
        read = read_batch(Path(folder))
    assert read.info.model_dump(mode="json") == info
    for column in table:
        if column.endswith("_time"):
            assert np.allclose(read.frames[column], table[column].astype(float), atol=1e-6, rtol=0, equal_nan=True)
        else:
            assert read.frames[column].tolist() == table[column].tolist()
    assert ("split" in table) == (read.frames.split != "").all()
