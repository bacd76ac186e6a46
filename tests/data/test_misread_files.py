"""Files that another tool wrote in its own way: one line with the real cause."""

from pathlib import Path

import numpy as np
import pytest

from helpers.batches import edit_frames, edit_info, make_batch
from sensorproof.data.batch import read_batch
from sensorproof.data.image_io import read_pixels
from sensorproof.errors import BatchError


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return make_batch(tmp_path / "yard")


def test_an_array_of_objects_is_named_as_such(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([np.zeros(2), np.zeros(3)], object), allow_pickle=True)
    with pytest.raises(BatchError, match="holds Python objects, which are not read; save numbers instead"):
        read_pixels(tmp_path / "a.npy")


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_table_with_another_separator_is_named_as_such(batch: Path, separator: str, name: str) -> None:
    table = batch / "frames.csv"
    table.write_text(table.read_text().replace(",", separator))
    with pytest.raises(BatchError, match=f"frames.csv: is separated by {name}; separate the cells by commas"):
        read_batch(batch)


def test_paths_of_windows_are_named_as_such(batch: Path) -> None:
    edit_frames(batch, lambda rows: [row.update(camera=row["camera"].replace("/", "\\")) for row in rows])
    with pytest.raises(BatchError, match="has backslashes; separate folders by /"):
        read_batch(batch)


@pytest.mark.parametrize("name", ["off", "on", "yes", "no", "null_", "y"])
def test_a_class_may_have_a_name_that_yaml_once_read_as_a_truth_value(batch: Path, name: str) -> None:
    edit_info(batch, lambda info: info["classes"][1].update(name="PLACEHOLDER"))
    path = batch / "batch.yaml"
    path.write_text(path.read_text().replace("PLACEHOLDER", name))
    assert read_batch(batch).info.classes[1].name == name
