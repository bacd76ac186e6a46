"""Detection and false alarms: known faults are put into a fault-free batch, which is then judged like any other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment import fault_injection
from sensorproof.alignment.decision.verdict import BatchVerdict
from sensorproof.alignment.frames import RawFrame, Reader, in_order, read_frame
from sensorproof.alignment.measurement import measure_batch
from sensorproof.alignment.measures.timing import STAMP_SLACK_S, tolerance_s
from sensorproof.alignment.pairs.rig import Rig
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_table import LABEL
from sensorproof.settings import ValidationSettings, load_settings
from sensorproof.validation import assess

_EVERY = 6
"""Every sixth frame gets the fault, because most frames of a real batch are fault-free."""
_RIG_FRAMES = 60
"""Frames with which faults of the rig are measured."""
RIG = "of the rig"
"""Ends the names of faults that are the same in all frames."""
_Rows = NDArray[np.int64]
"""(n,) rows of frames.csv."""


@dataclass(frozen=True)
class _Fault:
    """A fault of images."""

    name: str
    size: str
    change: Callable[[Batch, _Rows], fault_injection.Change]
    """(batch, rows at fault) -> the change of an image."""
    affine: Callable[[int], fault_injection.Affine] | None = None
    """Row -> the map of its image, for faults that displace it."""
    always_critical: bool = False
    """Critical at any size of the image."""
    single_sensor: bool = False
    """Found in the sensor's own images: the pair need not be measurable."""
    labels: bool = True
    """Whether labels can have it."""


@dataclass(frozen=True)
class Outcome:
    """One fault in one pair."""

    batch: str
    fault: str
    size: str
    sensor: str
    corner_px: float | None
    """Displacement of a corner by the fault; None for faults that do not displace the image."""
    critical: bool
    """Whether it must be found."""
    frames: int
    """Frames with the fault; 1 for a fault of the whole rig or clock."""
    measurable: int
    """Frames with the fault whose images are aligned without it; all frames for faults of time or of one sensor."""
    abstained: int
    """Measurable frames that the fault makes unmeasurable."""
    found: int
    """Measurable frames that are quarantined, alone or with the batch."""
    fault_free: int
    """Frames without the fault; none for a fault of the whole rig."""
    false_alarms: int
    """Fault-free frames that are quarantined."""
    error_px: float | None
    """90th percentile of the error of the measured shift; for the rig, the error of its corner displacement."""


class ValidatedBatch:
    """A batch that was measured and judged.

    Args:
        batch: the batch.
        settings: the section validation.
        read: how a frame is read.
    """

    def __init__(self, batch: Batch, settings: ValidationSettings, read: Reader = read_frame) -> None:
        measurements = measure_batch(batch, settings, read)
        self.verdict: BatchVerdict = assess(measurements, settings)[0]
        self.rigs: dict[str, Rig] = measurements.rigs
        self.table: pd.DataFrame = measurements.table
        self.quarantined = set(zip(self.verdict.faults.sensor, self.verdict.faults.frame_id, strict=True))
        """(sensor, frame id)."""

    def rows_of(self, sensor: str) -> pd.DataFrame:
        """Return the rows of one sensor by frame id."""
        return self.table[self.table.sensor == sensor].set_index("frame_id")


def _image_faults() -> Iterator[_Fault]:
    """Yield shifts, scales, rotations, and swapped, frozen and blank images."""
    for pixels in (1, 2, 3, 5, 10):
        yield _displacement("shift", f"{pixels} px", partial(fault_injection.shift, float(pixels)))
    for percent in (0.5, 1.0, 3.0):
        yield _displacement("scale", f"{percent:g} %", partial(fault_injection.scale, percent))
    for degrees in (0.5, 1.0, 2.0):
        yield _displacement("rotation", f"{degrees:g} deg", partial(fault_injection.rotation, degrees))
    show = fault_injection.show_other_rows
    yield _Fault("swapped", "next frame", lambda b, rows: show(_exchanged(rows)), always_critical=True)
    yield _Fault("swapped", "far frame", lambda b, rows: show(_rotated(rows)), always_critical=True)
    yield _Fault("frozen", "", lambda b, rows: show(_previous(b, rows)), always_critical=True, single_sensor=True)
    for tiles in (1, 3, 9):
        change = partial(_regardless_of_rows, fault_injection.blank_tiles(tiles))
        yield _Fault(
            "blank tiles", f"{tiles} of 9", change, always_critical=tiles == 9, single_sensor=True, labels=False
        )


def _regardless_of_rows(change: fault_injection.Change, batch: Batch, rows: _Rows) -> fault_injection.Change:
    """Return the same change for any rows."""
    return change


def _displacement(name: str, size: str, affine: Callable[[int], fault_injection.Affine]) -> _Fault:
    """Return a fault that displaces images."""
    return _Fault(name, size, partial(_regardless_of_rows, fault_injection.displace(affine)), affine)


