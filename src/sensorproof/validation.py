"""Validate a batch: measure it, check the rules, decide, and record quarantined frames in the ledger.

The pipeline's stage, the command and ingestion all call `validate_batch`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sensorproof.adapters import quiet_environment
from sensorproof.adapters.data_docs import add_verdict
from sensorproof.adapters.great_expectations import ExpectationResults, check_expectations, check_installed, describe
from sensorproof.alignment.contact_sheet import draw_contact_sheet
from sensorproof.alignment.decision.findings import Released, collect_findings, is_released
from sensorproof.alignment.decision.pair_states import pair_record, pair_states
from sensorproof.alignment.decision.rules import make_rules, suite_name
from sensorproof.alignment.decision.verdict import BatchVerdict
from sensorproof.alignment.drift import measure_drift
from sensorproof.alignment.known_statistics import Measuring
from sensorproof.alignment.measured import measure, measurement_key, shard_tasks
from sensorproof.alignment.measurement import STATE, BatchMeasurements
from sensorproof.alignment.measures.timing import tolerance_warnings
from sensorproof.alignment.shards import ShardTask
from sensorproof.alignment.training_statistics import training_statistics
from sensorproof.artifacts import MEASURED, SHARDS
from sensorproof.data import quarantine
from sensorproof.data.batch import read_batch
from sensorproof.data.quarantine import Entry
from sensorproof.documents.validation import DriftRecord
from sensorproof.files import atomic_folder, write_json
from sensorproof.locks import locked
from sensorproof.parallel import Progress
from sensorproof.reporting.validation_page import FaultLine, RuleLine, render_validation
from sensorproof.settings import Settings, ValidationSettings

PAGE = "index.html"
"""The page of a validation, in the folder of its results."""


def validate_batch(
    root: str | Path,
    settings: Settings,
    out: str | Path | None = None,
    *,
    record: bool = True,
    progress: Progress | None = None,
    hashes: Mapping[str, str] | None = None,
) -> BatchVerdict:
    """Check whether a batch may be used for training, and quarantine its faulty frames.

    The sensors are compared in time, geometry and image content, and the batch with the training data before it. The
    files of the batch are not changed.

    Args:
        root: folder of the batch.
        settings: all settings of params.yaml. Its `data.raw` has the training data, `data.quarantine` the ledger.
        out: folder for the results: verdict.json, measures.csv, quarantined.csv, suite.json, contact_sheet.png,
            the page index.html, and the Data Docs in docs/. It is replaced as a whole. None writes no results.
        record: whether to record quarantined frames in the ledger. Releases in the ledger hold in any case.
        progress: is told how many shards of the batch are measured, and of how many.
        hashes: {relative path: MD5} of the batch's files, if they are known already.

    Returns:
        The verdict. A refused batch is no exception: see `BatchVerdict.refused`, `reasons` and `refusal`.

    Raises:
        BatchError: batch.yaml or frames.csv is missing or faulty.
        SensorproofError: Great Expectations is not installed, or the ledger cannot be read.

    Examples:
        >>> from sensorproof import load_settings, validate_batch
        >>> verdict = validate_batch("data/raw/yard", load_settings(), record=False)
        >>> verdict.frames, verdict.refused
        (5, False)
    """
    check_installed()
    ledger = Path(settings.data.quarantine)
    batch = read_batch(Path(root))
    entries = quarantine.read_ledger(ledger)
    released = quarantine.released(entries, batch.name)
    how = Measuring(settings.compute.workers, progress)
    measurements = measure(batch, settings.validation, how, hashes)
    drift = _measure_drift(measurements, settings, entries, how)
    causes = measurements.causes
    if out is None:
        verdict, _ = assess(measurements, settings.validation, released, drift, causes=causes)
    else:
        with atomic_folder(Path(out)) as folder:
            verdict, results = assess(measurements, settings.validation, released, drift, folder / "docs", causes)
            _write_results(folder, measurements, verdict, results, settings.validation)
    if record:
        update_ledger(ledger, verdict)
    return verdict


def measuring_tasks(root: Path, settings: Settings) -> list[ShardTask]:
    """Return the shards of a batch that are still to be measured, for other processes and machines.

    Args:
        root: folder of the batch; every machine must see it, and the folder of the results, under the same path.
        settings: all of params.yaml.

    Raises:
        BatchError: batch.yaml or frames.csv is missing or faulty.
    """
    batch = read_batch(root)
    key = measurement_key(batch, settings.validation)
    if (MEASURED / f"{key}.safetensors").is_file():
        return []
    tasks = shard_tasks(batch, settings.validation, key, SHARDS.resolve())
    return [task for task in tasks if not task.target.is_file()]


def _measure_drift(
    measurements: BatchMeasurements, settings: Settings, ledger: list[Entry], how: Measuring
) -> DriftRecord | None:
    """Compare a batch with the training data before it; None if there are none. Quarantined frames do not train."""
    quarantined = {(entry.batch, entry.frame_id) for entry in quarantine.standing(ledger)}
    checks = settings.validation.drift
    training = training_statistics(measurements.batch, settings.data, checks.max_frames, quarantined, how)
    if training is None or measurements.statistics.empty:
        return None
    return measure_drift(measurements.statistics, training, checks)


def assess(
    measurements: BatchMeasurements,
    settings: ValidationSettings,
    released: Released | None = None,
    drift: DriftRecord | None = None,
    docs: Path | None = None,
    causes: Sequence[str] = (),
) -> tuple[BatchVerdict, ExpectationResults]:
    """Decide on a batch that has been measured.

    Args:
        measurements: of the batch. Its table gets the column `state`.
        settings: the section validation.
        released: faults that a person has released.
        drift: of the batch from the training data.
        docs: folder for the Data Docs; None writes none.
        causes: lines on why images cannot be registered, from `find_causes`; they become warnings.

    Returns:
        The verdict, and the results of the expectations that it rests on.
    """
    quiet_environment()
    rules, name = make_rules(settings), suite_name(settings)
    table = measurements.table
    results = check_expectations(table, rules, name, docs)
    findings = collect_findings(table, rules, results.broken, released or {}, drift, settings)
    table[STATE] = pair_states(table, findings.faults, settings.content)
    quarantined = findings.faults.loc[~findings.faults.released, "frame_id"]
    verdict = BatchVerdict(
        batch=measurements.batch.name,
        suite=name,
        frames=len(measurements.batch.frames),
        quarantined=quarantined.nunique(),
        released=len(set(findings.faults.frame_id) - set(quarantined)),
        all_faults=findings.faults,
        reasons=findings.reasons,
        warnings=(*findings.warnings, *causes, *tolerance_warnings(measurements.batch, settings.time)),
        pairs={sensor: pair_record(rig, settings.content) for sensor, rig in measurements.rigs.items()},
        drift=drift,
    )
    if docs is not None:
        add_verdict(docs, verdict.lines())
    return verdict, results


def _write_results(
    folder: Path,
    measurements: BatchMeasurements,
    verdict: BatchVerdict,
    results: ExpectationResults,
    settings: ValidationSettings,
) -> None:
    """Write the results of a validation, except for the Data Docs, into a folder."""
    verdict.record().write(folder / "verdict.json")
    write_json(folder / "suite.json", results.suite)
    measurements.table.to_csv(folder / "measures.csv", index=False, lineterminator="\n")
    verdict.faults.to_csv(folder / "quarantined.csv", index=False, lineterminator="\n")
    sheet = folder / "contact_sheet.png"
    drawn = draw_contact_sheet(sheet, measurements, verdict.all_faults, settings)
    page = render_validation(
        verdict.record(),
        _fault_lines(verdict),
        _rule_lines(measurements.table, results, settings),
        sheet if drawn else None,
        "docs/index.html",
    )
    (folder / PAGE).write_text(page, encoding="utf-8")


def _fault_lines(verdict: BatchVerdict) -> list[FaultLine]:
    """Return why frames are quarantined, the most frequent reason first."""
    groups = verdict.faults.groupby(["sensor", "reason"], sort=False)
    lines = [FaultLine(str(s), str(r), len(rows), str(rows.frame_id.iloc[0])) for (s, r), rows in groups]
    return sorted(lines, key=lambda line: -line.frames)


def _rule_lines(table: pd.DataFrame, results: ExpectationResults, settings: ValidationSettings) -> list[RuleLine]:
    """Return every rule with the rows that break it."""
    lines = []
    for number, rule in enumerate(make_rules(settings)):
        rows = table.loc[results.broken.row[results.broken.rule == number].to_numpy()]
        sensors = tuple(map(str, dict.fromkeys(rows.sensor)))
        lines.append(RuleLine(describe(rule), rule.scope, rule.severity, len(rows), sensors))
    return lines


def update_ledger(folder: Path, verdict: BatchVerdict) -> None:
    """Add what is new to the ledger: quarantined frames, changed values, faults that are gone, a refusal.

    A release ends when its fault is cleared or has become worse. A release that was made meanwhile holds.

    Args:
        folder: of the ledger.
        verdict: on a batch.
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
            if not same and not is_released(fault, released):
                entries.append(Entry(blank.time, "quarantined", verdict.batch, *key, *numbers, str(fault.reason)))
        for key, entry in last.items():
            if entry.action in ("quarantined", "released") and key not in current:
                entries.append(replace(entry, time=blank.time, action="cleared", reason="no longer fails", by=""))
        entries += _batch_entries(last.get(("", "", "")), blank, verdict)
        quarantine.append(folder, entries)


def _batch_entries(last: Entry | None, blank: Entry, verdict: BatchVerdict) -> list[Entry]:
    """Return the entry of the batch as a whole if it is new: refused for these reasons, or accepted after all."""
    reason = " ".join("; ".join(verdict.reasons).split())
    if verdict.refused and (last is None or last.action != "refused" or last.reason != reason):
        return [replace(blank, action="refused", reason=reason)]
    if not verdict.refused and last is not None and last.action == "refused":
        return [replace(blank, action="accepted", reason="the reasons no longer hold")]
    return []
