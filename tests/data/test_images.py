"""Every format gives the values that were stored, or one line; never a traceback, never half an image."""

import logging
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sensorproof.data.batch import Sensor
from sensorproof.data.image_io import MAX_PIXELS, read_pixels
from sensorproof.data.images import read_image
from sensorproof.errors import BatchError

RNG = np.random.default_rng(0)
GREY8, GREY16 = RNG.integers(0, 256, (9, 14), np.uint8), RNG.integers(0, 65536, (9, 14), np.uint16)
RGB8, RGB16 = RNG.integers(0, 256, (9, 14, 3), np.uint8), RNG.integers(0, 65536, (9, 14, 3), np.uint16)
RGBA8, RGBA16 = RNG.integers(0, 256, (9, 14, 4), np.uint8), RNG.integers(0, 65536, (9, 14, 4), np.uint16)
REAL = RNG.normal(0, 100, (9, 14)).astype(np.float32)
IDS = RNG.integers(0, 4, (9, 14), np.uint8)
Write = Callable[[Path], object]


def pillow(array: np.ndarray, **options: Any) -> Write:
    return lambda path: Image.fromarray(array).save(path, **options)


def palette(bits: int) -> Write:
    image = Image.fromarray(IDS, mode="P")
    image.putpalette([value for k in range(256) for value in (k, 2 * k % 256, 255 - k)])
    return lambda path: image.save(path, bits=bits)


def opencv(array: np.ndarray, *options: int) -> Write:
    shown = array if array.ndim == 2 else array[..., [2, 1, 0, 3][: array.shape[2]]]
    return lambda path: cv2.imwrite(str(path), shown, options)


def tiff(array: np.ndarray, **options: Any) -> Write:
    return lambda path: tifffile.imwrite(path, array, **options)


