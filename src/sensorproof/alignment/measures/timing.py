"""Time measures of a pair: offset, clock, drift, jitter, order. They depend on timestamps only, never on pixels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.measures.timestamps import in_order_steps
from sensorproof.data.batch import Batch
from sensorproof.settings import TimeChecks

STAMP_SLACK_S = 2e-6
"""Timestamps are written in microseconds: the rounding of two of them may add up to this."""
LAST_DATE_S = 1e11
"""A timestamp above this one (year 5138) is in another unit than seconds."""
_LONGEST_STEP_S = 1e6
"""Frames of one sequence that are more than eleven days apart have timestamps in another unit."""
_MIN_FRAMES = 8
"""Frames from which drift and jitter are measured."""
_MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution divided by its median absolute deviation."""


@dataclass(frozen=True)
class Clock:
    """A sensor's clock against the reference's over the whole batch; NaN for what cannot be measured."""

    offset_s: float
    """Median offset."""
    drift: float
    """Seconds gained per second."""
    drift_span_s: float
    """Offset gained over the longest sequence."""
    jitter_s: float
    """Standard deviation, by the median absolute deviation, of what offset and drift leave."""


def tolerance_s(batch: Batch, sensor: str, settings: TimeChecks) -> float:
    """Return the largest accepted time offset of a sensor from the reference, in seconds.

    The settings take precedence. From range and speed they give tolerated_px * range / (focal_px * speed): the time in
    which a point at that range moves by tolerated_px in the image. For sensors that the settings do not name, and if
    the reference has no calibration, the batch's own max_time_offset_s holds.

    Args:
        batch: has max_time_offset_s and the calibration of the reference.
        sensor: its name.
        settings: the section validation.time.
    """
    claimed = batch.sensors[sensor].max_time_offset_s
    pair = settings.pairs.get(sensor)
    if pair is None:
        return claimed
    if pair.tolerance_s is not None:
        return pair.tolerance_s
    focal = _reference_focal_px(batch)
    if pair.tolerated_px is None or pair.range_m is None or pair.speed_m_s is None or focal <= 0:
        return claimed
    return float(pair.tolerated_px * pair.range_m / (focal * pair.speed_m_s))


def _reference_focal_px(batch: Batch) -> float:
    """Return the focal length of the reference in pixels; 0 without a calibration."""
    calibration = batch.sensors[batch.info.reference].calibration
    return float(calibration.intrinsics[0, 0]) if calibration else 0.0


def tolerance_warnings(batch: Batch, settings: TimeChecks) -> list[str]:
    """Return a line for each tolerance in the settings that has no effect on this batch."""
    warnings = []
    for name, pair in sorted(settings.pairs.items()):
        if name not in batch.sensors:
            warnings.append(f"params.yaml: validation.time.pairs names {name!r}, which is not a sensor of the batch")
        elif pair.tolerance_s is None and _reference_focal_px(batch) <= 0:
            warnings.append(f"{name}: a tolerance in pixels needs a calibrated reference; max_time_offset_s is used")
    return warnings


def measure_clock(offset_s: NDArray[np.float64], time_s: NDArray[np.float64], sequence: NDArray[np.int64]) -> Clock:
    """Measure offset, drift and jitter of a sensor's clock.

    Args:
        offset_s: (N,) sensor time minus reference time, NaN if either is absent.
        time_s: (N,) reference time.
        sequence: (N,) number of each frame's sequence; drift is measured within sequences.
    """
    known = np.isfinite(offset_s) & np.isfinite(time_s)
    offset, time, group = offset_s[known], time_s[known], sequence[known]
    if not len(offset):
        return Clock(np.nan, np.nan, np.nan, np.nan)
    median = float(np.median(offset))
    if len(offset) < _MIN_FRAMES:
        return Clock(median, np.nan, np.nan, np.nan)
    frames = pd.DataFrame({"offset": offset, "time": time, "group": group})
    medians = frames.groupby("group")[["offset", "time"]].transform("median")
    dx, dy = (frames.time - medians.time).to_numpy(), (frames.offset - medians.offset).to_numpy()
    slope = _robust_slope(dx, dy)
    rest = dy - slope * dx
    jitter = _MAD_TO_SD * float(np.median(np.abs(rest - np.median(rest))))
    span = float(frames.groupby("group").time.agg(lambda t: t.max() - t.min()).max())
    return Clock(median, slope, slope * span, jitter)


