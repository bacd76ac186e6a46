"""Detection and false alarms: known faults put into a batch that is sound, judged as any batch is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment import fault_injection
from sensorproof.alignment.decision.verdict import BatchVerdict
from sensorproof.alignment.frames import Frame, Reader, in_order, read_frame
from sensorproof.alignment.measurement import measure_batch
from sensorproof.alignment.measures.timing import STAMP_SLACK_S, tolerance_s
from sensorproof.alignment.pairs.rig import Rig
from sensorproof.data.batch import LABEL, Batch, read_batch
from sensorproof.settings import ValidationSettings, load_settings
from sensorproof.validation import assess

_EVERY = 6
"""Every sixth frame gets the fault: a batch that is mostly sound, as in the field."""
RIG = "of the rig"
"""Ends the names of faults that are the same in all frames."""
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class _Fault:
    """A fault of images. `affine` gives each row's map where it moves them."""

    name: str
    size: str
    change: Callable[[Batch, Rows], fault_injection.Change]
    """(batch, rows at fault) -> what becomes of an image."""
    affine: Callable[[int], fault_injection.Affine] | None = None
    always: bool = False
    """Critical at any size of the image."""
    alone: bool = False
    """Told by the sensor alone: the pair need not be measurable."""
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
    """How far the fault moves a corner; None for faults that do not move the image."""
    critical: bool
    """Whether it must be found."""
    frames: int
    """Frames with the fault; 1 for a fault of the whole rig or clock."""
    measurable: int
    """Those whose images are aligned without the fault; for faults of time and of one sensor alone, all."""
    abstained: int
    """Those of them that the fault makes unmeasurable."""
    found: int
    """Those of them that are set aside, alone or with the batch."""
    sound: int
    """Frames without the fault; none for a fault of the whole rig."""
    false_alarms: int
    """Those of them that are set aside."""
    error_px: float | None
    """90th percentile of the error of the shift found; of the rig, of its corner displacement."""


class Run:
    """A batch measured and judged, by frame and sensor."""

    def __init__(self, batch: Batch, settings: ValidationSettings, read: Reader = read_frame) -> None:
        measured = measure_batch(batch, settings, read)
        self.verdict: BatchVerdict = assess(measured, settings)[0]
        self.rigs: dict[str, Rig] = measured.rigs
        self.table: pd.DataFrame = measured.table
        self.set_aside = set(zip(self.verdict.faults.sensor, self.verdict.faults.frame_id, strict=True))

    def of(self, sensor: str) -> pd.DataFrame:
        """The rows of one sensor, by frame id."""
        return self.table[self.table.sensor == sensor].set_index("frame_id")


def _image_faults() -> Iterator[_Fault]:
    """Shifts, scale, rotation, swapped, frozen and blank."""
    for pixels in (1, 2, 3, 5, 10):
        yield moving("shift", f"{pixels} px", partial(fault_injection.shift, float(pixels)))
    for percent in (0.5, 1.0, 3.0):
        yield moving("scale", f"{percent:g} %", partial(fault_injection.scale, percent))
    for degrees in (0.5, 1.0, 2.0):
        yield moving("rotation", f"{degrees:g} deg", partial(fault_injection.rotation, degrees))
    yield _Fault("swapped", "next frame", lambda b, rows: fault_injection.taken_from(_exchanged(rows)), always=True)
    yield _Fault("swapped", "far frame", lambda b, rows: fault_injection.taken_from(_rotated(rows)), always=True)
    yield _Fault("frozen", "", lambda b, rows: fault_injection.taken_from(before(b, rows)), always=True, alone=True)
    for tiles in (1, 3, 9):
        change = partial(_unconditional, fault_injection.blanked(tiles))
        yield _Fault("blank tiles", f"{tiles} of 9", change, always=tiles == 9, alone=True, labels=False)


def constant(affine: fault_injection.Affine, row: int) -> fault_injection.Affine:
    """The same map for every row."""
    return affine


def _unconditional(change: fault_injection.Change, batch: Batch, rows: Rows) -> fault_injection.Change:
    """The same change whatever the rows."""
    return change


def moving(name: str, size: str, affine: Callable[[int], fault_injection.Affine]) -> _Fault:
    return _Fault(name, size, partial(_unconditional, fault_injection.moved(affine)), affine)


