"""What is kept comes back as it was; what is damaged counts as missing."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sensorproof.cache import hash_code, load_tree, prune, save_tree

TABLE = pd.DataFrame({"name": ["a", "b"], "value": np.array([1.5, np.nan], np.float32), "place": np.arange(2)})
TREE = {
    "table": TABLE,
    "arrays": [np.arange(6, dtype=np.uint64).reshape(2, 3), np.zeros((0, 2), np.float16)],
    "nested": {"none": None, "text": "x", "number": 0.1, "whole": np.int64(7), "nan": float("nan")},
}


def test_a_tree_comes_back_to_the_bit(tmp_path: Path) -> None:
    save_tree(tmp_path / "tree.safetensors", TREE)
    tree = load_tree(tmp_path / "tree.safetensors")
    pd.testing.assert_frame_equal(tree["table"], TABLE)
    for before, after in zip(TREE["arrays"], tree["arrays"], strict=True):
        assert (before.dtype, before.shape, before.tobytes()) == (after.dtype, after.shape, after.tobytes())
    assert tree["nested"]["none"] is None
    assert np.isnan(tree["nested"]["nan"])
    assert (tree["nested"]["text"], tree["nested"]["number"], tree["nested"]["whole"]) == ("x", 0.1, 7)


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: b"", lambda data: b"{" + data[1:]])
def test_a_damaged_file_counts_as_missing(damage: object, tmp_path: Path) -> None:
    path = tmp_path / "tree.safetensors"
    assert load_tree(path) is None
    save_tree(path, TREE)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert load_tree(path) is None


def test_what_nobody_uses_is_removed(tmp_path: Path) -> None:
    old, kept, fresh, read = (tmp_path / f"{name}.safetensors" for name in ("old", "kept", "fresh", "read"))
    for path in (old, kept, fresh, read):
        save_tree(path, {})
        if path != fresh:
            os.utime(path, (time.time() - 10 * 86400,) * 2)
    load_tree(read)
    prune(tmp_path, 5, [kept])
    assert {path.stem for path in tmp_path.iterdir()} == {"kept", "fresh", "read"}


def test_the_hash_of_code_follows_its_source() -> None:
    assert hash_code("sensorproof.alignment") != hash_code("sensorproof.alignment.measures")
