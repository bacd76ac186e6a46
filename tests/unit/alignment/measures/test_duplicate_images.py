"""Images that occur twice in a batch: which frame is at fault, and when it is no fault."""

from collections.abc import Mapping

import numpy as np

from sensorproof.alignment.images import Image
from sensorproof.alignment.measures.duplicate_images import DuplicateImages
from sensorproof.alignment.measures.image_quality import thumbnail

FRAMES = 8
SENSORS = ["camera", "lidar"]


def make_frames() -> list[dict[str, Image]]:
    """Two sensors that show something else in every frame."""
    rng = np.random.default_rng(0)
    return [{name: rng.random((1, 12, 16), np.float32) for name in SENSORS} for _ in range(FRAMES)]


def remembered(frames: list[dict[str, Image]]) -> DuplicateImages:
    """The duplicates of frames that have all been added."""
    duplicates = DuplicateImages(SENSORS)
    for images in frames:
        duplicates.add({name: thumbnail(image) for name, image in images.items()})
    return duplicates


def measures(
    frames: list[dict[str, Image]], sequences: int = 1, unregistered: tuple[tuple[str, int], ...] = ()
) -> Mapping[tuple[int, str, str], float]:
    """{(position, sensor, measure): value}; all images but the unregistered ones could be registered."""
    sequence = np.arange(len(frames)) // (len(frames) // sequences)
    table = remembered(frames).measure(frames.__getitem__, sequence, lambda *place: place not in unregistered)
    long = table.melt(["position", "sensor"]).dropna()
    return {(int(r.position), str(r.sensor), str(r.variable)): float(r.value) for r in long.itertuples()}


def test_different_images_are_no_duplicates() -> None:
    assert measures(make_frames()) == {}
    empty = DuplicateImages(["camera"]).measure(lambda k: {}, np.empty(0, np.int64), lambda *_: True)
    assert list(empty.columns) == ["position", "sensor", "repeated", "all_repeated"]
    assert empty.empty


def test_a_repeated_image_is_reported_at_the_later_frame() -> None:
    frames = make_frames()
    frames[6]["lidar"] = frames[2]["lidar"].copy()
    assert [key for key, motion in measures(frames).items() if motion > 0.1] == [(6, "lidar", "repeated")]


def test_it_is_reported_at_the_frame_that_cannot_be_registered() -> None:
    frames = make_frames()
    frames[2]["lidar"] = frames[6]["lidar"].copy()
    assert list(measures(frames, unregistered=(("lidar", 2),))) == [(2, "lidar", "repeated")]


def test_a_standing_scene_has_no_motion() -> None:
    frames = make_frames()
    frames[6] = {name: image.copy() for name, image in frames[2].items()}
    frames[6]["camera"][0, 0, 0] += 1e-3
    motion = measures(frames)
    assert list(motion) == [(6, "lidar", "repeated")]
    assert motion[6, "lidar", "repeated"] < 0.001


def test_equal_neighbours_of_one_sequence_are_frozen_not_repeated() -> None:
    frames = make_frames()
    frames[3]["lidar"] = frames[2]["lidar"].copy()
    assert measures(frames) == {}
    frames[4]["lidar"] = frames[3]["lidar"].copy()
    assert list(measures(frames, sequences=2)) == [(4, "lidar", "repeated")]


def test_all_sensors_that_repeat_together_are_a_stopped_recording() -> None:
    frames = make_frames()
    for k in (5, 6):
        frames[k] = {name: image.copy() for name, image in frames[4].items()}
    assert measures(frames) == {(5, "camera", "all_repeated"): 1, (6, "camera", "all_repeated"): 1}


def test_every_frame_of_a_pair_is_read_once() -> None:
    frames = make_frames()
    for k in (4, 5, 6, 7):
        frames[k] = {name: image.copy() for name, image in frames[k - 4].items()}
    reads: list[int] = []
    remembered(frames).measure(lambda k: reads.append(k) or frames[k], np.zeros(8, np.int64), lambda *_: True)
    assert sorted(reads) == list(range(8))


def test_images_with_equal_thumbnails_are_compared_in_full() -> None:
    frames = [
        {name: np.repeat(np.repeat(image, 16, 1), 16, 2) for name, image in images.items()} for images in make_frames()
    ]
    frames[6]["lidar"] = frames[2]["lidar"].copy()
    frames[6]["lidar"][0, 1, 1] += 1  # between the pixels of the thumbnail
    assert measures(frames) == {}