def _exchanged(rows: Rows) -> dict[int, int]:
    """Rows two by two take each other's image."""
    both = {int(a): int(b) for a, b in rows.reshape(-1, 2)}
    return both | {b: a for a, b in both.items()}


def _rotated(rows: Rows) -> dict[int, int]:
    """Each row takes the image of the one that is half of the rows further."""
    return dict(zip(rows.tolist(), np.roll(rows, len(rows) // 2).tolist(), strict=True))


def before(batch: Batch, rows: Rows) -> dict[int, int]:
    """Each row takes the image of the row before it in its sequence."""
    order, _ = in_order(batch)
    place = {int(row): k for k, row in enumerate(order)}
    return {int(row): int(order[place[int(row)] - 1]) for row in rows}


def _rows_at_fault(batch: Batch, fault: _Fault) -> Rows:
    """Every sixth row that has one before it in its sequence; two of every twelve for frames that are exchanged."""
    order, sequence = in_order(batch)
    inner = np.flatnonzero(np.diff(sequence, prepend=-1) == 0)
    if fault.size == "next frame":
        chosen = inner[inner % (2 * _EVERY) == 1]
        return np.stack([order[chosen - 1], order[chosen]], 1).ravel().astype(np.int64)
    return order[inner[inner % _EVERY == _EVERY - 1]].astype(np.int64)


def compare(run: Run, clean: Run, batch: Batch, fault: _Fault, sensor: str, rows: Rows, critical_px: float) -> Outcome:
    """What became of the frames of one sensor that have a fault, and of those that have none."""
    own, sound = run.of(sensor), clean.of(sensor)
    there = own.index[own.present == 1]
    ids = pd.Index(batch.frames.frame_id.iloc[rows]).intersection(there)
    judged = ids if fault.alone else ids[(sound.state.reindex(ids) == "aligned").to_numpy()]
    found = [i for i in judged if (sensor, i) in run.set_aside]
    lost = [i for i in judged if (sensor, i) not in run.set_aside and own.state[i] == "unmeasurable"]
    corner = _corner_of(fault, own)
    others = there.difference(ids)
    return Outcome(
        batch=batch.name,
        fault=fault.name,
        size=fault.size,
        sensor=sensor,
        corner_px=corner,
        critical=fault.always or (corner is not None and corner >= critical_px),
        frames=len(ids),
        measurable=len(judged),
        abstained=len(lost),
        found=len(found),
        sound=len(others),
        false_alarms=sum((sensor, i) in run.set_aside for i in others),
        error_px=_shift_error(own, sound, fault, batch, ids) if fault.name == "shift" else None,
    )


def _corner_of(fault: _Fault, table: pd.DataFrame) -> float | None:
    """How far a fault moves the corners of a sensor's images, pixels."""
    sizes = table[["height", "width"]].dropna()
    if fault.affine is None or sizes.empty:
        return None
    return round(fault_injection.corner_px(fault.affine(1), tuple(sizes.iloc[0])), 2)


def _shift_error(own: pd.DataFrame, sound: pd.DataFrame, fault: _Fault, batch: Batch, ids: pd.Index) -> float | None:
    """90th percentile of |shift found with the fault - shift found without it - shift put in|, pixels."""
    assert fault.affine is not None
    columns = ["shift_y_px", "shift_x_px"]
    row_of = {i: row for row, i in enumerate(batch.frames.frame_id)}
    put_in = np.array([fault.affine(row_of[i])[:, 2] for i in ids]).reshape(-1, 2)
    gap = own[columns].reindex(ids).to_numpy(float) - sound[columns].reindex(ids).to_numpy(float) - put_in
    error = np.hypot(*gap[np.isfinite(gap).all(1)].T)
    return round(float(np.percentile(error, 90)), 3) if len(error) else None


def _clock_faults(batch: Batch, settings: ValidationSettings, sensor: str) -> Iterator[tuple[_Fault, Batch, Rows]]:
    """Faults of one sensor's stamps: the batch that has them, and the rows beyond tolerance."""
    tolerance = tolerance_s(batch, sensor, settings.time)
    n = len(batch.frames)
    usual = (batch.frames[f"{sensor}_time"] - batch.frames[f"{batch.info.reference}_time"]).to_numpy()
    jitter = np.random.default_rng(0).standard_normal(n) * tolerance
    single = np.where(np.arange(n) % _EVERY == _EVERY - 1, 1.5 * tolerance - np.nan_to_num(usual), 0)
    for name, size, added in (
        ("single stamps", "1.5 x tolerance", single),
        ("clock offset", "1.5 x tolerance", np.full(n, 1.5 * tolerance) - np.nanmedian(usual)),
        ("clock drift", "2 x tolerance", np.linspace(0, 2 * tolerance, n)),
        ("clock jitter", "1 x tolerance", jitter),
    ):
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero(np.abs(usual + added) > tolerance + STAMP_SLACK_S)
        fault = _Fault(name, size, partial(_unconditional, fault_injection.blanked(0)), always=True, alone=True)
        yield fault, fault_injection.with_times(batch, sensor, added), rows


def _faults_table(root: Path, settings: ValidationSettings, frames: int | None = None) -> list[Outcome]:
    """Every fault in every pair of a sound batch; `none` has the false alarms of the batch as it is."""
    batch = read_batch(root)
    batch = replace(batch, frames=batch.frames.iloc[:frames])
    clean = Run(batch, settings)
    sensors = [str(name) for name in clean.table.sensor.unique() if name != batch.info.reference]
    critical = settings.content.critical_px
    none = _Fault("none", f"{len(batch.frames)} frames", partial(_unconditional, fault_injection.blanked(0)))
    nowhere = np.empty(0, np.int64)
    outcomes = [compare(clean, clean, batch, none, sensor, nowhere, critical) for sensor in sensors]
    for fault in _image_faults():
        rows = _rows_at_fault(batch, fault)
        read = fault_injection.Faulty(frozenset(rows.tolist()), frozenset(sensors), fault.change(batch, rows))
        run = Run(batch, settings, read)
        outcomes += [
            compare(run, clean, batch, fault, sensor, rows, critical)
            for sensor in sensors
            if fault.labels or sensor != LABEL
        ]
    outcomes += [
        o for sensor in sensors if sensor in batch.sensors for o in _time_table(batch, settings, sensor, clean)
    ]
    return outcomes


def _time_table(batch: Batch, settings: ValidationSettings, sensor: str, clean: Run) -> Iterator[Outcome]:
    """Faults of one sensor's clock. Pixels have no part in them, so no file is read."""
    for fault, changed, rows in _clock_faults(batch, settings, sensor):
        run = Run(changed, settings, lambda b, row: Frame(row))
        outcome = compare(run, clean, changed, fault, sensor, rows, settings.content.critical_px)
        yield replace(outcome, found=outcome.measurable) if run.verdict.refused else outcome


def _rig_table(root: Path, settings: ValidationSettings, frames: int = 60) -> Iterator[Outcome]:
    """Faults of the whole rig, the same in all of some frames."""
    batch = read_batch(root)
    batch = replace(batch, frames=batch.frames.iloc[:frames])
    rows = np.arange(len(batch.frames))
    clean = Run(batch, settings)
    for fault in _image_faults():
        if fault.affine is None:
            continue
        change = fault_injection.moved(partial(constant, fault.affine(1)))
        read = fault_injection.Faulty(frozenset(rows.tolist()), frozenset(clean.rigs), change)
        run = Run(batch, settings, read)
        for sensor, rig in run.rigs.items():
            sound = clean.rigs[sensor].state(settings.content) == "aligned"
            state = rig.state(settings.content)
            corner = _corner_of(fault, run.of(sensor))
            known = sound and state != "unmeasurable"
            yield Outcome(
                batch=batch.name,
                fault=f"{fault.name} {RIG}",
                size=fault.size,
                sensor=sensor,
                corner_px=corner,
                critical=corner is not None and corner >= settings.content.critical_px,
                frames=1,
                measurable=int(sound),
                abstained=int(sound and state == "unmeasurable"),
                found=int(sound and state == "misaligned"),
                sound=0,
                false_alarms=0,
                error_px=round(abs(rig.corner_px - corner), 3) if known and corner is not None else None,
            )


def bench_faults(roots: list[Path], frames: int | None = None) -> list[Outcome]:
    """The tables of several batches, one after the other."""
    settings = load_settings().validation
    return [o for root in roots for o in (*_faults_table(root, settings, frames), *_rig_table(root, settings))]
