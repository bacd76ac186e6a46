"""Registration: known displacements are recovered, and unrelated images are unmeasurable."""

import cv2
import numpy as np
import pytest
from skimage.registration import phase_cross_correlation

from helpers.synthetic_scenes import CAMERA_VALUES, OTHER_VALUES, SIZE, checks, panorama, render, scene
from sensorproof.alignment import fault_injection
from sensorproof.alignment.registration.edges import GrayImage, edges_of
from sensorproof.alignment.registration.phase_correlation import make_grid, reference_spectra, sensor_spectra
from sensorproof.alignment.registration.tile_registration import Registration, register


def registered(reference: np.ndarray, sensor: np.ndarray, valid: np.ndarray | None = None) -> Registration:
    """Register two images (H, W); `valid` is of the sensor's."""
    height, width = min(reference.shape[0], sensor.shape[0]), min(reference.shape[1], sensor.shape[1])
    grid = make_grid(height, width, 3, 256)
    assert grid is not None
    reference_edges = edges_of(GrayImage(reference, np.ones(reference.shape, bool)), grid.image)
    sensor_edges = edges_of(GrayImage(sensor, np.ones(sensor.shape, bool) if valid is None else valid), grid.image)
    spectra = reference_spectra(reference_edges, grid), sensor_spectra(sensor_edges, grid)
    registration, _ = register(*spectra, sensor_edges, grid, checks().content)
    return registration.scaled(reference.shape[0] / (grid.image[0] * grid.step))


def make_pair(
    k: int, affine: np.ndarray | None = None, noise: float = 3.0, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Images of the camera and the other sensor of scene k; the latter displaced by a (2, 3) map."""
    rng = np.random.default_rng(k)
    size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    ids = cv2.resize(scene(0, k), size[::-1], interpolation=cv2.INTER_NEAREST)
    other = render(ids, OTHER_VALUES, noise, rng)
    displaced = other if affine is None else fault_injection.warp(other, affine)
    return render(ids, CAMERA_VALUES, noise, rng), displaced


@pytest.mark.parametrize("pixels", [0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 2.4])
def test_a_shift_is_recovered_to_a_quarter_of_a_pixel(pixels: float) -> None:
    errors = []
    for k in range(8):
        registration = registered(*make_pair(3 * k, fault_injection.shift(pixels, k)))
        assert registration.shift is not None, f"scene {k}: reliability {registration.reliability:.0f}"
        errors.append(float(np.hypot(*(registration.shift - fault_injection.shift(pixels, k)[:, 2]))))
    assert np.percentile(errors, 90) <= 0.25


def test_scikit_image_finds_the_same_shift_in_images_of_one_sensor() -> None:
    """It correlates values, so both images are the camera's."""
    ids, rng = panorama(0, 4096), np.random.default_rng(0)
    for dy, dx in ((3, -5), (-7, 2), (0, 9)):
        reference = render(ids[20:164, 200:392], CAMERA_VALUES, 2, rng)
        sensor = render(ids[20 - dy : 164 - dy, 200 - dx : 392 - dx], CAMERA_VALUES, 2, rng)
        shift_of_scikit_image = -phase_cross_correlation(reference, sensor, upsample_factor=20)[0]
        registration = registered(reference, sensor)
        assert registration.shift is not None
        assert np.hypot(*(registration.shift - shift_of_scikit_image)) < 0.25
        assert np.hypot(*(registration.shift - (dy, dx))) < 0.25


@pytest.mark.parametrize(("name", "size"), [("rotation", 1.0), ("rotation", 2.0), ("scale", 1.5), ("scale", 3.0)])
def test_rotation_and_scale_are_recovered(name: str, size: float) -> None:
    """In images of twice the size, where 1 degree displaces a corner by 4 pixels."""
    affine = getattr(fault_injection, name)
    corner_errors = []
    for k in range(4):
        reference, sensor = make_pair(5 * k, affine(size, k), scale=2.0)
        registration = registered(reference, sensor)
        if registration.field is None:
            continue
        injected = size if k % 2 else -size
        if name == "scale":
            assert registration.field.scale_percent == pytest.approx(injected, abs=0.5)
        else:
            assert registration.field.rotation_deg == pytest.approx(injected, abs=0.25)
        injected_corner = fault_injection.corner_px(affine(size, k), reference.shape)
        corner_errors.append(registration.corner_px - injected_corner)
    assert len(corner_errors) >= 3
    assert np.abs(corner_errors).max() < 1.0


def test_unrelated_images_are_unmeasurable() -> None:
    for k in range(24):
        reference, _ = make_pair(k)
        unrelated = panorama(99, 4096)[20:164, 40 * k : 40 * k + 192]
        registration = registered(reference, render(unrelated, OTHER_VALUES, 3, np.random.default_rng(k)))
        assert registration.shift is None, f"pair {k}: reliability {registration.reliability:.0f}"
        assert registration.field is None
        assert np.isnan(registration.corner_px)


@pytest.mark.parametrize("value", [0.0, 128.0])
def test_an_image_without_edges_is_unmeasurable(value: float) -> None:
    registration = registered(make_pair(0)[0], np.full(SIZE, value, np.float32))
    assert registration.shift is None
    assert registration.match == 0


def test_holes_are_no_edges() -> None:
    """Holes must neither register unrelated images nor prevent the registration of related ones."""
    reference, sensor = make_pair(4, fault_injection.shift(4, 1))
    valid = np.ones(SIZE, bool)
    valid[30:60, 40:90] = valid[100:120, 10:150] = False
    with_holes = np.where(valid, sensor, np.nan).astype(np.float32)
    assert registered(reference, with_holes, valid).shift == pytest.approx([4, 0], abs=0.25)
    unrelated = render(panorama(99, 4096)[20:164, :192], OTHER_VALUES, 3, np.random.default_rng(0))
    assert registered(reference, unrelated, valid).shift is None


def test_lengths_are_in_pixels_of_the_reference_whatever_the_sensors_resolution() -> None:
    reference, sensor = make_pair(6, fault_injection.shift(6, 0))
    small = cv2.resize(sensor, (SIZE[1] // 2, SIZE[0] // 2), interpolation=cv2.INTER_AREA)
    assert registered(reference, small).shift == pytest.approx([0, 6], abs=0.4)


@pytest.mark.parametrize("size", [(24, 24), (24, 25), (25, 25), (24, 40), (30, 30)])
def test_an_image_of_hardly_more_than_a_tile_is_registered_or_unmeasurable(size: tuple[int, int]) -> None:
    """Its tiles lie on one another, so they say nothing of scale and rotation."""
    for k in range(6):
        reference, sensor = make_pair(3 * k)
        shown, moved = reference[: size[0], : size[1]], sensor[2 : 2 + size[0], : size[1]]
        registration = registered(shown, moved)
        if registration.shift is not None:
            assert np.isfinite(registration.shift).all()
            assert registration.corner_px < 12
    blank = registered(np.full(size, 7, np.float32), np.full(size, 9, np.float32))
    assert blank.shift is None
