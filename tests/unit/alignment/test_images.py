"""Gray images and resizing."""

import cv2
import numpy as np

from sensorproof.alignment.images import resize, to_gray


def test_a_pixel_that_is_invalid_in_one_channel_is_invalid_and_zero() -> None:
    image = np.full((3, 2, 2), 100, np.float32)
    image[1, 0, 1] = np.nan
    gray, valid = to_gray(image)
    assert valid.tolist() == [[True, False], [True, True]]
    np.testing.assert_allclose(gray, [[100, 0], [100, 100]], rtol=1e-5)


def test_channels_other_than_three_are_averaged() -> None:
    gray, valid = to_gray(np.stack([np.full((2, 2), v, np.float32) for v in (1, 5)]))
    assert valid.all()
    assert (gray == 3).all()


def test_shrinking_averages_areas_and_enlarging_is_bilinear() -> None:
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert resize(image, (2, 2)).tolist() == image.reshape(2, 2, 2, 2).mean((1, 3)).tolist()
    larger = resize(image, (4, 8))
    np.testing.assert_array_equal(larger, cv2.resize(image, (8, 4), interpolation=cv2.INTER_LINEAR))
    assert set(np.unique(resize(image, (8, 8), cv2.INTER_NEAREST))) == set(np.unique(image))
