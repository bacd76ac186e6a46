"""Time: the tolerance is physical, clocks say their offset, drift and jitter, and only the stamps matter."""

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
    clock,
    steps_s,
    time_measures,
    tolerance_remarks,
    tolerance_s,
)
from sensorproof.data.batch import Batch
from sensorproof.settings import PairTime, TimeChecks


def stamped(offsets: np.ndarray, sequences: int = 1) -> Batch:
    """A batch whose sensor `other` is off by these seconds."""
    batch = make_batch(len(offsets), sequences)
    return replace(batch, frames=batch.frames.assign(other_time=batch.frames.camera_time + offsets))


def measured(batch: Batch, time: TimeChecks | None = None) -> pd.DataFrame:
    return time_measures(batch, "other", time or checks().time, *in_order(batch))


def test_the_tolerance_is_the_time_in_which_a_point_moves_so_far() -> None:
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


def test_a_clock_says_its_offset_drift_and_jitter() -> None:
    rng, time = np.random.default_rng(0), np.arange(400) / 2
    offset = 0.010 + 2e-5 * time + rng.normal(0, 0.0004, 400)
    found = clock(offset, time, np.zeros(400, np.int64))
    assert found.offset_s == pytest.approx(np.median(offset))
    assert found.drift == pytest.approx(2e-5, rel=0.05)
    assert found.drift_span_s == pytest.approx(2e-5 * 199.5, rel=0.05)
    assert found.jitter_s == pytest.approx(0.0004, rel=0.15)


def test_single_stamps_do_not_pass_for_drift() -> None:
    time = np.arange(100) / 2
    offset = np.full(100, 0.004)
    offset[-3:] = 0.5
    assert clock(offset, time, np.zeros(100, np.int64)).drift_span_s == pytest.approx(0, abs=1e-6)


def test_clocks_are_compared_within_sequences() -> None:
    """A step between two drives is no drift."""
    offset = np.repeat([0.002, 0.008], 20)
    assert clock(offset, np.arange(40.0), np.repeat([0, 1], 20)).drift_span_s == pytest.approx(0, abs=1e-9)


def test_too_few_frames_tell_no_drift() -> None:
    found = clock(np.full(5, 0.001), np.arange(5.0), np.zeros(5, np.int64))
    assert (found.offset_s, np.isnan(found.drift), np.isnan(found.jitter_s)) == (0.001, True, True)
    nothing = np.full(9, np.nan)
    assert np.isnan(clock(nothing, np.arange(9.0), np.zeros(9, np.int64)).offset_s)


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


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_frame_that_jumps_ahead_is_at_fault_and_not_the_sound_one_after_it(place: int) -> None:
    times = np.arange(6.0)
    times[place] += 100
    steps = steps_s(times, np.zeros(6, np.int64))
    assert np.flatnonzero(steps <= 0).tolist() == [place]


@pytest.mark.parametrize(
    ("times", "at_fault"),
    [
        ([0, 1, 2, 3, 4, 3.5], [5]),
        ([0, 1, 3.5, 3, 4, 5], [2]),
        ([0, 1, 102, 103, 4, 5], [2, 3]),
        ([50, 51, 2, 3, 4, 5], [0, 1]),
        ([0, 1, 1, 1, 4, 5], [2, 3]),
        ([5, 4, 3, 2, 1, 0], None),
    ],
)
def test_the_fewest_and_oddest_stamps_are_at_fault(times: list[float], at_fault: list[int] | None) -> None:
    steps = steps_s(np.array(times, float), np.zeros(6, np.int64))
    found = np.flatnonzero(steps <= 0).tolist()
    assert len(found) == 5 if at_fault is None else found == at_fault


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_without_the_frames_at_fault_time_goes_on(stamps: list[int]) -> None:
    times = np.array(stamps, float)
    steps = steps_s(times, np.zeros(len(times), np.int64))
    rest = times[~(steps <= 0)]
    assert (np.diff(rest) > 0).all()
    assert np.isnan(steps).sum() == 1
    if (np.diff(times) > 0).all():
        assert not (steps <= 0).any()


@pytest.mark.parametrize("place", [1, 3, 5])
def test_a_frame_that_falls_behind_is_at_fault_itself(place: int) -> None:
    times = np.arange(6.0)
    times[place] -= 2.5
    assert np.flatnonzero(steps_s(times, np.zeros(6, np.int64)) <= 0).tolist() == [place]


def test_tolerances_that_cannot_be_done_are_said() -> None:
    pairs = {
        "lidr": PairTime(tolerance_s=0.01),
        "other": PairTime(tolerated_px=1, range_m=10, speed_m_s=5),
    }
    batch, asked = make_batch(3), checks().time.model_copy(update={"pairs": pairs})
    assert [r for r in tolerance_remarks(batch, asked) if "'lidr'" in r and "no sensor" in r]
    bare = make_batch(3, camera={"calibration": None})
    assert any(remark.startswith("other: ") for remark in tolerance_remarks(bare, asked))
    assert not any(remark.startswith("other: ") for remark in tolerance_remarks(batch, asked))


@pytest.mark.parametrize("unit", [1e9, 1e6, 1e3])
def test_another_unit_is_told(unit: float) -> None:
    batch = make_batch(12)
    columns = {f"{s}_time": batch.frames[f"{s}_time"] * unit for s in batch.sensors}
    assert (measured(replace(batch, frames=batch.frames.assign(**columns))).time_unit == 1).all()
    assert (measured(batch).time_unit == 0).all()


def test_relative_nanoseconds_are_told_by_their_steps() -> None:
    batch = make_batch(12)
    columns = {f"{s}_time": (batch.frames[f"{s}_time"] - START) * 1e9 for s in batch.sensors}
    assert (measured(replace(batch, frames=batch.frames.assign(**columns))).time_unit == 1).all()


@given(st.lists(st.floats(-0.05, 0.05), min_size=10, max_size=40), st.integers(-10_000, 10_000))
@limits(max_examples=40, deadline=None)
def test_only_differences_of_stamps_matter(offsets: list[float], later: int) -> None:
    batch = stamped(np.array(offsets))
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
    """Every frame is measured against its own reference, whatever lies between them in the file."""
    offsets = np.linspace(-0.01, 0.02, 12)
    batch = stamped(offsets, 3)
    shuffled = replace(batch, frames=batch.frames.iloc[sorted(order, key=lambda k: k % 3)].reset_index(drop=True))
    rows, _ = in_order(shuffled)
    found = dict(zip(shuffled.frames.frame_id.iloc[rows], measured(shuffled).time_offset_s, strict=True))
    for frame, offset in zip(batch.frames.frame_id, offsets, strict=True):
        assert found[frame] == pytest.approx(offset, abs=1e-6)


def test_an_offset_of_exactly_the_tolerance_passes() -> None:
    table = measured(stamped(np.full(10, 0.02)))
    assert (table.time_offset_s.abs() <= table.time_tolerance_s).all()
    late = measured(stamped(np.full(10, 0.02 + 4 * STAMP_SLACK_S)))
    assert (late.time_offset_s.abs() > late.time_tolerance_s).all()
    assert late.clock_offset_share.iloc[0] > 1