def png(array: np.ndarray, bits: int, colour: int) -> Write:
    """A PNG by hand, for the kinds that no library here writes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def packed(row: np.ndarray) -> bytes:
        if bits == 16:
            return row.astype(">u2").tobytes()
        flat = np.unpackbits(row.ravel()[:, None], axis=1)[:, -bits:]
        return np.packbits(flat.ravel()).tobytes()

    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, colour, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + packed(row) for row in array))
    body = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


LZW, DEFLATE, PACKBITS = 5, 8, 32773
COMPRESSION = cv2.IMWRITE_TIFF_COMPRESSION
EXACT: dict[str, tuple[Write, np.ndarray]] = {
    "grey8.png": (pillow(GREY8), GREY8),
    "grey16.png": (pillow(GREY16), GREY16),
    "grey4.png": (png(IDS, 4, 0), IDS),
    "grey2.png": (png(IDS, 2, 0), IDS),
    "bit.png": (pillow(IDS > 1), IDS > 1),
    "palette.png": (palette(8), IDS),
    "palette2.png": (palette(2), IDS),
    "rgb8.png": (pillow(RGB8), RGB8),
    "rgb16.png": (opencv(RGB16), RGB16),
    "rgba8.png": (pillow(RGBA8), RGBA8),
    "rgba16.png": (opencv(RGBA16), RGBA16),
    "two8.png": (pillow(RGB8[..., :2].copy()), RGB8[..., :2]),
    "two16.png": (png(RGB16[..., :2], 16, 4), RGB16[..., :2]),
    "interlaced.png": (pillow(RGB8, optimize=True), RGB8),
    "grey8.tif": (tiff(GREY8), GREY8),
    "grey16.tif": (tiff(GREY16), GREY16),
    "grey16-big-endian.tif": (tiff(GREY16.astype(">u2"), byteorder=">"), GREY16),
    "rgb8.tiff": (tiff(RGB8), RGB8),
    "rgb16-planes.tif": (tiff(RGB16.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), RGB16),
    "two16.tif": (tiff(RGB16[..., :2], photometric="minisblack", planarconfig="contig"), RGB16[..., :2]),
    "tiles.tif": (tiff(GREY16, tile=(16, 16)), GREY16),
    "tiles-deflate.tif": (tiff(GREY16, tile=(16, 16), compression="zlib"), GREY16),
    "real.tif": (tiff(REAL), REAL),
    **{
        f"{name}-{code}.tif": (opencv(array, COMPRESSION, code), array)
        for name, array in {"grey8": GREY8, "grey16": GREY16, "rgb8": RGB8, "rgb16": RGB16, "real": REAL}.items()
        for code in (1, LZW, DEFLATE, PACKBITS)
    },
    "grey16.npy": (lambda path: np.save(path, GREY16), GREY16),
    "real.npy": (lambda path: np.save(path, REAL), REAL),
    "fortran.npy": (lambda path: np.save(path, np.asfortranarray(RGB16)), RGB16),
    "big-endian.npy": (lambda path: np.save(path, REAL.astype(">f4")), REAL),
    "UPPER.PNG": (pillow(GREY8), GREY8),
}


@cache
def data_of(name: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        EXACT[name][0](path)
        return path.read_bytes()


@pytest.mark.parametrize("name", EXACT)
def test_values_come_back_as_they_were_stored(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(data_of(name))
    read = read_pixels(tmp_path / name)
    assert read.shape == EXACT[name][1].shape
    assert np.array_equal(read, EXACT[name][1])


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_comes_back_about_as_it_was(tmp_path: Path, mode: str) -> None:
    smooth = np.outer(np.arange(64), np.ones(64)).astype(np.uint8) * 3
    image = Image.fromarray(np.stack([smooth, smooth.T, 255 - smooth], -1)).convert(mode)
    image.save(tmp_path / "a.jpg", quality=95)
    read = read_pixels(tmp_path / "a.jpg")
    expected = np.asarray(image)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 4


def test_a_palette_gives_colours_where_colours_are_claimed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data_of("palette.png"))
    colours = read_pixels(tmp_path / "a.png", channels=3)
    assert np.array_equal(colours, np.stack([IDS, 2 * IDS, 255 - IDS], -1))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([n for n in EXACT if n != "UPPER.PNG"]), st.data())
def test_a_truncated_file_gives_one_line_or_the_whole_image(name: str, data: st.DataObject) -> None:
    whole = data_of(name)
    length = data.draw(st.integers(0, len(whole) - 1) | st.integers(max(0, len(whole) - 40), len(whole) - 1))
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(whole[:length])
        line, pixels = attempt(path)
    assert (line.count("\n"), "; " in line) == (0, True) if line else np.array_equal(pixels, EXACT[name][1])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 90}])
def test_a_truncated_jpeg_gives_one_line_or_the_whole_image(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.jpg"
    pillow(RGB8, **options)(path)
    data, whole = path.read_bytes(), read_pixels(path)
    refused, tried = 0, 0
    for length in (*range(0, len(data) - 20, 5), *range(len(data) - 20, len(data))):
        path.write_bytes(data[:length])
        line, pixels = attempt(path)
        refused, tried = refused + bool(line), tried + 1
        assert line or np.array_equal(pixels, whole), length
    assert refused >= tried - 10


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(EXACT)), st.data())
def test_a_garbled_file_never_gives_a_traceback(name: str, data: st.DataObject) -> None:
    garbled = bytearray(data_of(name))
    for _ in range(data.draw(st.integers(1, 4))):
        garbled[data.draw(st.integers(0, min(len(garbled) - 1, 300)))] = data.draw(st.integers(0, 255))
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(garbled)
        line, pixels = attempt(path)
    assert "\n" not in line
    assert line or pixels.size <= MAX_PIXELS


def attempt(path: Path) -> tuple[str, np.ndarray]:
    try:
        return "", read_pixels(path)
    except BatchError as error:
        return str(error), np.empty(0)


@pytest.mark.parametrize("name", ["grey8-1.tif", "rgb16-8.tif", "rgb16.png", "real-5.tif"])
def test_decoders_write_nothing_of_their_own(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    whole = data_of(name)
    for length in (8, len(whole) // 2, len(whole) - 6):
        (tmp_path / name).write_bytes(whole[:length])
        attempt(tmp_path / name)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("tifffile").handlers == []
    assert logging.getLogger("tifffile").propagate


def header_only_png(width: int, height: int) -> bytes:
    """A PNG that says it is large, and has next to no data."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        png(np.zeros((1, 1), np.uint8), 8, 0)(path)
        data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def set_tag(path: Path, name: str, value: int) -> None:
    """Overwrite a number in a TIFF's header."""
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.aspage().tags[name]
        where, form = tag.valueoffset, {3: "<H", 4: "<I"}[tag.dtype]
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, where, value)
    path.write_bytes(data)


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side = 8193
    (tmp_path / "a.png").write_bytes(header_only_png(side, side))
    np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.uint8, shape=(side, side))
    tiff(np.zeros((64, 64), np.uint8), compression="zlib")(tmp_path / "a.tif")
    for tag in ("ImageWidth", "ImageLength"):
        set_tag(tmp_path / "a.tif", tag, side)
    monkeypatch.setattr(Image.Image, "load", pytest.fail)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", pytest.fail)
    for name in ("a.png", "a.npy", "a.tif"):
        with pytest.raises(BatchError, match=r"has 67,125,249 pixels, more than 67,108,864"):
            read_pixels(tmp_path / name)


