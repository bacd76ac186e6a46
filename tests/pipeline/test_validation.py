"""A batch validated from its files: the verdict, the results, and the comparison with the training data."""

import html
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.commands import command
from helpers.fault_batches import FRAMES, edit_frames, quarantined_ids, shift_images, validated
from helpers.synthetic_scenes import settings
from sensorproof.alignment import contact_sheet
from sensorproof.data.quarantine import LEDGER
from sensorproof.documents.validation import BatchRecord
from sensorproof.errors import BatchError
from sensorproof.validation import validate_batch


def test_a_fault_free_batch_passes_without_a_ledger(batch: Path) -> None:
    verdict = validated(batch)
    assert (verdict.exit_code, verdict.quarantined, verdict.reasons, verdict.warnings) == (0, 0, (), ())
    assert {sensor: pair.state for sensor, pair in verdict.pairs.items()} == {"other": "aligned", "label": "aligned"}
    assert not Path("data/quarantine", LEDGER).exists()


def test_results_are_written_whole(batch: Path) -> None:
    shift_images(batch, range(3, 5), 8)
    verdict = validate_batch(batch, settings(), Path("out"), record=False)
    out = Path("out")
    assert {p.name for p in out.iterdir()} == {
        "verdict.json", "measures.csv", "quarantined.csv", "suite.json", "contact_sheet.png", "worst_frames.png",
        "docs", "index.html",
    }  # fmt: skip
    assert BatchRecord.read(out / "verdict.json") == verdict.record()
    measures = pd.read_csv(out / "measures.csv")
    assert measures.frame_id.nunique() == FRAMES
    state = measures.set_index(["sensor", "frame_id"]).state
    assert state["other", "f0003"] == "misaligned"
    quarantined = pd.read_csv(out / "quarantined.csv")
    assert list(quarantined.columns) == ["batch", "frame_id", "sensor", "measure", "value", "threshold", "reason"]
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > 900
        assert len(sheet.convert("RGB").getcolors(2**24) or []) > 500
    assert not Path("data").exists()


def test_the_data_docs_begin_with_the_verdict(batch: Path) -> None:
    shift_images(batch, range(3, 5), 8)
    verdict = validate_batch(batch, settings(), Path("out"), record=False)
    index = Path("out/docs/index.html").read_text()
    for line in verdict.lines():
        assert html.escape(line) in index
    page = next(Path("out/docs/validations").rglob("*.html")).read_text()
    assert re.search(r">[78](\.\d+)? against 2<", page)
    assert not re.search(r"Status:[^\n]*Failed", page)


def test_the_contact_sheet_shows_quarantined_frames_first(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen image is not displaced, so registration does not rank it."""
    (batch / "other" / "7.png").write_bytes((batch / "other" / "6.png").read_bytes())
    titles: list[str] = []
    compose = contact_sheet.compose_sheet

    def record_titles(name: str, strips: list[contact_sheet.Strip]) -> Image.Image:
        titles.extend(strip.title for strip in strips)
        return compose(name, strips)

    monkeypatch.setattr(contact_sheet, "compose_sheet", record_titles)
    validate_batch(batch, settings(), Path("out"), record=False)
    assert "f0007" in titles[0]
    assert "is frozen" in titles[0]


def test_a_batch_in_a_folder_of_another_name_has_its_own(batch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch.rename(batch.with_name("copy"))
    assert command("validate", "copy") == 0
    assert capsys.readouterr().out.startswith("made: 16 frames, 0 quarantined")
    assert Path("artifacts/checks/made/verdict.json").exists()


def test_few_frames_are_judged_if_their_field_is_certain(batch: Path) -> None:
    edit_frames(batch, lambda f: f.drop(index=range(6, FRAMES), inplace=True))
    assert quarantined_ids(validated(batch, record=False)) == set()
    shift_images(batch, range(3, 4), 8)
    verdict = validated(batch, record=False)
    assert quarantined_ids(verdict) == {"f0003"}
    assert "too few to judge the shift of a single one" in verdict.pairs["other"].reason


def test_a_single_frame_is_judged_without_comparison(batch: Path) -> None:
    edit_frames(batch, lambda f: f.drop(index=range(1, FRAMES), inplace=True))
    verdict = validated(batch)
    assert (verdict.frames, verdict.exit_code) == (1, 0)


def test_a_faulty_batch_file_is_one_line_of_error(batch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (batch / "frames.csv").write_text("frame_id\n")
    with pytest.raises(BatchError):
        validated(batch)
    assert command("validate", "made") == 1
    assert command("validate", "nowhere") == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 2
    assert all(line.startswith("error: ") for line in errors)
    assert not Path("artifacts").exists()


def test_a_new_batch_is_compared_with_the_training_data(batch: Path) -> None:
    """With itself under another name there is no drift, with all values scaled there is."""
    raw = Path("data/raw")
    raw.mkdir(parents=True)
    shutil.copytree(batch, raw / "first")
    description = (raw / "first/batch.yaml").read_text()
    (raw / "first/batch.yaml").write_text(description.replace("name: made", "name: first", 1))
    edit_frames(raw / "first", lambda f: f.__setitem__("sequence", [f"s{k // 2}" for k in range(FRAMES)]))
    edit_frames(batch, lambda f: f.__setitem__("sequence", [f"n{k // 2}" for k in range(FRAMES)]))
    for root in (raw / "first", batch):
        edit_frames(root, lambda f: f.__setitem__("site", f.sequence))
    same = validated(batch, record=False)
    assert same.drift is not None
    assert not same.drift.drifted
    for path in (batch / "other").iterdir():
        pixels = np.asarray(Image.open(path), np.float32)
        Image.fromarray((40 + 0.5 * pixels).astype(np.uint8)).save(path)
    darker = validated(batch, record=False)
    assert darker.drift is not None
    assert darker.drift.drifted
    assert darker.exit_code == 0
    assert any("looks different from the training data" in w for w in darker.warnings)
    assert darker.drift.strongest[0].sensor == "other"
    assert validated(raw / "first", record=False).drift is None
