"""From a sensor's pixels to a model's: scaling, invalid pixels, sizes, rounding, standardisation, labels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.batches import info_of
from sensorproof.data.batch import BatchInfo, Sensor
from sensorproof.data.metadata import IGNORE, SensorInput
from sensorproof.data.preprocessing import (
    fit_image,
    label_lookup,
    mark_invalid,
    prepare_image,
    resize_image,
    resize_label,
    scale,
    standardize,
)

SIDE = st.integers(1, 20)


def sensor(**claims: object) -> Sensor:
    base = {"kind": "depth", "channels": 1, "range": [0, 10], "nodata": None, "max_time_offset_s": 0}
    return Sensor.model_validate(base | {"calibration": None} | claims)


def test_what_is_not_finite_or_nodata_in_every_channel_is_invalid() -> None:
    pixels = np.array([[[0, 1, np.inf, 1e300]], [[0, 0, 2, 3]]])
    before = pixels.copy()
    values = mark_invalid(pixels, 0)
    assert np.isnan(values).tolist() == [[[True, False, True, True]], [[True, False, False, False]]]
    assert values.dtype == np.float32
    assert np.array_equal(pixels, before)
    assert np.isnan(mark_invalid(pixels, None)).sum() == 2


def test_scaling_keeps_what_lies_outside_the_range_as_far_as_half_precision_goes() -> None:
    scaled = scale(np.array([[[-5, 0, 10, 30, 1e9, np.nan]]], np.float32), sensor())
    assert scaled[0, 0, :4].tolist() == [-0.5, 0, 1, 3]
    assert np.isnan(scaled[0, 0, 4:]).all()


@pytest.mark.filterwarnings("error")
def test_huge_values_give_no_warning() -> None:
    assert np.isnan(prepare_image(np.full((1, 2, 2), 3e38, np.float32), sensor(range=[0, 1e-5]), (2, 2))).all()


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (16, 12)])
@pytest.mark.parametrize("nodata", [None, 0.0])
def test_invalid_pixels_are_not_mixed_into_valid_ones(size: tuple[int, int], nodata: float | None) -> None:
    pixels = np.full((1, 8, 8), 5, np.float32)
    pixels[0, ::2, ::3] = np.nan
    resized = resize_image(pixels, size, sensor(nodata=nodata))
    assert resized.shape == (1, *size)
    assert set(resized[np.isfinite(resized)]) == {5.0}


def test_valid_images_shrink_by_area() -> None:
    pixels = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    expected = pixels.reshape(1, 4, 2, 4, 2).mean((2, 4))
    assert np.array_equal(resize_image(pixels, (4, 4), sensor()), expected)
    # With nodata a mean could come close to it or mix it in, so each pixel is one of the image's.
    assert set(resize_image(pixels, (4, 4), sensor(nodata=0)).ravel()) <= set(pixels.ravel())


@given(st.integers(1, 3), SIDE, SIDE, SIDE, SIDE, st.integers(0, 99))
def test_an_image_is_prepared_by_scaling_resizing_and_rounding(
    channels: int, height: int, width: int, new_height: int, new_width: int, seed: int
) -> None:
    claims = sensor(channels=channels)
    pixels = np.random.default_rng(seed).uniform(-1, 12, (channels, height, width)).astype(np.float32)
    prepared = prepare_image(pixels, claims, (new_height, new_width))
    assert (prepared.shape, prepared.dtype) == ((channels, new_height, new_width), np.float16)
    stepwise = resize_image(scale(pixels, claims), (new_height, new_width), claims)
    assert np.array_equal(prepared, stepwise.astype(np.float16))
    assert np.array_equal(fit_image(pixels, claims, (new_height, new_width)), stepwise)


def test_a_batchs_and_a_models_description_of_a_sensor_do_the_same() -> None:
    claims = sensor(nodata=3.0)
    described = SensorInput(kind="depth", channels=1, range=(0.0, 10.0), nodata=3.0, mean=(0.4,), std=(0.2,))
    pixels = mark_invalid(np.random.default_rng(0).integers(0, 12, (1, 9, 7)), 3.0)
    ours, theirs = (prepare_image(pixels, each, (5, 4)) for each in (claims, described))
    assert np.array_equal(ours, theirs, equal_nan=True)


def test_standardised_pixels_have_mean_0_and_invalid_ones_are_0() -> None:
    described = SensorInput(
        kind="other", channels=2, range=(0.0, 1.0), nodata=None, mean=(0.5, 0.25), std=(0.25, 0.125)
    )
    pixels = np.array([[[[0.5, 0.75, np.nan]], [[0.25, 0.0, np.inf]]]], np.float16)
    standardized = standardize(pixels, described)
    assert standardized.dtype == torch.float32
    assert standardized.tolist() == [[[[0.0, 1.0, 0.0]], [[0.0, -2.0, 0.0]]]]


BY_FRAME = SensorInput(
    kind="other", channels=2, range=(0.0, 1.0), nodata=None, mean=(0.5, 0.25), std=(0.25, 0.125), standardize="frame"
)


@given(st.integers(0, 99), st.floats(0.05, 20), st.floats(-3, 3))
def test_by_the_frame_a_gain_and_an_offset_of_a_sensor_change_nothing(seed: int, gain: float, offset: float) -> None:
    pixels = np.random.default_rng(seed).uniform(0, 1, (3, 2, 7, 5)).astype(np.float32)
    pixels[0, :, :3] = np.nan
    expected = standardize(pixels, BY_FRAME)
    changed = pixels.copy()
    changed[1] = gain * pixels[1] + np.float32(offset)
    torch.testing.assert_close(standardize(changed, BY_FRAME), expected, atol=2e-4, rtol=0)
    assert not torch.allclose(standardize(changed + 1, sensor_by_data_set()), standardize(pixels, sensor_by_data_set()))


def sensor_by_data_set() -> SensorInput:
    return BY_FRAME.model_copy(update={"standardize": "dataset"})


def test_by_the_frame_each_channel_of_each_image_has_mean_0_and_deviation_1_over_its_valid_pixels() -> None:
    rng = np.random.default_rng(0)
    pixels = (rng.normal([[[[0.2]], [[5.0]]]], [[[[0.1]], [[0.01]]]], (4, 2, 16, 16))).astype(np.float16)
    pixels[:, 0, :8], pixels[1] = np.nan, np.nan
    standardized = standardize(pixels, BY_FRAME)
    valid = torch.from_numpy(np.isfinite(pixels))
    assert standardized.dtype == torch.float32
    assert (standardized[~valid] == 0).all()
    for k in (0, 2, 3):
        for channel in range(2):
            own = standardized[k, channel][valid[k, channel]]
            assert float(own.mean()) == pytest.approx(0, abs=1e-4)
            assert float(own.std(correction=0)) == pytest.approx(1, abs=1e-4)
    alone = torch.cat([standardize(pixels[k : k + 1], BY_FRAME) for k in range(4)])
    torch.testing.assert_close(alone, standardized)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 60000.0, np.nan])
@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_by_the_frame_an_image_of_one_value_or_none_is_0(value: float, stored: type) -> None:
    pixels = np.full((1, 2, 33, 31), value, stored)
    assert (standardize(pixels, BY_FRAME) == 0).all()
    pixels[0, 1, :, 0] = np.nan
    assert (standardize(pixels, BY_FRAME) == 0).all()


def test_what_is_usual_is_not_written_into_a_description() -> None:
    """So that model folders and prepared data of earlier versions keep their hashes."""
    assert not {"stored", "standardize"} & set(sensor_by_data_set().model_dump())
    assert BY_FRAME.model_dump()["standardize"] == "frame"
    assert SensorInput.model_validate(BY_FRAME.model_dump()) == BY_FRAME


def test_labels_become_places_among_the_classes() -> None:
    info = BatchInfo.model_validate(info_of("yard"))
    lookup = label_lookup(info)
    assert lookup[[described.id for described in info.classes]].tolist() == list(range(len(info.classes)))
    assert (np.delete(lookup, [described.id for described in info.classes]) == IGNORE).all()


@given(SIDE, SIDE, SIDE, SIDE)
def test_a_resized_label_has_no_new_values(height: int, width: int, new_height: int, new_width: int) -> None:
    label = np.random.default_rng(0).choice(np.array([0, 3, IGNORE], np.uint8), (height, width))
    resized = resize_label(label, (new_height, new_width))
    assert (resized.shape, resized.dtype) == ((new_height, new_width), np.uint8)
    assert set(resized.ravel()) <= set(label.ravel())
