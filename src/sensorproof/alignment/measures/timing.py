"""Time measures of a sensor pair: offset, clock, drift, jitter, order. Only the stamps matter, never the pixels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.measures.timestamps import in_order_steps
from sensorproof.data.batch import Batch
from sensorproof.settings import TimeChecks

STAMP_SLACK_S = 2e-6
"""Stamps are written with microseconds: two roundings may add up to this."""
_SECONDS_LIMIT = 1e11
"""Seconds beyond the year 5000: a stamp above is in another unit."""
_INTERVAL_LIMIT_S = 1e6
"""Frames of one sequence more than eleven days apart: a stamp in another unit."""
_DRIFT_MIN_FRAMES = 8


@dataclass(frozen=True)
class Clock:
    """How a sensor's clock runs against the reference's over the whole batch. NaN where it cannot be told."""

    offset_s: float
    """Median offset."""
    drift: float
    """Seconds gained a second."""
    drift_span_s: float
    """Offset gained over the longest sequence."""
    jitter_s: float
    """Standard deviation (from the median absolute deviation) of what offset and drift leave."""


def tolerance_s(batch: Batch, sensor: str, settings: TimeChecks) -> float:
    """The largest accepted offset of sensor against the reference, seconds.

    params come first; with range and speed it is tolerated_px * range / (focal_px * speed), the time in which a
    point at that range moves by tolerated_px across the image. Without a calibrated reference, and for sensors
    that params do not name, the batch's own max_time_offset_s holds.
    """
    claimed = batch.sensors[sensor].max_time_offset_s
    pair = settings.pairs.get(sensor)
    if pair is None:
        return claimed
    if pair.tolerance_s is not None:
        return pair.tolerance_s
    calibration = batch.sensors[batch.info.reference].calibration
    focal = calibration.intrinsics[0, 0] if calibration else 0.0
    if pair.tolerated_px is None or pair.range_m is None or pair.speed_m_s is None or focal <= 0:
        return claimed
    return float(pair.tolerated_px * pair.range_m / (focal * pair.speed_m_s))


def tolerance_remarks(batch: Batch, settings: TimeChecks) -> list[str]:
    """What params say of tolerances that cannot be done, one line each."""
    remarks = []
    calibration = batch.sensors[batch.info.reference].calibration
    for name, pair in sorted(settings.pairs.items()):
        if name not in batch.sensors:
            remarks.append(f"params.yaml: validate.time.pairs names {name!r}, which is no sensor of the batch")
        elif pair.tolerance_s is None and (calibration is None or calibration.intrinsics[0, 0] <= 0):
            remarks.append(f"{name}: the tolerance in pixels needs a calibrated reference; max_time_offset_s holds")
    return remarks


def clock(offset_s: NDArray[np.float64], time_s: NDArray[np.float64], sequence: NDArray[np.int64]) -> Clock:
    """Offset, drift and jitter of a sensor's clock.

    Args:
        offset_s: (N,) sensor time less reference time, NaN where either is absent.
        time_s: (N,) reference time.
        sequence: (N,) number of each frame's sequence; drift is measured within sequences.
    """
    known = np.isfinite(offset_s) & np.isfinite(time_s)
    offset, time, group = offset_s[known], time_s[known], sequence[known]
    if not len(offset):
        return Clock(np.nan, np.nan, np.nan, np.nan)
    middle = float(np.median(offset))
    if len(offset) < _DRIFT_MIN_FRAMES:
        return Clock(middle, np.nan, np.nan, np.nan)
    frame = pd.DataFrame({"offset": offset, "time": time, "group": group})
    middles = frame.groupby("group")[["offset", "time"]].transform("median")
    dx, dy = (frame.time - middles.time).to_numpy(), (frame.offset - middles.offset).to_numpy()
    slope = _robust_slope(dx, dy)
    rest = dy - slope * dx
    jitter = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    span = float(frame.groupby("group").time.agg(lambda t: t.max() - t.min()).max())
    return Clock(middle, slope, slope * span, jitter)


def _robust_slope(x: NDArray[np.float64], y: NDArray[np.float64], rounds: int = 5) -> float:
    """Slope of y over x through the origin by least squares, outliers beyond 3 sigma left out."""
    keep = np.ones(len(x), bool)
    slope = 0.0
    for _ in range(rounds):
        spread = float(x[keep] @ x[keep])
        if spread <= 0:
            return np.nan
        slope = float(x[keep] @ y[keep]) / spread
        rest = np.abs(y - slope * x)
        sigma = 1.4826 * float(np.median(rest[keep]))
        keep = rest <= max(3 * sigma, STAMP_SLACK_S)
        if keep.sum() < 3:
            break
    return slope


def time_measures(
    batch: Batch, sensor: str, settings: TimeChecks, order: NDArray[np.int64], sequence: NDArray[np.int64]
) -> pd.DataFrame:
    """Time columns of the pair (reference, sensor), one row per frame in the given order.

    Args:
        order: (N,) rows of batch.frames, sequence by sequence.
        sequence: (N,) number of the sequence of each of them.

    Returns:
        time_offset_s, time_tolerance_s, time_step_s (see `steps_s`; zero is a duplicate, less than zero is out of
        order); the same in every row: clock_offset_share, clock_drift_share
        (gained over the longest sequence) and clock_jitter_share (one standard deviation) of the tolerance, and
        time_unit (0 seconds, 1 something else).
    """
    stamps = batch.frames[f"{sensor}_time"].to_numpy(float)[order]
    reference = batch.frames[f"{batch.info.reference}_time"].to_numpy(float)[order]
    offset = stamps - reference
    steps = steps_s(stamps, sequence)
    state = clock(offset, reference, sequence)
    tolerance = tolerance_s(batch, sensor, settings) + STAMP_SLACK_S
    return pd.DataFrame(
        {
            "time_offset_s": offset,
            "time_tolerance_s": tolerance,
            "time_step_s": steps,
            "clock_offset_share": abs(state.offset_s) / tolerance,
            "clock_drift_share": abs(state.drift_span_s) / tolerance,
            "clock_jitter_share": state.jitter_s / tolerance,
            "time_unit": float(_other_unit(stamps, steps)),
        }
    )


def steps_s(stamps: NDArray[np.float64], sequence: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) time since the sensor's frame before in the same sequence; NaN for the first and for absent frames.

    Not above zero where a frame is out of order: see `in_order_steps`.
    """
    frame = pd.DataFrame({"t": stamps, "g": sequence}).dropna()
    steps = np.full(len(stamps), np.nan)
    forward = frame.groupby("g").t.diff()
    period = float(forward[forward > 0].median())
    for _, times in frame.groupby("g").t:
        steps[times.index.to_numpy()] = in_order_steps(times.to_numpy(), 0.0 if np.isnan(period) else period)
    return steps


def _other_unit(stamps: NDArray[np.float64], steps: NDArray[np.float64]) -> bool:
    """Whether stamps cannot be seconds: too large for a date, or frames of one sequence many days apart."""
    known, gaps = np.abs(stamps[np.isfinite(stamps)]), np.abs(steps[np.isfinite(steps)])
    return bool(
        (len(known) and np.median(known) > _SECONDS_LIMIT) or (len(gaps) and np.median(gaps) > _INTERVAL_LIMIT_S)
    )
