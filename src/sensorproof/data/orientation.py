"""Turn images upright by the orientation tag of their file (EXIF 2.3 and TIFF 6.0, tag 274)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATION_TAG = 274


def upright(pixels: NDArray[Any], orientation: object) -> NDArray[Any]:
    """Return an image as its orientation tag says that it is to be seen.

    Cameras store the image as the sensor was held and note in the tag how to turn it. Labels are drawn on the turned
    image, so without the tag image and label do not match.

    Args:
        pixels: (H, W) or (H, W, C), as stored.
        orientation: the tag's value, 1 to 8; anything else counts as 1, as stored.

    Returns:
        The image; with sides swapped for 5 to 8.
    """
    match orientation:
        case 2:
            return pixels[:, ::-1]
        case 3:
            return pixels[::-1, ::-1]
        case 4:
            return pixels[::-1]
        case 5:
            return np.swapaxes(pixels, 0, 1)
        case 6:
            return np.swapaxes(pixels, 0, 1)[:, ::-1]
        case 7:
            return np.swapaxes(pixels, 0, 1)[::-1, ::-1]
        case 8:
            return np.swapaxes(pixels, 0, 1)[::-1]
        case _:
            return pixels
