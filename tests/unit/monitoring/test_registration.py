"""Edges and maps of one scene match, whatever the sensor's values; those of others do not."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.monitored_scenes import show
from helpers.synthetic_scenes import scene
from sensorproof.monitoring.image_statistics import Gray, to_gray
from sensorproof.monitoring.registration import (
    Spectra,
    edge_spectra,
    find_peak,
    map_spectra,
    match_edges,
    match_maps,
    near,
    prediction_maps,
)

SIZES = [(48, 64), (47, 61), (144, 190)]


def edges_of(images: NDArray[np.floating], kind: str = "camera") -> Spectra:
    """The spectra of images (B, C, H, W)."""
    return edge_spectra(near(to_gray(images), kind, images.shape[1]))


def views(sensor: str, size: tuple[int, int], frames: range = range(6)) -> NDArray[np.float32]:
    """Images of one sensor of scenes that have nothing in common."""
    return np.stack([show(scene(k, 5, size), k)[sensor] for k in frames])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("other", ["thermal", "depth"])
def test_images_of_one_scene_match_far_better_than_others(size: tuple[int, int], other: str) -> None:
    camera, seen = edges_of(views("camera", size)), edges_of(views(other, size), other)
    same = match_edges(camera, seen)
    different = np.concatenate([match_edges(camera, np.roll(seen, by, 0)) for by in range(1, 6)])
    assert same.min() > 3
    assert same.min() > different.max()
    assert same.mean() > 4 * different.mean()


@given(st.floats(0.2, 5), st.floats(-1, 1), st.sampled_from([-1, 1]))
def test_contrast_and_brightness_do_not_matter(gain: float, offset: float, sign: int) -> None:
    camera = views("camera", (48, 64), range(3))[:, :1].astype(np.float32)
    changed = (sign * gain * camera + offset).astype(np.float32)
    plain = match_edges(edges_of(camera), edges_of(camera))
    np.testing.assert_allclose(match_edges(edges_of(camera), edges_of(changed)), plain, rtol=0.05)


@pytest.mark.parametrize("moved", [(0, 8), (0, -8), (6, 0), (-5, 7)])
def test_a_shift_is_found_with_its_sign_and_size(moved: tuple[int, int]) -> None:
    ids = scene(0, 5, (80, 96))
    rows, columns = (slice(16 - by, 16 - by + side) for by, side in zip(moved, (48, 64), strict=True))
    here = edges_of(show(ids[16:64, 16:80])["camera"][None])
    there = edges_of(show(ids[rows, columns])["thermal"][None])
    peak = find_peak(here, there)
    assert peak.displacement == pytest.approx((moved[0] / 48, moved[1] / 64))
    assert peak.height > 5
    back = find_peak(there, here)
    assert back.displacement == pytest.approx((-moved[0] / 48, -moved[1] / 64))
    assert find_peak(here, here).displacement == (0, 0)


@pytest.mark.parametrize("moved", [(0, 1), (1, 0), (-1, -1)])
def test_a_pixel_of_displacement_is_none(moved: tuple[int, int]) -> None:
    images = views("camera", (48, 64))
    plain = match_edges(edges_of(images), edges_of(images))
    near_by = match_edges(edges_of(images), edges_of(np.roll(images, moved, (2, 3))))
    assert (near_by > 0.8 * plain).all()
    away = match_edges(edges_of(images), edges_of(np.roll(images, (0, 8), (2, 3))))
    assert (away < 0.4 * plain).all()


@pytest.mark.parametrize("value", [0.0, 0.5, np.nan])
def test_without_edges_nothing_matches(value: float) -> None:
    blank = edges_of(np.full((3, 1, 48, 64), value, np.float32))
    camera = edges_of(views("camera", (48, 64), range(3)))
    assert np.array_equal(match_edges(camera, blank), np.zeros(3))
    assert np.array_equal(match_edges(blank, blank), np.zeros(3))
    assert find_peak(blank[:1], camera[:1]).height == 0


def test_several_pairs_match_as_each_alone() -> None:
    """Also where some images have holes and others none."""
    images = views("depth", (48, 64))
    images[3:] = np.nan_to_num(images[3:], nan=0.5)
    camera, depth = views("camera", (48, 64)), near(to_gray(images), "depth", 1)
    together = match_edges(edges_of(camera), edge_spectra(depth))
    alone = [match_edges(edges_of(camera[k : k + 1]), edges_of(images[k : k + 1], "depth"))[0] for k in range(6)]
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    maps = map_spectra(np.random.default_rng(0).normal(size=(2, 6, 3, 12, 16)).astype(np.float32))
    pairs = [match_maps(maps[0, k : k + 1], maps[1, k : k + 1])[0] for k in range(6)]
    np.testing.assert_allclose(match_maps(maps[0], maps[1]), pairs, rtol=1e-4)


def test_a_border_of_a_hole_is_no_edge() -> None:
    """Otherwise images of different scenes would match by the hole that they share."""
    upright, level = np.full((2, 1, 1, 48, 64), 0.2, np.float32)
    upright[..., 32:], level[:, :, 24:] = 0.8, 0.8
    for image in (upright, level):
        image[:, :, 30:42, 40:56] = np.nan
    assert match_edges(edges_of(upright), edges_of(level))[0] < 2
    assert match_edges(edges_of(upright), edges_of(upright))[0] > 4


def test_holes_in_an_image_cost_little() -> None:
    camera = views("camera", (48, 64))
    holes = camera.copy()
    holes[:, :, 20:28, 30:38] = np.nan
    plain, found = (match_edges(edges_of(x), edges_of(views("thermal", (48, 64)))) for x in (camera, holes))
    assert found.min() > 0.6 * plain.min()


@pytest.mark.parametrize("kind", ["depth", "lidar", "radar"])
def test_distances_become_nearness_with_closed_gaps(kind: str) -> None:
    distances = np.full((1, 1, 48, 64), 0.5, np.float32)
    distances[:, :, :, 32:] = 0.05
    distances[:, :, ::2] = np.nan  # lines that a LiDAR does not measure
    nearness = near(to_gray(distances), kind, 1)
    assert nearness.valid is None
    np.testing.assert_allclose(nearness.values[0, 1:-1, :30], 0.002, rtol=1e-5)
    np.testing.assert_allclose(nearness.values[0, 1:-1, 32:], 0.02, rtol=1e-5)
    empty = near(to_gray(np.full((1, 1, 48, 64), np.nan, np.float32)), kind, 1)
    assert (empty.values == 0).all()
    touching = near(to_gray(np.zeros((1, 1, 48, 64), np.float32)), kind, 1)
    assert (touching.values == 1).all()


def test_what_is_no_distance_is_left_as_it_is() -> None:
    gray = Gray(np.ones((1, 8, 8), np.float32), None)
    assert near(gray, "thermal", 1) is gray
    assert near(gray, "depth", 3) is gray  # a picture of distances


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 200), (32, 2048), (300, 7)])
def test_images_of_any_size_can_be_matched(size: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rng = np.random.default_rng(0)
        images = edges_of(rng.random((2, 1, *size)).astype(np.float32))
        assert np.isfinite(match_edges(images, images)).all()
        logs = rng.normal(-1, 1, (2, 3, (size[0] + 3) // 4, (size[1] + 3) // 4)).astype(np.float32)
        maps = prediction_maps(logs)
        assert min(maps.shape) > 0
        assert max(maps.shape[2:]) <= 32
        spectra = map_spectra(maps)
        assert np.isfinite(match_maps(spectra, spectra)).all()


def test_maps_are_means_of_blocks_of_bounded_logarithms() -> None:
    logs = np.log(np.random.default_rng(0).dirichlet(np.ones(3), (2, 36, 70)).transpose(0, 3, 1, 2)).astype(np.float32)
    logs[0, 0, 0, 0] = -1000
    maps = prediction_maps(logs)
    assert maps.shape == (2, 3, 12, 23)
    bounded = np.maximum(logs, np.float32(np.log(1e-3)))
    np.testing.assert_allclose(maps[:, :, 0, 0], bounded[:, :, :3, :3].mean((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(maps[:, :, -1, -1], bounded[:, :, 33:36, 66:69].mean((2, 3)), rtol=1e-5)
    small = prediction_maps(logs[:, :, :32, :32])
    np.testing.assert_array_equal(small, bounded[:, :, :32, :32])


def test_maps_of_one_scene_match_whatever_their_mean() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 3, 12, 16)).astype(np.float32)
    noisy = maps + rng.normal(0, 0.3, maps.shape).astype(np.float32)
    same = match_maps(map_spectra(maps), map_spectra(noisy + 5))
    other = match_maps(map_spectra(maps), map_spectra(np.roll(noisy, 1, 0)))
    assert same.min() > 8
    assert other.max() < 4
    assert np.array_equal(match_maps(map_spectra(maps), map_spectra(np.full_like(maps, 2.0))), np.zeros(4))
