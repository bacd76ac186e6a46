"""One rule for all files: the stored values, turned upright by the orientation tag; or a refusal that says why."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from sensorproof.data.image_io import read_pixels
from sensorproof.data.orientation import ORIENTATION_TAG
from sensorproof.errors import BatchError

RNG = np.random.default_rng(0)
LOSSLESS = (None, "lzw", "zlib", "deflate", "packbits", "zstd", "lzma")
MARKED = np.zeros((6, 9), np.uint8)
MARKED[0, :3] = (200, 100, 50)
"""An image of which every turn and mirror differs."""


def bands(count: int, dtype: str) -> NDArray:
    """Random bands of which the last one is small, as an alpha would be that hides colours."""
    values = RNG.integers(100, 250, (16, 24, count)).astype(dtype)
    values[..., -1] //= 10
    return values[..., 0] if count == 1 else values


@pytest.mark.parametrize("compression", LOSSLESS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_tiff_gives_its_stored_values_whatever_the_compression(
    tmp_path: Path, compression: str | None, dtype: str, count: int, planar: str
) -> None:
    pixels = bands(count, dtype)
    options = {"compression": compression, "photometric": "rgb" if count in (3, 4) else "minisblack"}
    if count > 1:
        options["planarconfig"] = planar
    stored = np.moveaxis(pixels, -1, 0) if planar == "separate" and count > 1 else pixels
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif", count), pixels)


@pytest.mark.parametrize("compression", ["none", "lzw"])
def test_near_infrared_as_a_fourth_band_is_no_alpha(tmp_path: Path, compression: str) -> None:
    pixels = bands(4, "uint8")
    options = {"photometric": "rgb", "extrasamples": ["assocalpha"]}
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=None if compression == "none" else compression, **options)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif", 4), pixels)


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
def test_bits_that_are_packed_are_unpacked(tmp_path: Path, bits: int) -> None:
    pixels = RNG.integers(0, 2**bits, (8, 16)).astype(np.uint16 if bits > 8 else np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels.astype(bool) if bits == 1 else pixels, bitspersample=bits)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "SEPARATED"), ("YCbCr", "YCBCR"), ("LAB", "CIELAB")])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_colours_that_are_not_plain_bands_are_refused(
    tmp_path: Path, mode: str, name: str, compression: str | None
) -> None:
    Image.fromarray(bands(4 if mode == "CMYK" else 3, "uint8"), mode).save(tmp_path / "a.tif", compression=compression)
    with pytest.raises(BatchError, match=f"a.tif: stores its colours as {name}; write grey, RGB or plain bands"):
        read_pixels(tmp_path / "a.tif", 3)


def test_inks_are_refused_in_a_jpeg_as_well(tmp_path: Path) -> None:
    Image.fromarray(bands(4, "uint8"), "CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(BatchError, match="stores its colours as CMYK; write grey or RGB"):
        read_pixels(tmp_path / "a.jpg", 3)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_palette_gives_indices_or_colours_as_claimed(tmp_path: Path, compression: str | None) -> None:
    image = Image.fromarray(RNG.integers(0, 4, (8, 8)).astype(np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    image.save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif", 1), np.asarray(image))
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif", 3), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_png_of_16_bits_a_channel_keeps_them(tmp_path: Path, channels: int) -> None:
    pixels = bands(channels, "uint16") * 200
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png", channels), pixels)


def stored_as(orientation: int) -> NDArray:
    """The pixels that a file with this tag stores of MARKED, by Pillow's own rule."""
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    if orientation == 1:
        return MARKED
    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return np.asarray(Image.fromarray(MARKED).transpose(methods[undo[orientation]]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "lzw.tif"])
def test_an_orientation_tag_turns_the_image_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    path, pixels = tmp_path / f"a.{ending}", stored_as(orientation)
    if ending.endswith("tif"):
        tag = (ORIENTATION_TAG, 3, 1, orientation, True)
        tifffile.imwrite(path, pixels, compression="lzw" if "lzw" in ending else None, extratags=[tag])
    else:
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        Image.fromarray(pixels).save(path, exif=exif, **({"quality": 100} if ending == "jpg" else {}))
    read = read_pixels(path)
    assert read.shape == MARKED.shape
    np.testing.assert_allclose(read.astype(int), MARKED, atol=3 if ending == "jpg" else 0)
