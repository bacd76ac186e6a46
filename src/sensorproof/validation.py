"""A batch is validated: measured, judged, and acted on. The stage, the command and ingestion all call this."""

from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from sensorproof.adapters import quiet_environment
from sensorproof.adapters.data_docs import add_verdict
from sensorproof.adapters.great_expectations import check_expectations
from sensorproof.alignment.contact_sheet import draw_contact_sheet
from sensorproof.alignment.decision.rules import make_rules, suite_name
from sensorproof.alignment.decision.verdict import BatchVerdict, decide, pair_states, pair_verdict, still_released
from sensorproof.alignment.drift import Drift, compare
from sensorproof.alignment.measurement import BatchMeasurements, measure_batch
from sensorproof.alignment.measures.timing import tolerance_remarks
from sensorproof.alignment.training_statistics import training_statistics
from sensorproof.data import quarantine
from sensorproof.data.batch import read_batch
from sensorproof.data.quarantine import Entry, Key
from sensorproof.files import atomic_folder, write_json
from sensorproof.locks import locked
from sensorproof.settings import Settings, ValidationSettings


def validate_batch(root: Path, settings: Settings, out: Path | None = None, *, record: bool = True) -> BatchVerdict:
    """Measure a batch, let Great Expectations judge it, and set frames at fault aside.

    Args:
        root: the batch's folder.
        settings: all of params.yaml.
        out: a folder that is written whole: verdict.json, measures.csv, quarantined.csv, suite.json,
            contact_sheet.png, and Data Docs in docs/.
        record: note what becomes of the frames in the ledger. Releases in it hold either way.

    Returns:
        The verdict. A refusal is not raised: see Verdict.refusal.

    Raises:
        BatchError: batch.yaml or frames.csv cannot be used.
        SensorproofError: the ledger cannot be read.
    """
    ledger = Path(settings.data.quarantine)
    batch = read_batch(root)
    entries = quarantine.read_ledger(ledger)
    released = quarantine.released(entries, batch.name)
    measured = measure_batch(batch, settings.validation)
    drift = _measure_drift(measured, settings, {(e.batch, e.frame_id) for e in quarantine.standing(entries)})
    if out is None:
        verdict, _ = assess(measured, settings.validation, released, drift)
    else:
        with atomic_folder(out) as folder:
            verdict, suite = assess(measured, settings.validation, released, drift, folder / "docs")
            write_results(folder, measured, verdict, suite, settings.validation)
    if record:
        note(ledger, verdict)
    return verdict


def _measure_drift(measured: BatchMeasurements, settings: Settings, aside: Set[tuple[str, str]]) -> Drift | None:
    """How far the batch lies from the training data; None where there is none before it.

    Args:
        aside: batch and frame id of frames that are set aside: they train nothing.
    """
    checks = settings.validation.drift
    training = training_statistics(measured.batch, settings.data, checks.max_frames, aside)
    if training is None or measured.statistics.empty:
        return None
    return compare(measured.statistics, training, checks)


def assess(
    measured: BatchMeasurements,
    settings: ValidationSettings,
    released: Mapping[Key, tuple[float, float]] | None = None,
    drift: Drift | None = None,
    docs: Path | None = None,
) -> tuple[BatchVerdict, dict[str, Any]]:
    """Judge what was measured: the verdict, and the suite of expectations that it rests on.

    Adds the column `state` to the table: what each row's pair of images says.
    """
    quiet_environment()
    rules, name = make_rules(settings), suite_name(settings)
    table = measured.table
    judged = check_expectations(table, rules, name, docs)
    decision = decide(table, rules, judged.broken, released or {}, drift, settings)
    table["state"] = pair_states(table, decision.faults, settings.content)
    aside = decision.faults.loc[~decision.faults.released, "frame_id"]
    verdict = BatchVerdict(
        batch=measured.batch.name,
        suite=name,
        frames=len(measured.batch.frames),
        quarantined=aside.nunique(),
        released=len(set(decision.faults.frame_id) - set(aside)),
        all_faults=decision.faults,
        reasons=decision.reasons,
        warnings=(*decision.warnings, *tolerance_remarks(measured.batch, settings.time)),
        pairs=tuple(pair_verdict(rig, settings.content) for rig in measured.rigs.values()),
        drift=drift,
    )
    if docs is not None:
        add_verdict(docs, verdict.lines())
    return verdict, judged.suite


def write_results(
    folder: Path,
    measured: BatchMeasurements,
    verdict: BatchVerdict,
    suite: dict[str, Any],
    settings: ValidationSettings,
) -> None:
    """What a person and the later stages read."""
    write_json(folder / "verdict.json", verdict.to_json())
    write_json(folder / "suite.json", suite)
    measured.table.to_csv(folder / "measures.csv", index=False, lineterminator="\n")
    verdict.faults.to_csv(folder / "quarantined.csv", index=False, lineterminator="\n")
    draw_contact_sheet(folder / "contact_sheet.png", measured.batch, measured.table, verdict.all_faults, settings)


def note(folder: Path, verdict: BatchVerdict) -> None:
    """Add to the ledger what is new: frames set aside, other values of theirs, frames no longer at fault, a refusal.

    A release ends when its fault is cleared, or has become worse. One that was made meanwhile holds.
    """
    with locked(quarantine.LOCK):
        ledger = quarantine.read_ledger(folder)
        last, released = quarantine.last_actions(ledger, verdict.batch), quarantine.released(ledger, verdict.batch)
        blank = Entry(quarantine.now(), "quarantined", verdict.batch)
        entries, current = [], set()
        for fault in verdict.all_faults.itertuples():
            key = (str(fault.frame_id), str(fault.sensor), str(fault.measure))
            current.add(key)
            numbers = f"{fault.value:.9g}", f"{fault.threshold:.9g}"
            before = last.get(key)
            same = before is not None and (before.action, before.value, before.threshold) == ("quarantined", *numbers)
            if not same and not still_released(fault, released):
                entries.append(Entry(blank.time, "quarantined", verdict.batch, *key, *numbers, str(fault.reason)))
        for key, entry in last.items():
            if entry.action in ("quarantined", "released") and key not in current:
                entries.append(replace(entry, time=blank.time, action="cleared", reason="no longer fails", by=""))
        entries += _batch_entries(last.get(("", "", "")), blank, verdict)
        quarantine.append(folder, entries)


def _batch_entries(last: Entry | None, blank: Entry, verdict: BatchVerdict) -> list[Entry]:
    """The entry of the batch as a whole, where that is new: refused for these reasons, or accepted after all."""
    reason = " ".join("; ".join(verdict.reasons).split())
    if verdict.refused and (last is None or last.action != "refused" or last.reason != reason):
        return [replace(blank, action="refused", reason=reason)]
    if not verdict.refused and last is not None and last.action == "refused":
        return [replace(blank, action="accepted", reason="the reasons no longer hold")]
    return []
