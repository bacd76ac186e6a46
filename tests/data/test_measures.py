"""Whole batches measured: sound ones raise no alarm, known faults are found, and nothing is lost."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_scenes import broken, checks, make_batch, make_frame, measured, read_made, set_aside
from sensorproof.alignment import fault_injection
from sensorproof.alignment.decision.rules import make_rules
from sensorproof.alignment.decision.verdict import FAULT_COLUMNS, pair_states
from sensorproof.alignment.frames import Frame
from sensorproof.alignment.measurement import BatchMeasurements
from sensorproof.data.batch import Batch

FRAMES = 36
ROWS = (5, 11, 17, 23, 29, 35)
IDS = {f"f{row:04d}" for row in ROWS}
NO_FAULT = pd.DataFrame(columns=FAULT_COLUMNS)


@pytest.fixture(scope="module")
def sound() -> BatchMeasurements:
    return measured(make_batch(FRAMES, 2))


def faulty(
    change: fault_injection.Change, rows: tuple[int, ...] = ROWS, sensors: tuple[str, ...] = ("other",)
) -> pd.DataFrame:
    """The table of a batch with a fault in some rows."""
    read = fault_injection.Faulty(frozenset(rows), frozenset(sensors), change, read_made)
    return measured(make_batch(FRAMES, 2), read).table


def test_a_sound_batch_raises_no_alarm(sound: BatchMeasurements) -> None:
    found = broken(sound.table)
    assert found.empty, found.to_string()
    assert {rig.state(checks().content) for rig in sound.rigs.values()} == {"aligned"}
    state = pair_states(sound.table, NO_FAULT, checks().content)
    assert (state[sound.table.sensor == "other"] == "aligned").mean() > 0.9
    assert (state[sound.table.sensor == "camera"] == "").all()


def test_every_rule_has_a_column_and_every_frame_a_row(sound: BatchMeasurements) -> None:
    columns = {r.column for r in make_rules(checks())} | {r.other for r in make_rules(checks()) if r.other}
    assert columns <= set(sound.table.columns)
    assert sound.table.groupby("sensor").frame_id.nunique().to_dict() == {"camera": 36, "other": 36, "label": 36}
    assert not sound.table.duplicated(["frame_id", "sensor"]).any()


@pytest.mark.parametrize("pixels", [3, 5, 10])
def test_shifted_frames_are_set_aside_and_no_others(pixels: int) -> None:
    table = faulty(fault_injection.moved(lambda row: fault_injection.shift(pixels, row)))
    assert set_aside(table, "other") == IDS
    assert not set_aside(table, "label")


def test_a_shift_well_below_critical_is_let_pass() -> None:
    assert not set_aside(faulty(fault_injection.moved(lambda row: fault_injection.shift(1, row))), "other")


@pytest.mark.parametrize("name", ["rotation", "scale"])
def test_rotated_and_scaled_frames_never_pass_as_aligned(name: str) -> None:
    """By 4 pixels at the corners: found, or said to be unmeasurable."""
    size = {"rotation": np.degrees(4 / 120), "scale": 100 * 4 / 120}[name]
    table = faulty(fault_injection.moved(lambda row: getattr(fault_injection, name)(size, row)))
    found = set_aside(table, "other")
    assert found <= IDS
    assert len(found) >= 3
    aside = table.assign(measure="corner_deviation_px")[table.frame_id.isin(found) & (table.sensor == "other")]
    state = pair_states(table, aside, checks().content)
    assert "aligned" not in set(state[table.frame_id.isin(IDS) & (table.sensor == "other")])


def test_a_shifted_label_is_set_aside() -> None:
    table = faulty(fault_injection.moved(lambda row: fault_injection.shift(4, row)), sensors=("label",))
    assert set_aside(table, "label") == IDS
    assert not set_aside(table, "other")


@pytest.mark.parametrize(
    "partner",
    [dict(zip(ROWS, (11, 5, 23, 17, 35, 29), strict=True)), dict(zip(ROWS, ROWS[3:] + ROWS[:3], strict=True))],
)
def test_swapped_frames_are_set_aside(partner: dict[int, int]) -> None:
    def change(batch: Batch, row: int, sensor: str, image: np.ndarray) -> np.ndarray:
        return make_frame(partner[row]).images[sensor]

    assert set_aside(faulty(change), "other") == IDS


def test_neighbours_that_are_swapped_are_told_from_their_own_frames() -> None:
    pairs = {7: 8, 8: 7, 25: 26, 26: 25}

    def change(batch: Batch, row: int, sensor: str, image: np.ndarray) -> np.ndarray:
        return make_frame(pairs[row]).images[sensor]

    table = faulty(change, rows=tuple(pairs))
    assert set(table[table.swapped == 1].frame_id) == {f"f{row:04d}" for row in pairs}
    assert set(table[table.swapped == 1].other_position) == set(pairs)


def test_frozen_frames_are_set_aside_and_a_standing_vehicle_is_not() -> None:
    def repeated(batch: Batch, row: int, sensor: str, image: np.ndarray) -> np.ndarray:
        return make_frame(row - 1).images[sensor]

    table = faulty(repeated)
    frozen = broken(table)
    assert set(frozen[(frozen.column == "image_change")].frame_id) == IDS

    def standing(batch: Batch, row: int) -> Frame:
        return replace(make_frame(0), row=row)

    still = measured(make_batch(12), standing).table
    assert "image_change" not in set(broken(still).column)


def test_blank_frames_are_set_aside() -> None:
    assert set_aside(faulty(fault_injection.blanked(9)), "other") == IDS
    assert set_aside(faulty(fault_injection.blanked(3)), "other") == IDS
    one = broken(faulty(fault_injection.blanked(1)))
    assert not set(one[(one.severity == "critical") & (one.scope == "frame")].column) & {"blank_excess", "contrast"}


@pytest.mark.parametrize(
    "change",
    [lambda: fault_injection.shift(3, 1), lambda: fault_injection.rotation(2, 1), lambda: fault_injection.scale(4, 0)],
)
def test_a_fault_of_the_rig_is_one_of_the_batch_not_of_its_frames(change: object) -> None:
    affine = change()  # type: ignore[operator]
    table = faulty(fault_injection.moved(lambda row: affine), rows=tuple(range(FRAMES)))
    found = broken(table)
    critical = found[found.severity == "critical"]
    assert set(critical[critical.scope == "batch"].column) == {"rig_corner_px"}
    assert set(critical[critical.scope == "batch"].sensor) == {"other"}
    put_in = fault_injection.corner_px(affine, (144, 192))
    assert table[table.sensor == "other"].rig_corner_px.iloc[0] == pytest.approx(put_in, abs=0.5)
    assert critical[critical.scope == "frame"].frame_id.nunique() <= 0.05 * FRAMES


def test_a_loose_mount_is_found_frame_by_frame_though_half_of_them_are_off() -> None:
    """Scatter must not widen its own limit until nothing is found."""
    rows = tuple(range(0, FRAMES, 3)) + tuple(range(1, FRAMES, 12))
    table = faulty(fault_injection.moved(lambda row: fault_injection.shift(6, row // 3)), rows=rows)
    assert set_aside(table, "other") >= {f"f{row:04d}" for row in rows}


def test_unmeasurable_pairs_abstain() -> None:
    """A sensor that shows noise: nothing is found wrong with where it lies, and nothing is said to be aligned."""

    def noise(batch: Batch, row: int, sensor: str, image: np.ndarray) -> np.ndarray:
        return np.random.default_rng(row).uniform(0, 250, image.shape).astype(np.float32)

    read = fault_injection.Faulty(frozenset(range(FRAMES)), frozenset({"other"}), noise, read_made)
    found = measured(make_batch(FRAMES, 2), read)
    assert found.rigs["other"].state(checks().content) == "unmeasurable"
    assert not set_aside(found.table, "other")
    assert set(pair_states(found.table, NO_FAULT, checks().content)[found.table.sensor == "other"]) == {"unmeasurable"}
    assert found.table.loc[found.table.sensor == "other", ["rig_limit_px", "corner_deviation_px"]].isna().all().all()


@pytest.mark.parametrize(
    ("added", "frames", "columns"),
    [
        (np.where(np.isin(np.arange(FRAMES), ROWS), 0.05, 0), IDS, set()),
        (np.full(FRAMES, 0.05), None, {"clock_offset_share"}),
        (np.linspace(0, 0.03, FRAMES), None, set()),
        (np.random.default_rng(0).normal(0, 0.02, FRAMES), None, set()),
    ],
)
def test_stamps_beyond_tolerance_are_found_all_of_them(
    added: np.ndarray, frames: set[str] | None, columns: set[str]
) -> None:
    batch = fault_injection.with_times(make_batch(FRAMES, 2), "other", added)
    found = broken(measured(batch, lambda b, row: Frame(row)).table)
    late = {f"f{k:04d}" for k in np.flatnonzero(np.abs(0.002 + added) > 0.02)}
    assert set(found[found.column == "time_offset_s"].frame_id) == (late if frames is None else frames)
    assert set(found[(found.scope == "batch") & (found.severity == "critical")].column) == columns


def test_drift_and_jitter_of_a_clock_are_worth_a_warning() -> None:
    batch = fault_injection.with_times(make_batch(FRAMES, 1), "other", np.linspace(0, 0.012, FRAMES))
    assert "clock_drift_share" in set(broken(measured(batch, lambda b, row: Frame(row)).table).column)
    noise = np.random.default_rng(0).normal(0, 0.018, FRAMES)
    batch = fault_injection.with_times(make_batch(FRAMES, 1), "other", noise)
    assert "clock_jitter_share" in set(broken(measured(batch, lambda b, row: Frame(row)).table).column)


def test_one_frame_is_measured_and_not_judged_against_itself() -> None:
    found = measured(make_batch(1))
    assert len(found.table) == 3
    assert broken(found.table).empty


def test_of_a_hundred_thousand_frames_none_is_lost() -> None:
    """Their times and calibration; every thousandth stamp is late."""
    batch = make_batch(100_000, 100)
    late = np.where(np.arange(100_000) % 1000 == 7, 0.05, 0)
    table = measured(fault_injection.with_times(batch, "other", late), lambda b, row: Frame(row)).table
    assert table.groupby("sensor").frame_id.nunique().to_dict() == {"camera": 100_000, "other": 100_000}
    assert not table.duplicated(["frame_id", "sensor"]).any()
    beyond = table[table.time_offset_s.abs() > table.time_tolerance_s]
    assert list(beyond.frame_id) == list(batch.frames.frame_id[late > 0])
    assert (table.rotation_error < 1e-9).all()


def test_the_order_of_interleaved_sequences_does_not_matter() -> None:
    batch = make_batch(16, 2)
    order = [k for pair in zip(range(8), range(8, 16), strict=True) for k in pair]
    mixed = replace(batch, frames=batch.frames.iloc[order].reset_index(drop=True))
    columns = ["frame_id", "sensor", "shift_y_px", "shift_x_px", "image_change", "time_step_s", "deviation_px"]
    one, other = (
        measured(b).table[columns].sort_values(["frame_id", "sensor"]).reset_index(drop=True) for b in (batch, mixed)
    )
    pd.testing.assert_frame_equal(one, other, check_exact=False, atol=1e-4)
