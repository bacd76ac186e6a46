"""Steps from files to images and labels, one at a time and in their order."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sensorproof.data.batch import Sensor
from sensorproof.data.file_reading import ImageReading, LabelReading
from sensorproof.data.images import read_ids, read_image
from sensorproof.errors import BatchError

RNG = np.random.default_rng(0)
SIZE = (6, 8)


def sensor(channels: int, reading: ImageReading, nodata: float | None = None) -> Sensor:
    return Sensor(
        kind="other",
        channels=channels,
        range=(0, 255),
        nodata=nodata,
        max_time_offset_s=0,
        calibration=None,
        read=reading,
    )


def save(path: Path, array: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path)
    return path


def test_bands_are_taken_in_their_order(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (*SIZE, 4), np.uint8)
    path = save(tmp_path / "a.png", pixels)
    image = read_image(path, sensor(2, ImageReading(bands=(3, 0))))
    assert np.array_equal(image, np.moveaxis(pixels, -1, 0)[[3, 0]])


def test_a_grey_file_is_three_equal_colours_but_no_fourth_band(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, SIZE, np.uint8)
    path = save(tmp_path / "a.png", pixels)
    assert np.array_equal(read_image(path, sensor(3, ImageReading(bands=(0, 1, 2)))), np.stack([pixels] * 3))
    with pytest.raises(BatchError, match=r"has 1 channels, batch.yaml takes number 3"):
        read_image(path, sensor(1, ImageReading(bands=(3,))))


def test_a_palette_gives_colours_or_ids(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8), "P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
    picture.save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", sensor(3, ImageReading(bands=(0, 1, 2))))
    assert image[:, 0, 1].tolist() == [40, 50, 60]
    assert read_ids(tmp_path / "a.png", LabelReading(band=0)).tolist() == [[0, 1], [2, 3]]


def test_files_are_stacked_then_selected(tmp_path: Path) -> None:
    arrays = [RNG.random(SIZE), RNG.random(SIZE).astype(np.float32)]
    paths = [save(tmp_path / f"{k}.npy", array) for k, array in enumerate(arrays)]
    image = read_image(paths, sensor(3, ImageReading(files=2, bands=(0, 1, 0))))
    assert np.allclose(image, np.stack([arrays[0], arrays[1], arrays[0]]))
    other = save(tmp_path / "other.npy", RNG.random((3, 3)))
    with pytest.raises(BatchError, match=r"other.npy: is 3 x 3, 0.npy is 6 x 8"):
        read_image([paths[0], other], sensor(2, ImageReading(files=2)))


@pytest.mark.parametrize(("kind", "largest"), [(np.uint8, 255), (np.uint16, 65535)])
def test_both_depths_mean_the_same_in_the_unit_range(kind: type, largest: int, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.full(SIZE, largest, kind))
    assert (read_image(path, sensor(1, ImageReading(unit_range=True))) == 1).all()


def test_numbers_are_not_divided(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", np.full(SIZE, 7.5))
    assert (read_image(path, sensor(1, ImageReading(unit_range=True))) == 7.5).all()


def test_the_crop_cuts_all_four_sides(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, SIZE, np.uint8)
    path = save(tmp_path / "a.png", pixels)
    image = read_image(path, sensor(1, ImageReading(crop=(3, 1, 2, 0))))
    assert np.array_equal(image[0], pixels[1:, 3:6])
    assert np.array_equal(read_ids(path, LabelReading(crop=(3, 1, 2, 0))), pixels[1:, 3:6])


@pytest.mark.parametrize("margins", [(8, 0, 0, 0), (4, 0, 4, 0), (0, 3, 0, 3), (0, 6, 0, 0)])
def test_a_crop_larger_than_the_image_is_refused(margins: tuple[int, int, int, int], tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros(SIZE, np.uint8))
    for read in (
        lambda: read_image(path, sensor(1, ImageReading(crop=margins))),
        lambda: read_ids(path, LabelReading(crop=margins)),
    ):
        with pytest.raises(BatchError, match=r"is 6 x 8, of which the crop .* leaves nothing"):
            read()


def test_a_size_is_reached_by_the_nearest_pixel_and_keeps_what_is_invalid(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, SIZE, np.uint8)
    pixels[0, 0] = 0
    path = save(tmp_path / "a.png", pixels)
    image = read_image(path, sensor(1, ImageReading(size=(12, 24)), nodata=0))
    expected = pixels.astype(float).repeat(2, 0).repeat(3, 1)
    expected[expected == 0] = np.nan
    assert np.array_equal(image[0], expected, equal_nan=True)


def mapped(values: dict[int, int]) -> Callable[[int], int]:
    return lambda value: values.get(value, value)


@given(
    st.dictionaries(st.integers(-5, 300), st.integers(0, 255), max_size=8),
    st.lists(st.integers(0, 255), min_size=1, max_size=12),
    st.sampled_from([np.uint8, np.uint16, np.int16, np.int32, np.int64]),
)
def test_values_are_mapped_all_at_once(values: dict[int, int], ids: list[int], kind: type) -> None:
    label = np.array([ids]).astype(kind)[None]
    result = LabelReading(values=values).apply(Path("a.png"), label)
    assert result[0, 0].tolist() == [mapped(values)(int(value)) for value in label[0, 0]]


def test_a_label_without_the_band_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(BatchError, match=r"has 3 channels, batch.yaml takes number 3"):
        read_ids(path, LabelReading(band=3))


def test_defaults_are_not_written() -> None:
    assert ImageReading(bands=(1, 0)).model_dump(mode="json") == {"bands": [1, 0]}
    assert LabelReading().model_dump(mode="json") == {}
    assert "read" not in sensor(1, ImageReading()).model_copy(update={"read": None}).model_dump()
