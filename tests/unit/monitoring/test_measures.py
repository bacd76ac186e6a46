"""The measures of a pass: each image's own, whatever else is measured with it."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.monitored_scenes import CHANNELS, CLASSES, stream_of
from sensorproof.monitoring.measures import ImageMeasures, match_pairs, measure_frames
from sensorproof.monitoring.registration import match_edges, match_maps

KINDS = {name: name for name in CHANNELS}
Maps = dict[str, NDArray[np.float32]]


def draw_maps(frames: int, seed: int = 0) -> Maps:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(frames, CLASSES, 12, 16)).astype(np.float32) for name in CHANNELS}


def usual() -> Maps:
    return {name: maps[0] for name, maps in draw_maps(1, 1).items()}


def measure(pixels: dict[str, NDArray[np.floating]], maps: Maps) -> ImageMeasures:
    return measure_frames(pixels, KINDS, {name: maps[name] for name in pixels}, usual())


def assert_alike(ours: ImageMeasures, theirs: ImageMeasures, name: str) -> None:
    """Compare all measures of one sensor."""
    assert ours.digests[name] == theirs.digests[name]
    np.testing.assert_array_equal(ours.empty[name], theirs.empty[name])
    np.testing.assert_allclose(ours.statistics[name], theirs.statistics[name], rtol=1e-5, atol=1e-6)
    for part in ("edges", "maps"):
        np.testing.assert_allclose(getattr(ours, part)[name], getattr(theirs, part)[name], rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def pixels() -> dict[str, NDArray[np.floating]]:
    return stream_of(0, 0)[0]


def test_sensors_are_measured_together_as_each_alone(pixels: dict[str, NDArray[np.floating]]) -> None:
    maps = draw_maps(6)
    together = measure(pixels, maps)
    assert list(together.statistics) == list(pixels)
    for name in pixels:
        assert_alike(together, measure({name: pixels[name]}, maps), name)


def test_sensors_of_several_sizes_are_measured_and_only_alike_ones_matched(
    pixels: dict[str, NDArray[np.floating]],
) -> None:
    maps = draw_maps(6)
    small = pixels | {"thermal": pixels["thermal"][..., ::2, ::2]}
    measured = measure(small, maps)
    assert measured.empty["thermal"].shape == (6, 3, 4)
    assert_alike(measured, measure(pixels, maps), "camera")
    assert list(match_pairs(measured.edges, measured.maps)) == [("camera", "depth")]


def test_every_pair_is_matched_by_edges_and_maps(pixels: dict[str, NDArray[np.floating]]) -> None:
    measured = measure(pixels, draw_maps(6))
    matches = match_pairs(measured.edges, measured.maps)
    assert sorted(matches) == [("camera", "depth"), ("camera", "thermal"), ("depth", "thermal")]
    for (a, b), values in matches.items():
        np.testing.assert_allclose(values[:, 0], match_edges(measured.edges[a], measured.edges[b]), rtol=1e-4)
        np.testing.assert_allclose(values[:, 1], match_maps(measured.maps[a], measured.maps[b]), rtol=1e-4, atol=1e-5)
    assert match_pairs({"camera": measured.edges["camera"]}, {"camera": measured.maps["camera"]}) == {}


def test_maps_count_by_their_difference_from_what_is_usual(pixels: dict[str, NDArray[np.floating]]) -> None:
    maps = {name: np.repeat(each[None], 6, 0) for name, each in usual().items()}
    measured = measure(pixels, maps)
    assert all(np.abs(each).max() == 0 for each in measured.maps.values())


def test_an_image_is_known_by_its_digest(pixels: dict[str, NDArray[np.floating]]) -> None:
    frozen = {name: images.copy() for name, images in pixels.items()}
    frozen["camera"][3] = frozen["camera"][1]
    frozen["depth"][2], frozen["depth"][4] = np.nan, 0.25
    digests = measure(frozen, draw_maps(6)).digests
    camera = digests["camera"]
    assert camera[3] == camera[1]
    assert len(set(camera)) == 5
    assert 0 not in camera
    assert [digest == 0 for digest in digests["depth"]] == [False, False, True, False, True, False]


def test_measures_of_some_sensors_are_replaced(pixels: dict[str, NDArray[np.floating]]) -> None:
    maps = draw_maps(6)
    whole = measure(pixels, maps)
    black = measure({"camera": np.zeros_like(pixels["camera"])}, maps)
    changed = whole.replace(black)
    for part in fields(ImageMeasures):
        new, old = getattr(changed, part.name), getattr(whole, part.name)
        assert new["camera"] is getattr(black, part.name)["camera"]
        assert new["depth"] is old["depth"]
        assert old["camera"] is not new["camera"]
