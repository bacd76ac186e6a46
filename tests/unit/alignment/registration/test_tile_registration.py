"""Registration: known displacements come back, what has nothing in common is told apart from what has."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from skimage.registration import phase_cross_correlation

from helpers.synthetic_scenes import CAMERA, OTHER, checks, look, panorama, scene
from sensorproof.alignment import fault_injection
from sensorproof.alignment.registration.edges import Picture, edges_of
from sensorproof.alignment.registration.peaks import find_peaks, parabola
from sensorproof.alignment.registration.phase_correlation import make_grid, spectra, templates
from sensorproof.alignment.registration.tile_registration import Registration, register

SIZE = (144, 192)


def registered(one: np.ndarray, other: np.ndarray, valid: np.ndarray | None = None) -> Registration:
    """Register two images (H, W) as a pair of one frame."""
    height, width = min(one.shape[0], other.shape[0]), min(one.shape[1], other.shape[1])
    grid = make_grid(height, width, 3, 256)
    assert grid is not None
    everywhere = np.ones(other.shape, bool) if valid is None else valid
    edges = [edges_of(Picture(i, v), grid.image) for i, v in ((one, np.ones(one.shape, bool)), (other, everywhere))]
    found, _ = register(templates(edges[0], grid), spectra(edges[1], grid), edges[1], grid, checks().content)
    return found.scaled(one.shape[0] / (grid.image[0] * grid.step))


def pair(
    k: int, affine: np.ndarray | None = None, noise: float = 3.0, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Camera and other sensor of scene k; the latter moved by a (2, 3) map about its centre."""
    rng = np.random.default_rng(k)
    size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    ids = cv2.resize(scene(0, k), size[::-1], interpolation=cv2.INTER_NEAREST)
    other = look(ids, OTHER, noise, rng)
    return look(ids, CAMERA, noise, rng), other if affine is None else fault_injection.warp(other, affine)


@pytest.mark.parametrize("pixels", [0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 2.4])
def test_a_shift_comes_back_to_a_quarter_of_a_pixel(pixels: float) -> None:
    errors = []
    for k in range(8):
        found = registered(*pair(3 * k, fault_injection.shift(pixels, k)))
        assert found.shift is not None, f"scene {k}: reliability {found.reliability:.0f}"
        errors.append(float(np.hypot(*(found.shift - fault_injection.shift(pixels, k)[:, 2]))))
    assert np.percentile(errors, 90) <= 0.25


def test_scikit_image_finds_the_same_shift_where_it_can() -> None:
    """It correlates values, so both images are the camera's; ours sees edges of any modality."""
    ids, rng = panorama(0, 4096), np.random.default_rng(0)
    for dy, dx in ((3, -5), (-7, 2), (0, 9)):
        one = look(ids[20:164, 200:392], CAMERA, 2, rng)
        other = look(ids[20 - dy : 164 - dy, 200 - dx : 392 - dx], CAMERA, 2, rng)
        theirs = -phase_cross_correlation(one, other, upsample_factor=20)[0]
        found = registered(one, other)
        assert found.shift is not None
        assert np.hypot(*(found.shift - theirs)) < 0.25
        assert np.hypot(*(found.shift - (dy, dx))) < 0.25


@pytest.mark.parametrize(("name", "size"), [("rotation", 1.0), ("rotation", 2.0), ("scale", 1.5), ("scale", 3.0)])
def test_rotation_and_scale_come_back(name: str, size: float) -> None:
    """Twice as large an image, where 1 degree moves a corner by 4 pixels."""
    affine = getattr(fault_injection, name)
    off, certain = [], 0
    for k in range(4):
        one, other = pair(5 * k, affine(size, k), scale=2.0)
        found = registered(one, other)
        if found.field is None:
            continue
        certain += 1
        put_in = (size if k % 2 else -size) if name == "scale" else None
        if put_in is not None:
            assert found.field.scale_percent == pytest.approx(put_in, abs=0.5)
        else:
            assert found.field.rotation_deg == pytest.approx(size if k % 2 else -size, abs=0.25)
        off.append(found.corner_px - fault_injection.corner_px(affine(size, k), one.shape))
    assert certain >= 3
    assert np.abs(off).max() < 1.0


def test_unrelated_pairs_are_unmeasurable() -> None:
    """24 pairs, as in the reference; what is found between them would be chance."""
    for k in range(24):
        one, _ = pair(k)
        other = look(panorama(99, 4096)[20:164, 40 * k : 40 * k + 192], OTHER, 3, np.random.default_rng(k))
        found = registered(one, other)
        assert found.shift is None, f"pair {k}: reliability {found.reliability:.0f}"
        assert found.field is None
        assert np.isnan(found.corner_px)


@pytest.mark.parametrize("value", [0.0, 128.0])
def test_an_image_without_edges_is_unmeasurable(value: float) -> None:
    found = registered(pair(0)[0], np.full(SIZE, value, np.float32))
    assert found.shift is None
    assert found.match == 0


def test_holes_are_no_edges() -> None:
    """The same holes in two unrelated images must not register them; holes in a related one must not hide it."""
    one, other = pair(4, fault_injection.shift(4, 1))
    valid = np.ones(SIZE, bool)
    valid[30:60, 40:90] = valid[100:120, 10:150] = False
    found = registered(one, np.where(valid, other, np.nan).astype(np.float32), valid)
    assert found.shift == pytest.approx([4, 0], abs=0.25)
    strange = look(panorama(99, 4096)[20:164, :192], OTHER, 3, np.random.default_rng(0))
    assert registered(one, strange, valid).shift is None


def test_another_resolution_is_measured_in_pixels_of_the_reference() -> None:
    one, other = pair(6, fault_injection.shift(6, 0))
    small = cv2.resize(other, (SIZE[1] // 2, SIZE[0] // 2), interpolation=cv2.INTER_AREA)
    found = registered(one, small)
    assert found.shift == pytest.approx([0, 6], abs=0.4)


@given(st.integers(24, 700), st.integers(24, 900), st.integers(3, 5), st.integers(32, 300))
@limits(max_examples=60, deadline=None)
def test_tiles_lie_inside_the_image_and_cover_its_corners(height: int, width: int, n: int, longest: int) -> None:
    grid = make_grid(height, width, n, longest)
    if grid is None:
        assert min(height, width, longest) < 50
        return
    assert len(grid.tops) == n * n
    assert min(grid.tops) == min(grid.lefts) == 0
    assert max(grid.tops) + grid.tile[0] == grid.image[0] == height // grid.step
    assert max(grid.lefts) + grid.tile[1] == grid.image[1] == width // grid.step
    assert grid.centers.mean(0) == pytest.approx([0, 0], abs=1)


@given(st.floats(-0.49, 0.49), st.floats(0.5, 2))
def test_the_top_of_a_gaussian_is_found_exactly(offset: float, spread: float) -> None:
    before, top, after = (np.exp(-((x - offset) ** 2) / (2 * spread**2)) for x in (-1, 0, 1))
    assert parabola(np.array([before]), np.array([top]), np.array([after]))[0] == pytest.approx(offset, abs=1e-6)


def test_reliability_is_what_the_best_rival_leaves() -> None:
    surface = np.zeros((1, 32, 32), np.float32)
    surface[0, 16 + 2, 16 + 3], surface[0, 16 - 6, 16 + 1] = 1.0, 0.3
    peaks = find_peaks(surface, 8)
    assert peaks.displacement[0] == pytest.approx([2, 3])
    assert peaks.reliability[0] == pytest.approx(70)
    assert find_peaks(surface, 4).reliability[0] == 100  # the rival is out of reach
