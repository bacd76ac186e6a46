"""Images that a batch has twice: whose place they are not in, and what is no fault."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sensorproof.alignment.measures.duplicate_images import DuplicateImages
from sensorproof.alignment.measures.image_quality import thumbnail
from sensorproof.alignment.registration.edges import Image

FRAMES = 8


def scenes() -> list[dict[str, Image]]:
    """Two sensors that show something else in every frame."""
    rng = np.random.default_rng(0)
    return [{name: rng.random((1, 12, 16), np.float32) for name in ("camera", "lidar")} for _ in range(FRAMES)]


def found(
    frames: list[dict[str, Image]], sequences: int = 1, lost: tuple[tuple[str, int], ...] = ()
) -> Mapping[tuple[int, str, str], float]:
    """{(position, sensor, column): value} of what is there."""
    repeats = DuplicateImages(["camera", "lidar"])
    for images in frames:
        repeats.add({name: thumbnail(image) for name, image in images.items()})
    sequence = np.arange(len(frames)) // (len(frames) // sequences)
    table = repeats.columns(frames.__getitem__, sequence, lambda *place: place not in lost)
    long = table.melt(["position", "sensor"]).dropna()
    return {(int(r.position), str(r.sensor), str(r.variable)): float(r.value) for r in long.itertuples()}


def test_frames_that_differ_repeat_nothing() -> None:
    assert found(scenes()) == {}
    assert isinstance(
        DuplicateImages(["camera"]).columns(lambda k: {}, np.empty(0, np.int64), lambda *_: True), pd.DataFrame
    )


def test_a_stale_image_is_told_at_the_later_frame() -> None:
    frames = scenes()
    frames[6]["lidar"] = frames[2]["lidar"].copy()
    assert [key for key, moved in found(frames).items() if moved > 0.1] == [(6, "lidar", "repeated")]


def test_the_frame_that_cannot_be_registered_is_the_one_at_fault() -> None:
    frames = scenes()
    frames[2]["lidar"] = frames[6]["lidar"].copy()
    assert list(found(frames, lost=(("lidar", 2),))) == [(2, "lidar", "repeated")]


def test_a_standing_scene_is_no_fault() -> None:
    """What the other sensors have changed by is said, and that is nothing."""
    frames = scenes()
    frames[6] = {name: image.copy() for name, image in frames[2].items()}
    frames[6]["camera"][0, 0, 0] += 1e-3
    told = found(frames)
    assert list(told) == [(6, "lidar", "repeated")]
    assert told[6, "lidar", "repeated"] < 0.001


def test_neighbours_of_one_sequence_are_frozen_not_repeated() -> None:
    frames = scenes()
    frames[3]["lidar"] = frames[2]["lidar"].copy()
    assert found(frames) == {}
    frames[4]["lidar"] = frames[3]["lidar"].copy()
    assert list(found(frames, sequences=2)) == [(4, "lidar", "repeated")]


def test_all_sensors_at_once_are_a_recording_that_stopped() -> None:
    frames = scenes()
    for k in (5, 6):
        frames[k] = {name: image.copy() for name, image in frames[4].items()}
    assert found(frames) == {(5, "camera", "all_repeated"): 1, (6, "camera", "all_repeated"): 1}


def test_each_pair_of_frames_is_read_once() -> None:
    frames = scenes()
    for k in (4, 5, 6, 7):
        frames[k] = {name: image.copy() for name, image in frames[k - 4].items()}
    repeats, reads = DuplicateImages(["camera", "lidar"]), []
    for images in frames:
        repeats.add({name: thumbnail(image) for name, image in images.items()})
    repeats.columns(lambda k: reads.append(k) or frames[k], np.zeros(8, np.int64), lambda *_: True)
    assert sorted(reads) == list(range(8))


def test_images_that_only_look_equal_when_small_repeat_nothing() -> None:
    frames = [{name: np.repeat(np.repeat(image, 16, 1), 16, 2) for name, image in each.items()} for each in scenes()]
    frames[6]["lidar"] = frames[2]["lidar"].copy()
    frames[6]["lidar"][0, 1, 1] += 1  # between the pixels of the thumbnail
    assert found(frames) == {}