def _no_fault(name: str, size: str) -> _Fault:
    """Return a fault that leaves images as they are."""
    unchanged = partial(_regardless_of_rows, fault_injection.blank_tiles(0))
    return _Fault(name, size, unchanged)


def _exchanged(rows: _Rows) -> dict[int, int]:
    """Return each row's partner: rows two by two take each other's image."""
    first = {int(a): int(b) for a, b in rows.reshape(-1, 2)}
    return first | {b: a for a, b in first.items()}


def _rotated(rows: _Rows) -> dict[int, int]:
    """Return each row's partner: the one that is half of the rows further."""
    return dict(zip(rows.tolist(), np.roll(rows, len(rows) // 2).tolist(), strict=True))


def _previous(batch: Batch, rows: _Rows) -> dict[int, int]:
    """Return each row's partner: the row before it in its sequence."""
    order, _ = in_order(batch)
    position = {int(row): k for k, row in enumerate(order)}
    return {int(row): int(order[position[int(row)] - 1]) for row in rows}


def _rows_at_fault(batch: Batch, fault: _Fault) -> _Rows:
    """Return every sixth row that has a previous one; for exchanged neighbours, two of every twelve."""
    order, sequence = in_order(batch)
    with_previous = np.flatnonzero(np.diff(sequence, prepend=-1) == 0)
    if fault.size == "next frame":
        second = with_previous[with_previous % (2 * _EVERY) == 1]
        return np.stack([order[second - 1], order[second]], 1).ravel().astype(np.int64)
    return order[with_previous[with_previous % _EVERY == _EVERY - 1]].astype(np.int64)


def _evaluate(
    faulty: ValidatedBatch,
    clean: ValidatedBatch,
    batch: Batch,
    fault: _Fault,
    sensor: str,
    rows: _Rows,
    critical_px: float,
) -> Outcome:
    """Compare one sensor's frames in a batch with a fault and in the same batch without it.

    Args:
        faulty: with the fault.
        clean: without it.
        batch: the batch.
        fault: its size and kind.
        sensor: its name, or LABEL.
        rows: with the fault.
        critical_px: displacement of a corner that must be found.
    """
    own, own_clean = faulty.rows_of(sensor), clean.rows_of(sensor)
    present = own.index[own.present == 1]
    ids = pd.Index(batch.frames.frame_id.iloc[rows]).intersection(present)
    measurable = ids if fault.single_sensor else ids[(own_clean.state.reindex(ids) == "aligned").to_numpy()]
    found = [i for i in measurable if (sensor, i) in faulty.quarantined]
    abstained = [i for i in measurable if (sensor, i) not in faulty.quarantined and own.state[i] == "unmeasurable"]
    corner = _corner_of(fault, own)
    fault_free = present.difference(ids)
    return Outcome(
        batch=batch.name,
        fault=fault.name,
        size=fault.size,
        sensor=sensor,
        corner_px=corner,
        critical=fault.always_critical or (corner is not None and corner >= critical_px),
        frames=len(ids),
        measurable=len(measurable),
        abstained=len(abstained),
        found=len(found),
        fault_free=len(fault_free),
        false_alarms=sum((sensor, i) in faulty.quarantined for i in fault_free),
        error_px=_shift_error(own, own_clean, fault, batch, ids) if fault.name == "shift" else None,
    )


def _corner_of(fault: _Fault, rows: pd.DataFrame) -> float | None:
    """Return how far a fault displaces the corners of a sensor's images, in pixels."""
    sizes = rows[["height", "width"]].dropna()
    if fault.affine is None or sizes.empty:
        return None
    return round(fault_injection.corner_px(fault.affine(1), tuple(sizes.iloc[0])), 2)


def _shift_error(own: pd.DataFrame, clean: pd.DataFrame, fault: _Fault, batch: Batch, ids: pd.Index) -> float | None:
    """Return the 90th percentile of |shift with the fault - shift without it - injected shift|, in pixels."""
    assert fault.affine is not None
    columns = ["shift_y_px", "shift_x_px"]
    row_of = {i: row for row, i in enumerate(batch.frames.frame_id)}
    injected = np.array([fault.affine(row_of[i])[:, 2] for i in ids]).reshape(-1, 2)
    difference = own[columns].reindex(ids).to_numpy(float) - clean[columns].reindex(ids).to_numpy(float) - injected
    error = np.hypot(*difference[np.isfinite(difference).all(1)].T)
    return round(float(np.percentile(error, 90)), 3) if len(error) else None


def _clock_faults(batch: Batch, settings: ValidationSettings, sensor: str) -> Iterator[tuple[_Fault, Batch, _Rows]]:
    """Yield faults of one sensor's timestamps: the fault, the batch with it, and the rows beyond tolerance."""
    tolerance = tolerance_s(batch, sensor, settings.time)
    n = len(batch.frames)
    offset = (batch.frames[f"{sensor}_time"] - batch.frames[f"{batch.info.reference}_time"]).to_numpy()
    jitter = np.random.default_rng(0).standard_normal(n) * tolerance
    single = np.where(np.arange(n) % _EVERY == _EVERY - 1, 1.5 * tolerance - np.nan_to_num(offset), 0)
    for name, size, added in (
        ("single timestamps", "1.5 x tolerance", single),
        ("clock offset", "1.5 x tolerance", np.full(n, 1.5 * tolerance) - np.nanmedian(offset)),
        ("clock drift", "2 x tolerance", np.linspace(0, 2 * tolerance, n)),
        ("clock jitter", "1 x tolerance", jitter),
    ):
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero(np.abs(offset + added) > tolerance + STAMP_SLACK_S)
        fault = replace(_no_fault(name, size), always_critical=True, single_sensor=True)
        yield fault, fault_injection.add_to_timestamps(batch, sensor, added), rows


def _frame_outcomes(root: Path, settings: ValidationSettings, frames: int | None = None) -> list[Outcome]:
    """Return every fault of frames in every pair of a fault-free batch.

    The outcomes of the fault `none` have the false alarms of the batch itself.
    """
    batch = read_batch(root)
    batch = replace(batch, frames=batch.frames.iloc[:frames])
    clean = ValidatedBatch(batch, settings)
    sensors = [str(name) for name in clean.table.sensor.unique() if name != batch.info.reference]
    critical = settings.content.critical_px
    none = _no_fault("none", f"{len(batch.frames)} frames")
    no_rows = np.empty(0, np.int64)
    outcomes = [_evaluate(clean, clean, batch, none, sensor, no_rows, critical) for sensor in sensors]
    for fault in _image_faults():
        rows = _rows_at_fault(batch, fault)
        read = fault_injection.FaultyReader(frozenset(rows.tolist()), frozenset(sensors), fault.change(batch, rows))
        faulty = ValidatedBatch(batch, settings, read)
        outcomes += [
            _evaluate(faulty, clean, batch, fault, sensor, rows, critical)
            for sensor in sensors
            if fault.labels or sensor != LABEL
        ]
    outcomes += [
        o for sensor in sensors if sensor in batch.sensors for o in _clock_outcomes(batch, settings, sensor, clean)
    ]
    return outcomes


def _clock_outcomes(
    batch: Batch, settings: ValidationSettings, sensor: str, clean: ValidatedBatch
) -> Iterator[Outcome]:
    """Yield faults of one sensor's clock. No file is read, because they do not depend on pixels."""
    for fault, changed, rows in _clock_faults(batch, settings, sensor):
        faulty = ValidatedBatch(changed, settings, lambda b, row: RawFrame(row))
        outcome = _evaluate(faulty, clean, changed, fault, sensor, rows, settings.content.critical_px)
        yield replace(outcome, found=outcome.measurable) if faulty.verdict.refused else outcome


def _rig_outcomes(root: Path, settings: ValidationSettings) -> Iterator[Outcome]:
    """Yield faults of the whole rig, which are the same in all frames."""
    batch = read_batch(root)
    batch = replace(batch, frames=batch.frames.iloc[:_RIG_FRAMES])
    rows = np.arange(len(batch.frames))
    clean = ValidatedBatch(batch, settings)
    for fault in _image_faults():
        if fault.affine is None:
            continue
        affine = fault.affine(1)
        change = fault_injection.displace(partial(_same_for_all_rows, affine))
        read = fault_injection.FaultyReader(frozenset(rows.tolist()), frozenset(clean.rigs), change)
        faulty = ValidatedBatch(batch, settings, read)
        for sensor, rig in faulty.rigs.items():
            measurable = clean.rigs[sensor].state(settings.content) == "aligned"
            state = rig.state(settings.content)
            corner = _corner_of(fault, faulty.rows_of(sensor))
            known = measurable and state != "unmeasurable"
            yield Outcome(
                batch=batch.name,
                fault=f"{fault.name} {RIG}",
                size=fault.size,
                sensor=sensor,
                corner_px=corner,
                critical=corner is not None and corner >= settings.content.critical_px,
                frames=1,
                measurable=int(measurable),
                abstained=int(measurable and state == "unmeasurable"),
                found=int(measurable and state == "misaligned"),
                fault_free=0,
                false_alarms=0,
                error_px=round(abs(rig.corner_px - corner), 3) if known and corner is not None else None,
            )


def _same_for_all_rows(affine: fault_injection.Affine, row: int) -> fault_injection.Affine:
    """Return the same map for every row."""
    return affine


def bench_faults(roots: list[Path], frames: int | None = None) -> list[Outcome]:
    """Inject every fault into fault-free batches and return what was found.

    Args:
        roots: folders of the batches.
        frames: use only the first frames of each batch; None uses all.
    """
    settings = load_settings().validation
    return [o for root in roots for o in (*_frame_outcomes(root, settings, frames), *_rig_outcomes(root, settings))]
