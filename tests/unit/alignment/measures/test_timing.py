"""Time: physical tolerances; offset, drift and jitter of clocks; only timestamps matter."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from helpers.synthetic_scenes import START, checks, make_batch
from sensorproof.alignment.frames import in_order
from sensorproof.alignment.measures.timing import (
    STAMP_SLACK_S,
    measure_clock,
    measure_time,
    tolerance_s,
    tolerance_warnings,
)
from sensorproof.data.batch import Batch
from sensorproof.settings import PairTime, TimeChecks


def batch_with_offsets(offsets: np.ndarray, sequences: int = 1) -> Batch:
    """A batch whose sensor `other` has these time offsets in seconds."""
    batch = make_batch(len(offsets), sequences)
    return replace(batch, frames=batch.frames.assign(other_time=batch.frames.camera_time + offsets))


def measured(batch: Batch) -> pd.DataFrame:
    """The time measures of the sensor `other`."""
    return measure_time(batch, "other", checks().time, *in_order(batch))


def test_the_tolerance_is_the_time_in_which_a_point_moves_by_the_tolerated_pixels() -> None:
    pair = PairTime(tolerated_px=2.0, range_m=10.0, speed_m_s=20.0)
    batch = make_batch(3)
    assert tolerance_s(batch, "other", TimeChecks(pairs={"other": pair}, warn=0.5)) == pytest.approx(
        2 * 10 / (150 * 20)
    )
    fixed = TimeChecks(pairs={"other": PairTime(tolerance_s=0.5)}, warn=0.5)
    assert tolerance_s(batch, "other", fixed) == 0.5
    assert tolerance_s(batch, "other", checks().time) == 0.02
    uncalibrated = make_batch(3, camera={"calibration": None})
    assert tolerance_s(uncalibrated, "other", TimeChecks(pairs={"other": pair}, warn=0.5)) == 0.02


def test_offset_drift_and_jitter_of_a_clock_are_measured() -> None:
    rng, time = np.random.default_rng(0), np.arange(400) / 2
    offset = 0.010 + 2e-5 * time + rng.normal(0, 0.0004, 400)
    clock = measure_clock(offset, time, np.zeros(400, np.int64))
    assert clock.offset_s == pytest.approx(np.median(offset))
    assert clock.drift == pytest.approx(2e-5, rel=0.05)
    assert clock.drift_span_s == pytest.approx(2e-5 * 199.5, rel=0.05)
    assert clock.jitter_s == pytest.approx(0.0004, rel=0.15)


def test_single_timestamps_are_no_drift() -> None:
    time = np.arange(100) / 2
    offset = np.full(100, 0.004)
    offset[-3:] = 0.5
    assert measure_clock(offset, time, np.zeros(100, np.int64)).drift_span_s == pytest.approx(0, abs=1e-6)


def test_drift_is_measured_within_sequences() -> None:
    """A step between two sequences is no drift."""
    offset = np.repeat([0.002, 0.008], 20)
    assert measure_clock(offset, np.arange(40.0), np.repeat([0, 1], 20)).drift_span_s == pytest.approx(0, abs=1e-9)


def test_too_few_frames_give_no_drift() -> None:
    clock = measure_clock(np.full(5, 0.001), np.arange(5.0), np.zeros(5, np.int64))
    assert (clock.offset_s, np.isnan(clock.drift), np.isnan(clock.jitter_s)) == (0.001, True, True)
    absent = np.full(9, np.nan)
    assert np.isnan(measure_clock(absent, np.arange(9.0), np.zeros(9, np.int64)).offset_s)


def test_steps_show_duplicates_and_times_that_go_backwards() -> None:
    batch = make_batch(12, 2)
    times = batch.frames.other_time.copy()
    times[1], times[9] = times[0], times[8] - 1
    table = measured(replace(batch, frames=batch.frames.assign(other_time=times)))
    steps = table.time_step_s.to_numpy()
    assert np.isnan(steps[[0, 6]]).all()
    assert steps[1] == 0
    assert steps[9] == pytest.approx(-1)
    assert (np.delete(steps, [0, 1, 6, 9]) > 0).all()


def test_tolerances_without_effect_are_warnings() -> None:
    pairs = {
        "lidr": PairTime(tolerance_s=0.01),
        "other": PairTime(tolerated_px=1, range_m=10, speed_m_s=5),
    }
    batch, time = make_batch(3), checks().time.model_copy(update={"pairs": pairs})
    unknown = "params.yaml: validation.time.pairs names 'lidr', which is not a sensor of the batch"
    assert tolerance_warnings(batch, time) == [unknown]
    uncalibrated = make_batch(3, camera={"calibration": None})
    needs_calibration = "other: a tolerance in pixels needs a calibrated reference; max_time_offset_s is used"
    assert tolerance_warnings(uncalibrated, time) == [unknown, needs_calibration]


@pytest.mark.parametrize("unit", [1e9, 1e6, 1e3])
def test_another_unit_is_recognised(unit: float) -> None:
    batch = make_batch(12)
    columns = {f"{s}_time": batch.frames[f"{s}_time"] * unit for s in batch.sensors}
    assert (measured(replace(batch, frames=batch.frames.assign(**columns))).time_unit == 1).all()
    assert (measured(batch).time_unit == 0).all()


def test_relative_nanoseconds_are_recognised_by_their_steps() -> None:
    batch = make_batch(12)
    columns = {f"{s}_time": (batch.frames[f"{s}_time"] - START) * 1e9 for s in batch.sensors}
    assert (measured(replace(batch, frames=batch.frames.assign(**columns))).time_unit == 1).all()


@given(st.lists(st.floats(-0.05, 0.05), min_size=10, max_size=40), st.integers(-10_000, 10_000))
@limits(max_examples=40, deadline=None)
def test_only_differences_of_timestamps_matter(offsets: list[float], later: int) -> None:
    batch = batch_with_offsets(np.array(offsets))
    moved = replace(
        batch,
        frames=batch.frames.assign(
            camera_time=batch.frames.camera_time + later, other_time=batch.frames.other_time + later
        ),
    )
    pd.testing.assert_frame_equal(measured(batch), measured(moved), check_exact=False, atol=2e-5)


@given(st.permutations(range(12)))
@limits(max_examples=25, deadline=None)
def test_the_order_of_the_rows_of_other_sequences_does_not_matter(order: list[int]) -> None:
    """Every frame is compared with its own reference, whatever lies between them in the file."""
    offsets = np.linspace(-0.01, 0.02, 12)
    batch = batch_with_offsets(offsets, 3)
    shuffled = replace(batch, frames=batch.frames.iloc[sorted(order, key=lambda k: k % 3)].reset_index(drop=True))
    rows, _ = in_order(shuffled)
    by_id = dict(zip(shuffled.frames.frame_id.iloc[rows], measured(shuffled).time_offset_s, strict=True))
    for frame, offset in zip(batch.frames.frame_id, offsets, strict=True):
        assert by_id[frame] == pytest.approx(offset, abs=1e-6)


def test_an_offset_of_exactly_the_tolerance_passes() -> None:
    table = measured(batch_with_offsets(np.full(10, 0.02)))
    assert (table.time_offset_s.abs() <= table.time_tolerance_s).all()
    late = measured(batch_with_offsets(np.full(10, 0.02 + 4 * STAMP_SLACK_S)))
    assert (late.time_offset_s.abs() > late.time_tolerance_s).all()
    assert late.clock_offset_share.iloc[0] > 1
