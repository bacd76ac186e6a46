"""The contact sheet: the frames with the largest faults of every sensor, with edges and tile vectors."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from sensorproof.alignment.frames import RawFrame, Reader, in_order, read_frame
from sensorproof.alignment.images import resize
from sensorproof.alignment.measurement import BatchMeasurements
from sensorproof.alignment.pairs.tile_vectors import registration_of
from sensorproof.alignment.registration.edges import Edges, GrayImage, edges_of
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.registration.tile_registration import Registration
from sensorproof.artifacts import SHEETS, WORST_FRAMES
from sensorproof.cache import hash_code, prune
from sensorproof.data.batch import Batch
from sensorproof.files import atomic_file
from sensorproof.hashing import hash_json
from sensorproof.settings import ValidationSettings

_Gray = NDArray[np.uint8]
"""(H, W)."""
_Color = NDArray[np.uint8]
"""(H, W, 3)."""
_KEPT_DAYS = 90.0
_PANEL_PX = 300
"""Width of a panel."""
_GAP_PX, _LINE_PX = 8, 20
_PANELS = ("reference, tile vectors x 5", "sensor, edges of the reference", "sensor moved back, edges of the reference")
_VECTOR_FACTOR = 5
"""Tile vectors are drawn this much longer than they are."""
_STRONG_QUANTILE = 0.85
"""Quantile of the edges' strength from which they are drawn."""
_TEXT, _BACKGROUND, _EDGE, _ARROW = (28, 37, 48), (255, 255, 255), (255, 120, 0), (0, 200, 255)
_TITLE_MEASURES = {"deviation_px": "off by", "corner_deviation_px": "at a corner by", "reliability": "reliability"}


@dataclass(frozen=True)
class Strip:
    """One frame of one sensor: its title and its panels side by side."""

    sensor: str
    title: str
    panels: tuple[_Color, ...]


def draw_contact_sheet(
    path: Path,
    measurements: BatchMeasurements,
    faults: pd.DataFrame,
    settings: ValidationSettings,
    read: Reader = read_frame,
    cache: Path = SHEETS,
) -> bool:
    """Write a PNG with the worst frames of every sensor, and beside it WORST_FRAMES with only the first of each.

    Nothing is registered: what is drawn has been measured. The sheets of a measurement that is kept are kept too.

    Args:
        path: of the image.
        measurements: of the batch; the table with `state`.
        faults: with frame_id, sensor and reason.
        settings: the section validation.
        read: how a frame is read.
        cache: folder of sheets that were drawn before.

    Returns:
        Whether there was anything to draw. If not, no file is written.
    """
    batch = measurements.batch
    registrations = measurements.registrations
    known = registrations.set_index(["position", "sensor"]) if len(registrations) else registrations
    rows = [
        (row, _title(row, _reasons_of(row, faults)))
        for row in _worst_rows(measurements.table, faults, settings.contact_sheet_frames)
        if (int(row.position), row.sensor) in known.index
    ]
    kept = cache / f"{hash_json([measurements.key, [title for _, title in rows], hash_code(__package__)])[:40]}.png"
    worst, kept_worst = path.with_name(WORST_FRAMES), kept.with_suffix(".worst.png")
    if measurements.key and kept.is_file() and kept_worst.is_file():
        shutil.copyfile(kept, path)
        shutil.copyfile(kept_worst, worst)
        return True
    order, _ = in_order(batch)
    strips: dict[int, Strip] = {}
    latest = RawFrame(-1)
    # Frame by frame, so that one is in memory at a time; on the sheet they are sensor by sensor.
    for k, (row, title) in sorted(enumerate(rows), key=lambda item: int(item[1][0].position)):
        index = int(order[int(row.position)])
        latest = latest if latest.row == index else read(batch, index)
        registration = registration_of(known.loc[(int(row.position), row.sensor)].to_dict())
        if (strip := _strip(batch, row.sensor, title, latest, registration, settings)) is not None:
            strips[k] = strip
    if not strips:
        return False
    ordered = [strips[k] for k in sorted(strips)]
    first = {strip.sensor: strip for strip in reversed(ordered)}
    compose_sheet(batch.name, ordered).save(path, format="PNG")
    compose_sheet(batch.name, list(reversed(first.values()))).save(worst, format="PNG")
    if measurements.key:
        for drawn, copy in ((worst, kept_worst), (path, kept)):
            with atomic_file(copy) as temporary:
                shutil.copyfile(drawn, temporary)
        prune(cache, _KEPT_DAYS)
    return True


def _reasons_of(row: pd.Series, faults: pd.DataFrame) -> list[str]:
    """Return the faults of a row's sensor and of its reference."""
    own = faults[(faults.frame_id == row.frame_id) & faults.sensor.isin([row.sensor, row.reference])]
    return [str(reason) for reason in own.reason.unique()]


def _worst_rows(table: pd.DataFrame, faults: pd.DataFrame, frames: int) -> Iterator[pd.Series]:
    """Yield the rows to draw: per sensor, misaligned frames, then other faults, then the largest deviations."""
    at_fault = set(zip(faults.frame_id, faults.sensor, strict=True))
    with_image = table[(table.sensor != table.reference) & table.height.notna()]
    for _, rows in with_image.groupby("sensor", sort=False):
        deviation = rows[["deviation_px", "corner_deviation_px"]].max(axis=1).fillna(-1.0)
        fault_free = [
            (frame, name) not in at_fault and (frame, reference) not in at_fault
            for frame, name, reference in zip(rows.frame_id, rows.sensor, rows.reference, strict=True)
        ]
        order = np.lexsort((rows.position, -deviation, np.array(fault_free), rows.state != "misaligned"))
        for k in order[:frames]:
            yield rows.iloc[k]


