"""Which batches go together."""

from pathlib import Path

import pandas as pd
import pytest

from sensorproof.data.batch import Batch, BatchInfo
from sensorproof.errors import RejectedError
from sensorproof.ingestion.conflicts import check_frames, check_kind, check_places
from sensorproof.ingestion.file_manifest import FileManifest
from sensorproof.settings import SplitSettings

SETTINGS = SplitSettings(val=0.2, test=0.2, seed=0)
SENSORS = ("camera", "thermal")


def make_batch(name: str, sites: str = "abcde", *, start: float = 0.0, classes: int = 2, sequence: str = "1") -> Batch:
    """Two frames at each site, of two sensors."""
    sensor = {"kind": "camera", "channels": 1, "range": [0, 1], "nodata": None}
    sensor |= {"max_time_offset_s": 0.1, "calibration": None}
    known = [{"id": i, "name": str(i)} for i in range(classes)]
    document = {"name": name, "classes": known, "ignore_index": 255, "reference": SENSORS[0]}
    info = BatchInfo.model_validate(document | {"sensors": dict.fromkeys(SENSORS, sensor)})
    table = pd.DataFrame([(site, sequence) for site in sites for _ in range(2)], columns=["site", "sequence"])
    ids = [f"{name}-{i}" for i in range(len(table))]
    table = table.assign(frame_id=ids, condition="", label="x", split="")
    for each in SENSORS:
        table[each] = [f"{each}/{i}.png" for i in ids]
        table[f"{each}_time"] = [start + i for i in range(len(table))]
    return Batch(Path(name), info, table)


def manifest_of(batch: Batch, prefix: str = "") -> FileManifest:
    """Each file's content is its own name, or that of the same row in another batch."""
    name = prefix or batch.name
    files = [f for each in SENSORS for f in batch.frames[each]]
    return {f: f.replace(batch.name, name) for f in files}


def test_new_places_and_new_frames_go_with_the_old() -> None:
    old, new = make_batch("old"), make_batch("new", "fgh", start=100)
    check_kind(new, [old], SETTINGS)
    check_frames(new, manifest_of(new), {"old": (old, manifest_of(old))})
    check_places(new, [old], SETTINGS)


def test_the_first_batch_has_nothing_to_clash_with() -> None:
    new = make_batch("new")
    check_kind(new, [], SETTINGS)
    check_frames(new, manifest_of(new), {})
    check_places(new, [], SETTINGS)


def test_other_classes_are_refused() -> None:
    with pytest.raises(RejectedError, match=r"new/batch\.yaml: classes or reference differ from old's"):
        check_kind(make_batch("new", classes=3), [make_batch("old")], SETTINGS)


def test_the_same_batch_under_another_name_is_refused() -> None:
    old, new = make_batch("old"), make_batch("new")
    with pytest.raises(RejectedError, match="new: is batch 'old' again"):
        check_frames(new, manifest_of(new, "old"), {"old": (old, manifest_of(old))})


def test_some_of_the_same_frames_are_refused_and_one_is_named() -> None:
    old, new = make_batch("old", "ab"), make_batch("new", "abc")
    with pytest.raises(RejectedError, match="4 frames are in batch 'old' byte for byte, such as 'new-0'"):
        check_frames(new, manifest_of(new, "old"), {"old": (old, manifest_of(old))})


def test_one_blank_image_in_both_is_no_clash() -> None:
    old, new = make_batch("old"), make_batch("new", "fgh")
    blank = {f: "blank" for batch in (old, new) for f in batch.frames["thermal"]}
    listings = [manifest_of(batch) | {f: blank[f] for f in batch.frames["thermal"]} for batch in (old, new)]
    check_frames(new, listings[1], {"old": (old, listings[0])})
    for batch in (old, new):
        batch.frames["camera"] = ""
    check_frames(new, listings[1], {"old": (old, listings[0])})


def test_a_frame_id_that_is_there_is_refused() -> None:
    old, new = make_batch("old"), make_batch("new", "fgh")
    new.frames.loc[1, "frame_id"] = "old-3"
    with pytest.raises(RejectedError, match=r"frame_id 'old-3' is in batch 'old' too \(1 in all\)"):
        check_frames(new, manifest_of(new), {"old": (old, manifest_of(old))})


def test_a_site_may_come_again_later() -> None:
    check_places(make_batch("new", "abx", start=100), [make_batch("old")], SETTINGS)


def test_older_recordings_that_would_move_frames_are_refused() -> None:
    old, new = make_batch("old", start=100), make_batch("new", start=0)
    new.frames["split"] = "train"
    with pytest.raises(
        RejectedError, match=r"is older than batch 'old' and would move its site '[a-e]' from \w+ to train"
    ):
        check_places(new, [old], SETTINGS)
    new.frames["label"] = ""
    check_places(new, [old], SETTINGS)


def test_a_split_column_may_not_turn_a_place_round() -> None:
    old, new = make_batch("old"), make_batch("new", "ab", start=100)
    old.frames["split"] = ["train" if site in "abc" else "test" for site in old.frames.site]
    new.frames["split"] = "train"
    check_places(new, [old], SETTINGS)
    new.frames.loc[new.frames.site == "b", "split"] = "test"
    with pytest.raises(RejectedError, match="site 'b' is for test, but for train in the batches that are there"):
        check_places(new, [old], SETTINGS)
    new.frames["label"] = ""
    check_places(new, [old], SETTINGS)


def test_a_sequence_that_goes_on_stays_in_its_split() -> None:
    old = pd.concat([make_batch("old", "a", sequence=q).frames for q in "123"], ignore_index=True)
    old["frame_id"] = [str(i) for i in range(len(old))]
    old["split"] = ["train", "train", "val", "val", "test", "test"]
    first = make_batch("old", "a")
    there = Batch(first.root, first.info, old)
    new = make_batch("new", "a", start=100, sequence="3")
    new.frames["split"] = "train"
    with pytest.raises(RejectedError, match="sequence '3' of site 'a' is for train, but for test"):
        check_places(new, [there], SETTINGS)
    new.frames["split"] = "test"
    check_places(new, [there], SETTINGS)