def test_a_deflated_strip_is_not_unpacked_beyond_its_image(tmp_path: Path) -> None:
    tiff(np.zeros((64, 64), np.uint8), compression="zlib")(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        start = file.pages.first.aspage().dataoffsets[0]
    bomb = zlib.compress(bytes(2**26))
    set_tag(tmp_path / "a.tif", "StripByteCounts", len(bomb))
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:start] + bomb)
    with pytest.raises(BatchError, match="is not a whole image"):
        read_pixels(tmp_path / "a.tif")


def test_a_text_chunk_cannot_be_a_bomb(tmp_path: Path) -> None:
    whole = data_of("grey8.png")
    text = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(2**25))
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    (tmp_path / "a.png").write_bytes(whole[:33] + chunk + whole[33:])
    line, pixels = attempt(tmp_path / "a.png")
    assert "is not a whole image" in line or np.array_equal(pixels, GREY8)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.gif", b"GIF89a", "is of unknown format '.gif'"),
        ("a", b"", "is of unknown format ''"),
        ("a.png", None, "is missing"),
        ("a.png", b"GIF89a" + bytes(100), "is not a whole image"),
        ("a.jpg", b"\xff\xd8\xff", "is not a whole image"),
        ("a.npy", b"PK\x03\x04" + bytes(100), "is not a whole image"),
        ("a.npy", b"\x93NUMPY\x01\x00\xff\xff", "is not a whole image"),
        ("a.npy", b"\x80\x04K\x01.", "is not a whole image"),
    ],
)
def test_what_is_no_image(tmp_path: Path, name: str, content: bytes | None, fault: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    line, _ = attempt(tmp_path / name)
    assert fault in line


def test_pages_beyond_the_first_are_not_dropped_in_silence(tmp_path: Path) -> None:
    tiff(RGB16.transpose(2, 0, 1), photometric="minisblack")(tmp_path / "a.tif")
    assert "has 3 pages; write one page a frame" in attempt(tmp_path / "a.tif")[0]


def test_what_float32_cannot_hold_is_invalid(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1e300, 1.0, np.nan, -np.inf]]))
    claims = {"kind": "other", "channels": 1, "range": [0, 1], "nodata": None, "max_time_offset_s": 0}
    read = read_image(tmp_path / "a.npy", Sensor.model_validate(claims | {"calibration": None}))
    assert np.array_equal(read, np.array([[[np.nan, 1, np.nan, np.nan]]]), equal_nan=True)
