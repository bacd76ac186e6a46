"""A picture that shows a person what is wrong: the worst frames of every sensor, with edges and tile vectors."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from sensorproof.alignment.frames import Reader, in_order, read_frame
from sensorproof.alignment.registration.edges import Edges, Picture, edges_of
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.registration.tile_registration import Registration, register
from sensorproof.data.batch import Batch
from sensorproof.settings import ValidationSettings

Color = NDArray[np.uint8]
_PANEL = 300
"""Width of a panel in pixels."""
GAP, TEXT = 8, 20
_PANELS = ("reference, tile vectors x 5", "sensor, edges of the reference", "sensor moved back, edges of the reference")
_LENGTHEN = 5
"""Tile vectors are drawn this much longer than they are."""
_STRONG = 0.85
"""Quantile of the edges' strength from which they are drawn."""
INK, PAPER, EDGE, ARROW = (28, 37, 48), (255, 255, 255), (255, 120, 0), (0, 200, 255)
_MEASURES = {"deviation_px": "off by", "corner_deviation_px": "at a corner by", "reliability": "reliability"}


@dataclass(frozen=True)
class _Strip:
    """One frame of one sensor: its panels side by side, and what is said of it."""

    title: str
    panels: tuple[Color, ...]


def draw_contact_sheet(
    path: Path,
    batch: Batch,
    table: pd.DataFrame,
    faults: pd.DataFrame,
    settings: ValidationSettings,
    read: Reader = read_frame,
) -> bool:
    """Write a PNG with the worst frames of every sensor; False, and no file, where there is nothing to draw.

    Args:
        table: the measures, with `state`.
        faults: frame_id, sensor and reason of what frames are at fault with.
        read: how a frame is read.
    """
    strips = [
        s
        for row in chosen(table, faults, settings.contact_sheet_frames)
        for s in strip(batch, row, _reasons_of(row, faults), settings, read)
    ]
    if not strips:
        return False
    compose(batch.name, strips).save(path, format="PNG")
    return True


def _reasons_of(row: pd.Series, faults: pd.DataFrame) -> list[str]:
    """What the pair of a row is at fault with: its sensor, or the reference."""
    own = faults[(faults.frame_id == row.frame_id) & faults.sensor.isin([row.sensor, row.reference])]
    return [str(reason) for reason in own.reason.unique()]


def chosen(table: pd.DataFrame, faults: pd.DataFrame, frames: int) -> Iterator[pd.Series]:
    """The rows to draw: of every sensor, those that are misaligned, then other faults, then what is furthest off."""
    at_fault = set(zip(faults.frame_id, faults.sensor, strict=True))
    there = table[(table.sensor != table.reference) & table.height.notna()]
    for _, part in there.groupby("sensor", sort=False):
        off = part[["deviation_px", "corner_deviation_px"]].max(axis=1).fillna(-1.0)
        sound = [
            (frame, name) not in at_fault and (frame, reference) not in at_fault
            for frame, name, reference in zip(part.frame_id, part.sensor, part.reference, strict=True)
        ]
        order = np.lexsort((part.position, -off, np.array(sound), part.state != "misaligned"))
        for k in order[:frames]:
            yield part.iloc[k]


def strip(
    batch: Batch, row: pd.Series, reasons: list[str], settings: ValidationSettings, read: Reader
) -> Iterator[_Strip]:
    """The panels of one frame; none where its files cannot be read."""
    order, _ = in_order(batch)
    frame = read(batch, int(order[int(row.position)]))
    seen = FrameFeatures(batch.info, frame.images, frame.label, settings.content)
    grid = seen.grid(row.sensor)
    if grid is None:
        return
    spectra = seen.spectra_of(seen.reference, grid), seen.spectra_of(row.sensor, grid)
    found, _ = register(*spectra, seen.edges_of(row.sensor, grid), grid, settings.content)
    size = (grid.image[0] * grid.step, grid.image[1] * grid.step)
    reference, sensor = (visible(seen.pictures[name], size) for name in (seen.reference, row.sensor))
    edges = edges_of(seen.pictures[seen.reference], size)
    panels = (
        _with_vectors(enlarge(reference), found, grid.centers * grid.step),
        _with_edges(enlarge(sensor), edges),
        _with_edges(enlarge(_moved_back(sensor, found)), edges),
    )
    said = [f"{text} {row[c]:.1f}" for c, text in _MEASURES.items() if np.isfinite(row[c])]
    yield _Strip(f"{row.frame_id}  {row.sensor}: {row.state}  ({', '.join([*said, *reasons[:2]])})", panels)