def _title(row: pd.Series, reasons: list[str]) -> str:
    """Return the title of a strip: the frame, its state, its measures and its faults."""
    remarks = [f"{text} {row[c]:.1f}" for c, text in _TITLE_MEASURES.items() if np.isfinite(row[c])]
    return f"{row.frame_id}  {row.sensor}: {row.state}  ({', '.join([*remarks, *reasons[:2]])})"


def _strip(
    batch: Batch, name: str, title: str, frame: RawFrame, registration: Registration, settings: ValidationSettings
) -> Strip | None:
    """Return the strip of one frame and sensor; None if its files cannot be read any more."""
    features = FrameFeatures(batch.info, frame.images, frame.label, settings.content)
    grid = features.grid(name)
    if grid is None:
        return None
    size = (grid.image[0] * grid.step, grid.image[1] * grid.step)
    reference, sensor = (_visible(features.grays[each], size) for each in (features.reference, name))
    edges = edges_of(features.grays[features.reference], size)
    panels = (
        _with_vectors(_enlarge(reference), registration, grid.centers * grid.step),
        _with_edges(_enlarge(sensor), edges),
        _with_edges(_enlarge(_moved_back(sensor, registration)), edges),
    )
    return Strip(name, title, panels)


def _visible(image: GrayImage, size: tuple[int, int]) -> _Gray:
    """Map the 1st to 99th percentile of the values to 0 to 255, invalid pixels to 0, and resize to (H, W)."""
    values = np.where(image.valid, image.values, np.nan)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [1, 99]) if len(known) else (0.0, 1.0)
    scaled = np.nan_to_num(255 * (values - low) / max(high - low, 1e-9), nan=0)
    return resize(np.clip(scaled, 0, 255).astype(np.uint8), size, cv2.INTER_AREA)


def _enlarge(image: _Gray) -> _Color:
    """Enlarge an image (H, W) to the width of a panel, with three channels."""
    height = max(1, round(_PANEL_PX * image.shape[0] / image.shape[1]))
    return np.repeat(resize(image, (height, _PANEL_PX), cv2.INTER_NEAREST)[..., None], 3, 2)


def _moved_back(image: _Gray, registration: Registration) -> _Gray:
    """Undo the measured displacement of a sensor's image (H, W); unchanged if it is unmeasurable."""
    if registration.shift is None:
        return image
    field = registration.field
    matrix = np.eye(2) if field is None else np.eye(2) + field.matrix
    shift = registration.shift if field is None else field.shift
    height, width = image.shape
    center = np.array([height - 1, width - 1]) / 2
    offset = center + shift - matrix @ center
    inverse = np.array([[matrix[1, 1], matrix[1, 0], offset[1]], [matrix[0, 1], matrix[0, 0], offset[0]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, inverse, (width, height), flags=flags), np.uint8)


def _with_edges(image: _Color, edges: Edges) -> _Color:
    """Draw the strongest of edges (H, W) over an enlarged image, in place."""
    strength = resize(np.abs(edges), (image.shape[0], image.shape[1]), cv2.INTER_LINEAR)
    strong = strength > max(float(np.quantile(strength, _STRONG_QUANTILE)), 1e-6)
    image[strong] = (0.35 * image[strong] + 0.65 * np.array(_EDGE)).astype(np.uint8)
    return image


def _with_vectors(image: _Color, registration: Registration, centers: NDArray[np.float64]) -> _Color:
    """Draw the tiles' displacements as arrows from their centres (n, 2), and a dot for a tile without one."""
    image = np.ascontiguousarray(image * 0.7, np.uint8)
    factor = image.shape[1] / registration.size[1]
    middle = np.array(registration.size) / 2
    for center, vector in zip(centers + middle, registration.vectors, strict=True):
        start = tuple(np.round(center[::-1] * factor).astype(int).tolist())
        if np.isfinite(vector).all():
            end = tuple(np.round((center + _VECTOR_FACTOR * vector)[::-1] * factor).astype(int).tolist())
            cv2.arrowedLine(image, start, end, _ARROW, 2, cv2.LINE_AA, tipLength=0.3)
        cv2.circle(image, start, 2, _ARROW, -1, cv2.LINE_AA)
    return image


def compose_sheet(name: str, strips: list[Strip]) -> PilImage.Image:
    """Place all strips below each other, under the batch's name and the titles of the panels."""
    heights = [_LINE_PX + max(panel.shape[0] for panel in strip.panels) + _GAP_PX for strip in strips]
    width = _GAP_PX + len(_PANELS) * (_PANEL_PX + _GAP_PX)
    sheet = PilImage.new("RGB", (width, 2 * _LINE_PX + 2 * _GAP_PX + sum(heights)), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    title = f"{name}: for each sensor, frames at fault, then the largest deviations"
    draw.text((_GAP_PX, _GAP_PX), title, _TEXT, ImageFont.load_default(15))
    for k, panel_title in enumerate(_PANELS):
        draw.text((_GAP_PX + k * (_PANEL_PX + _GAP_PX), _GAP_PX + _LINE_PX), panel_title, _TEXT, font)
    top = 2 * _LINE_PX + 2 * _GAP_PX
    for strip, height in zip(strips, heights, strict=True):
        draw.text((_GAP_PX, top), strip.title, _TEXT, font)
        for k, panel in enumerate(strip.panels):
            sheet.paste(PilImage.fromarray(panel), (_GAP_PX + k * (_PANEL_PX + _GAP_PX), top + _LINE_PX))
        top += height
    return sheet
