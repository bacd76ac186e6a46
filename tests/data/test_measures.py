"""Whole batches measured: no false alarms, known faults are found, and no frame is left out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_scenes import (
    SIZE,
    broken_rules,
    checks,
    make_batch,
    make_frame,
    measured,
    quarantined_frames,
    read_synthetic,
)
from sensorproof.alignment import fault_injection
from sensorproof.alignment.decision.findings import FAULT_COLUMNS
from sensorproof.alignment.decision.pair_states import pair_states
from sensorproof.alignment.frames import RawFrame
from sensorproof.alignment.measurement import BatchMeasurements
from sensorproof.data.batch import Batch

FRAMES = 36
ROWS = (5, 11, 17, 23, 29, 35)
IDS = {f"f{row:04d}" for row in ROWS}
NO_FAULT = pd.DataFrame(columns=FAULT_COLUMNS)


@pytest.fixture(scope="module")
def fault_free() -> BatchMeasurements:
    return measured(make_batch(FRAMES, 2))


def faulty_table(
    change: fault_injection.Change, rows: tuple[int, ...] = ROWS, sensors: tuple[str, ...] = ("other",)
) -> pd.DataFrame:
    """The measures of a batch with a fault in some rows and sensors."""
    read = fault_injection.FaultyReader(frozenset(rows), frozenset(sensors), change, read_synthetic)
    return measured(make_batch(FRAMES, 2), read).table


def without_images(batch: Batch, row: int) -> RawFrame:
    """A reader of frames of which only times and calibration are measured."""
    return RawFrame(row)


def test_a_fault_free_batch_has_no_false_alarm(fault_free: BatchMeasurements) -> None:
    broken = broken_rules(fault_free.table)
    assert broken.empty, broken.to_string()
    assert {rig.state(checks().content) for rig in fault_free.rigs.values()} == {"aligned"}
    state = pair_states(fault_free.table, NO_FAULT, checks().content)
    assert (state[fault_free.table.sensor == "other"] == "aligned").mean() > 0.9
    assert (state[fault_free.table.sensor == "camera"] == "").all()


def test_every_frame_has_one_row_per_sensor_and_label(fault_free: BatchMeasurements) -> None:
    assert fault_free.table.groupby("sensor").frame_id.nunique().to_dict() == {"camera": 36, "other": 36, "label": 36}
    assert not fault_free.table.duplicated(["frame_id", "sensor"]).any()


@pytest.mark.parametrize("pixels", [3, 5, 10])
def test_shifted_frames_are_quarantined_and_no_others(pixels: int) -> None:
    table = faulty_table(fault_injection.displace(lambda row: fault_injection.shift(pixels, row)))
    assert quarantined_frames(table, "other") == IDS
    assert not quarantined_frames(table, "label")


def test_a_shift_well_below_the_critical_one_passes() -> None:
    assert not quarantined_frames(
        faulty_table(fault_injection.displace(lambda row: fault_injection.shift(1, row))), "other"
    )


@pytest.mark.parametrize("name", ["rotation", "scale"])
def test_rotated_and_scaled_frames_never_pass_as_aligned(name: str) -> None:
    """Displaced by 4 pixels at the corners, they are found or unmeasurable."""
    size = {"rotation": np.degrees(4 / 120), "scale": 100 * 4 / 120}[name]
    table = faulty_table(fault_injection.displace(lambda row: getattr(fault_injection, name)(size, row)))
    quarantined = quarantined_frames(table, "other")
    assert quarantined <= IDS
    assert len(quarantined) >= 3
    at_fault = table.frame_id.isin(quarantined) & (table.sensor == "other")
    state = pair_states(table, table.assign(measure="corner_deviation_px")[at_fault], checks().content)
    assert "aligned" not in set(state[table.frame_id.isin(IDS) & (table.sensor == "other")])


def test_a_shifted_label_is_quarantined() -> None:
    table = faulty_table(fault_injection.displace(lambda row: fault_injection.shift(4, row)), sensors=("label",))
    assert quarantined_frames(table, "label") == IDS
    assert not quarantined_frames(table, "other")


@pytest.mark.parametrize(
    "partner",
    [dict(zip(ROWS, (11, 5, 23, 17, 35, 29), strict=True)), dict(zip(ROWS, ROWS[3:] + ROWS[:3], strict=True))],
)
def test_swapped_frames_are_quarantined(partner: dict[int, int]) -> None:
    def change(batch: Batch, row: int, sensor: str, image: np.ndarray) -> np.ndarray:
        return make_frame(partner[row]).images[sensor]

    assert quarantined_frames(faulty_table(change), "other") == IDS


def test_swapped_neighbours_are_found() -> None:
    pairs = {7: 8, 8: 7, 25: 26, 26: 25}

    def change(batch: Batch, row: int, sensor: str, image: np.ndarray) -> np.ndarray:
        return make_frame(pairs[row]).images[sensor]

    table = faulty_table(change, rows=tuple(pairs))
    assert set(table[table.swapped == 1].frame_id) == {f"f{row:04d}" for row in pairs}
    assert set(table[table.swapped == 1].other_position) == set(pairs)


def test_frozen_frames_are_found_and_a_standing_vehicle_is_no_fault() -> None:
    def previous(batch: Batch, row: int, sensor: str, image: np.ndarray) -> np.ndarray:
        return make_frame(row - 1).images[sensor]

    broken = broken_rules(faulty_table(previous))
    assert set(broken[broken.column == "image_change"].frame_id) == IDS

    def standing(batch: Batch, row: int) -> RawFrame:
        return replace(make_frame(0), row=row)

    still = measured(make_batch(12), standing).table
    assert "image_change" not in set(broken_rules(still).column)


def test_blank_frames_are_quarantined() -> None:
    assert quarantined_frames(faulty_table(fault_injection.blank_tiles(9)), "other") == IDS
    assert quarantined_frames(faulty_table(fault_injection.blank_tiles(3)), "other") == IDS
    broken = broken_rules(faulty_table(fault_injection.blank_tiles(1)))
    critical = broken[(broken.severity == "critical") & (broken.scope == "frame")]
    assert not set(critical.column) & {"blank_excess", "contrast"}


@pytest.mark.parametrize(
    "affine", [fault_injection.shift(3, 1), fault_injection.rotation(2, 1), fault_injection.scale(4, 0)]
)
def test_a_fault_of_the_rig_is_a_fault_of_the_batch_not_of_its_frames(affine: np.ndarray) -> None:
    table = faulty_table(fault_injection.displace(lambda row: affine), rows=tuple(range(FRAMES)))
    broken = broken_rules(table)
    critical = broken[broken.severity == "critical"]
    assert set(critical[critical.scope == "batch"].column) == {"rig_corner_px"}
    assert set(critical[critical.scope == "batch"].sensor) == {"other"}
    injected = fault_injection.corner_px(affine, SIZE)
    assert table[table.sensor == "other"].rig_corner_px.iloc[0] == pytest.approx(injected, abs=0.5)
    assert critical[critical.scope == "frame"].frame_id.nunique() <= 0.05 * FRAMES


def test_the_frames_of_a_loose_mount_are_found_though_half_of_them_are_displaced() -> None:
    """The scatter must not widen its own limit until nothing is found."""
    rows = tuple(range(0, FRAMES, 3)) + tuple(range(1, FRAMES, 12))
    table = faulty_table(fault_injection.displace(lambda row: fault_injection.shift(6, row // 3)), rows=rows)
    assert quarantined_frames(table, "other") >= {f"f{row:04d}" for row in rows}


def test_unmeasurable_pairs_abstain() -> None:
    """A sensor that shows noise is neither displaced nor aligned."""

    def noise(batch: Batch, row: int, sensor: str, image: np.ndarray) -> np.ndarray:
        return np.random.default_rng(row).uniform(0, 250, image.shape).astype(np.float32)

    read = fault_injection.FaultyReader(frozenset(range(FRAMES)), frozenset({"other"}), noise, read_synthetic)
    measurements = measured(make_batch(FRAMES, 2), read)
    table, is_other = measurements.table, measurements.table.sensor == "other"
    assert measurements.rigs["other"].state(checks().content) == "unmeasurable"
    assert not quarantined_frames(table, "other")
    assert set(pair_states(table, NO_FAULT, checks().content)[is_other]) == {"unmeasurable"}
    assert table.loc[is_other, ["rig_limit_px", "corner_deviation_px"]].isna().all().all()


@pytest.mark.parametrize(
    ("added", "frames", "columns"),
    [
        (np.where(np.isin(np.arange(FRAMES), ROWS), 0.05, 0), IDS, set()),
        (np.full(FRAMES, 0.05), None, {"clock_offset_share"}),
        (np.linspace(0, 0.03, FRAMES), None, set()),
        (np.random.default_rng(0).normal(0, 0.02, FRAMES), None, set()),
    ],
)
def test_all_timestamps_beyond_the_tolerance_are_found(
    added: np.ndarray, frames: set[str] | None, columns: set[str]
) -> None:
    batch = fault_injection.add_to_timestamps(make_batch(FRAMES, 2), "other", added)
    broken = broken_rules(measured(batch, without_images).table)
    late = {f"f{k:04d}" for k in np.flatnonzero(np.abs(0.002 + added) > 0.02)}
    assert set(broken[broken.column == "time_offset_s"].frame_id) == (late if frames is None else frames)
    assert set(broken[(broken.scope == "batch") & (broken.severity == "critical")].column) == columns


def test_drift_and_jitter_of_a_clock_are_warnings() -> None:
    batch = fault_injection.add_to_timestamps(make_batch(FRAMES, 1), "other", np.linspace(0, 0.012, FRAMES))
    assert "clock_drift_share" in set(broken_rules(measured(batch, without_images).table).column)
    noise = np.random.default_rng(0).normal(0, 0.018, FRAMES)
    batch = fault_injection.add_to_timestamps(make_batch(FRAMES, 1), "other", noise)
    assert "clock_jitter_share" in set(broken_rules(measured(batch, without_images).table).column)


def test_a_single_frame_is_measured_and_not_compared_with_itself() -> None:
    table = measured(make_batch(1)).table
    assert len(table) == 3
    assert broken_rules(table).empty


def test_a_hundred_thousand_frames_all_have_their_rows() -> None:
    """Without images; every thousandth timestamp is late."""
    batch = make_batch(100_000, 100)
    late = np.where(np.arange(100_000) % 1000 == 7, 0.05, 0)
    table = measured(fault_injection.add_to_timestamps(batch, "other", late), without_images).table
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
    tables = [
        measured(b).table[columns].sort_values(["frame_id", "sensor"]).reset_index(drop=True) for b in (batch, mixed)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=False, atol=1e-4)