def visible(picture: Picture, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) the values from the 1st to the 99th percentile as 0 to 255, invalid pixels 0."""
    values = np.where(picture.valid, picture.values, np.nan)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [1, 99]) if len(known) else (0.0, 1.0)
    scaled = np.nan_to_num(255 * (values - low) / max(high - low, 1e-9), nan=0)
    return np.asarray(cv2.resize(np.clip(scaled, 0, 255).astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA))


def enlarge(image: NDArray[np.uint8]) -> Color:
    """(h, PANEL, 3) of (H, W)."""
    height = max(1, round(_PANEL * image.shape[0] / image.shape[1]))
    return np.repeat(cv2.resize(image, (_PANEL, height), interpolation=cv2.INTER_NEAREST)[..., None], 3, 2)


def _moved_back(image: NDArray[np.uint8], found: Registration) -> NDArray[np.uint8]:
    """The sensor's image where it would lie on the reference's, by what was found; as it is where nothing was."""
    if found.shift is None:
        return image
    matrix = np.eye(2) if found.field is None else np.eye(2) + found.field.matrix
    shift = found.shift if found.field is None else found.field.shift
    height, width = image.shape
    center = np.array([height - 1, width - 1]) / 2
    offset = center + shift - matrix @ center
    inverse = np.array([[matrix[1, 1], matrix[1, 0], offset[1]], [matrix[0, 1], matrix[0, 0], offset[0]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, inverse, (width, height), flags=flags))


def _with_edges(image: Color, edges: Edges) -> Color:
    """The strongest of edges (H, W) drawn over an enlarged image."""
    strength = cv2.resize(np.abs(edges), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    there = strength > max(float(np.quantile(strength, _STRONG)), 1e-6)
    image[there] = (0.35 * image[there] + 0.65 * np.array(EDGE)).astype(np.uint8)
    return image


def _with_vectors(image: Color, found: Registration, centers: NDArray[np.float64]) -> Color:
    """The tiles' displacements as arrows from the tiles' centres, and a dot where a tile says nothing."""
    image = np.ascontiguousarray(image * 0.7, np.uint8)
    factor = image.shape[1] / found.size[1]
    middle = np.array(found.size) / 2
    for center, vector in zip(centers + middle, found.vectors, strict=True):
        start = tuple(np.round(center[::-1] * factor).astype(int).tolist())
        if np.isfinite(vector).all():
            end = tuple(np.round((center + _LENGTHEN * vector)[::-1] * factor).astype(int).tolist())
            cv2.arrowedLine(image, start, end, ARROW, 2, cv2.LINE_AA, tipLength=0.3)
        cv2.circle(image, start, 2, ARROW, -1, cv2.LINE_AA)
    return image


def compose(name: str, strips: list[_Strip]) -> Pictures.Image:
    """All strips below each other, under one line that says what the panels are."""
    heights = [TEXT + max(panel.shape[0] for panel in s.panels) + GAP for s in strips]
    width = GAP + len(_PANELS) * (_PANEL + GAP)
    sheet = Pictures.new("RGB", (width, 2 * TEXT + 2 * GAP + sum(heights)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    draw.text(
        (GAP, GAP),
        f"{name}: of every sensor, frames at fault, then those furthest off",
        INK,
        ImageFont.load_default(15),
    )
    for k, title in enumerate(_PANELS):
        draw.text((GAP + k * (_PANEL + GAP), GAP + TEXT), title, INK, font)
    top = 2 * TEXT + 2 * GAP
    for s, height in zip(strips, heights, strict=True):
        draw.text((GAP, top), s.title, INK, font)
        for k, panel in enumerate(s.panels):
            sheet.paste(Pictures.fromarray(panel), (GAP + k * (_PANEL + GAP), top + TEXT))
        top += height
    return sheet