def _robust_slope(x: NDArray[np.float64], y: NDArray[np.float64], rounds: int = 5) -> float:
    """Return the slope of y over x through the origin by least squares, without outliers beyond 3 sigma."""
    keep = np.ones(len(x), bool)
    slope = 0.0
    for _ in range(rounds):
        sum_of_squares = float(x[keep] @ x[keep])
        if sum_of_squares <= 0:
            return np.nan
        slope = float(x[keep] @ y[keep]) / sum_of_squares
        rest = np.abs(y - slope * x)
        sigma = _MAD_TO_SD * float(np.median(rest[keep]))
        keep = rest <= max(3 * sigma, STAMP_SLACK_S)
        if keep.sum() < 3:
            break
    return slope


def measure_time(
    batch: Batch, sensor: str, settings: TimeChecks, order: NDArray[np.int64], sequence: NDArray[np.int64]
) -> pd.DataFrame:
    """Measure the timestamps of the pair (reference, sensor).

    Args:
        batch: has the timestamps.
        sensor: its name.
        settings: the section validation.time.
        order: (N,) rows of batch.frames, sequence by sequence.
        sequence: (N,) number of the sequence of each of them.

    Returns:
        The columns of the group "time", a row per frame in the given order. Those of the clock and the unit are the
        same in every row.
    """
    stamps = batch.frames[f"{sensor}_time"].to_numpy(float)[order]
    reference = batch.frames[f"{batch.info.reference}_time"].to_numpy(float)[order]
    offset = stamps - reference
    steps = time_steps(stamps, sequence)
    clock = measure_clock(offset, reference, sequence)
    tolerance = tolerance_s(batch, sensor, settings) + STAMP_SLACK_S
    return pd.DataFrame(
        {
            "time_offset_s": offset,
            "time_tolerance_s": tolerance,
            "time_step_s": steps,
            "clock_offset_share": abs(clock.offset_s) / tolerance,
            "clock_drift_share": abs(clock.drift_span_s) / tolerance,
            "clock_jitter_share": clock.jitter_s / tolerance,
            "time_unit": float(_is_other_unit(stamps, steps)),
        }
    )


def time_steps(stamps: NDArray[np.float64], sequence: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the time (N,) since the sensor's previous frame in the same sequence, in seconds.

    Args:
        stamps: (N,) seconds, NaN for absent frames.
        sequence: (N,) number of each frame's sequence.

    Returns:
        NaN for the first frame of a sequence and for absent frames; 0 or less for frames that are out of order, see
        `in_order_steps`.
    """
    frames = pd.DataFrame({"time": stamps, "group": sequence}).dropna()
    steps = np.full(len(stamps), np.nan)
    forward = frames.groupby("group").time.diff()
    period = float(forward[forward > 0].median())
    for _, times in frames.groupby("group").time:
        steps[times.index.to_numpy()] = in_order_steps(times.to_numpy(), 0.0 if np.isnan(period) else period)
    return steps


def _is_other_unit(stamps: NDArray[np.float64], steps: NDArray[np.float64]) -> bool:
    """Return whether timestamps cannot be seconds: too large for a date, or frames of a sequence many days apart."""
    known, gaps = np.abs(stamps[np.isfinite(stamps)]), np.abs(steps[np.isfinite(steps)])
    return bool((len(known) and np.median(known) > LAST_DATE_S) or (len(gaps) and np.median(gaps) > _LONGEST_STEP_S))
