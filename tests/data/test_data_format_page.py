"""The data format page is right: its batch is read, its mapping is taken, its table names the columns."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.paths import ROOT
from sensorproof.data.batch import read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.importers.mapping import read_mapping, role_of

PAGE = (ROOT / "docs/reference/data-format.md").read_text()


def blocks() -> Iterator[str]:
    """Indented blocks, without the indentation; a single empty line belongs to the block."""
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.MULTILINE):
        yield re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n"


def block(start: str) -> str:
    (found,) = [b for b in blocks() if b.startswith(start)]
    return found


def test_the_minimal_batch_is_one(tmp_path: Path) -> None:
    (tmp_path / "batch.yaml").write_text(block("name: yard"))
    (tmp_path / "frames.csv").write_text(block("frame_id,"))
    for folder in ("camera", "thermal", "label"):
        (tmp_path / folder).mkdir()
    for k in (1, 2):
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / f"camera/000{k}.png")
    Image.fromarray(np.full((4, 6), 29000, np.uint16)).save(tmp_path / "thermal/0001.png")
    Image.fromarray(np.ones((4, 6), np.uint8)).save(tmp_path / "label/0001.png")
    batch = read_batch(tmp_path)
    assert [load_frame(batch, k)[1] for k in (0, 1)] == [[], []]
    assert sorted(load_frame(batch, 1)[0].images) == ["camera"]


def test_the_table_names_every_column(tmp_path: Path) -> None:
    (tmp_path / "batch.yaml").write_text(block("name: yard"))
    columns = [c.replace("camera", "<sensor>") for c in block("frame_id,").splitlines()[0].split(",")]
    named = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert named == [*(c for c in columns if "thermal" not in c), "split"]


def test_the_mapping_is_one(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(block("classes:"))
    mapping = read_mapping(tmp_path / "mapping.yaml")
    assert mapping.sensors["lidar"].layout == "NCHW"
    roles = [role_of(n, mapping.frames.rules) for n in ("test-drive/x", "a/b/night-1", "a/b/2", "a")]
    assert [role and (role.site, role.sequence, role.leave_out, role.labelled) for role in roles] == [
        ("all", "all", True, True),
        ("a", "b", False, False),
        ("site-a", "b", False, True),
        None,
    ]
