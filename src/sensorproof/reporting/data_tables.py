"""The page's tables as plain rows, for spreadsheets and programs: numbers are not rounded, names are those of files."""

from collections.abc import Iterator
from typing import Any

from sensorproof.documents import Evaluation, ValidationRecord
from sensorproof.documents.evaluation import BASELINE, FIGURES, FIGURES_AND_SPREAD
from sensorproof.evaluation.gates import evaluate_gates
from sensorproof.reporting.checklist import Section
from sensorproof.settings import PromotionSettings

Row = dict[str, Any]
"""{column: text, number or None}."""
Tables = dict[str, list[Row]]
"""{name: rows, all with the same columns}; a table without rows is left out."""


def make_tables(
    evaluation: Evaluation, verdict: ValidationRecord, checklist: list[Section], promotion: PromotionSettings
) -> Tables:
    """Make every table.

    Args:
        evaluation: artifacts/evaluation.json.
        verdict: artifacts/validation/verdict.json.
        checklist: the pilot checklist.
        promotion: the candidate and the thresholds of its gates.
    """
    tables = {
        "scores": list(_scores(evaluation)),
        "gains": list(_gains(evaluation)),
        "subsets": list(_subsets(evaluation)),
        "classes": list(_classes(evaluation)),
        "groups": list(_groups(evaluation)),
        "silent": list(_silent(evaluation)),
        "false_alarms": list(_false_alarms(evaluation)),
        "gates": list(_gates(evaluation, promotion)),
        "alignment": list(_alignment(verdict)),
        "checklist": list(_checklist(checklist)),
    }
    return {name: rows for name, rows in tables.items() if rows}


def make_metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures that `dvc metrics diff` compares: of every arm, and the candidate's gains."""
    arms: dict[str, dict[str, float]] = {}
    for name, arm in evaluation.arms.items():
        arms[name] = {figure: arm.figure(figure).mean for figure in FIGURES_AND_SPREAD}
        if arm.silent is not None:
            arms[name] |= {"silent": arm.silent.mean, "silent_worst_shortfall": arm.silent.worst[2]}
    gains = {figure: evaluation.gain.figure(figure) for figure in FIGURES}
    return {
        "arms": arms,
        "gain": {
            name: {"value": gain.value, "low": gain.ci95[0], "high": gain.ci95[1]} for name, gain in gains.items()
        },
    }


def _scores(evaluation: Evaluation) -> Iterator[Row]:
    for name, arm in evaluation.arms.items():
        for figure in FIGURES_AND_SPREAD:
            score = arm.figure(figure)
            yield {"arm": name, "figure": figure, "mean": score.mean, "std": score.std, "seeds": len(arm.seeds)} | (
                {"parameters": arm.parameters, "train_seconds": arm.train_seconds}
            )


def _gains(evaluation: Evaluation) -> Iterator[Row]:
    for figure in FIGURES:
        gain = evaluation.gain.figure(figure)
        yield {"figure": figure, "gain": gain.value, "low": gain.ci95[0], "high": gain.ci95[1]}


def _subsets(evaluation: Evaluation) -> Iterator[Row]:
    most = max((name.count("+") for arm in evaluation.arms.values() for name in arm.subsets), default=0)
    for name, arm in evaluation.arms.items():
        for subset, score in arm.subsets.items():
            yield {"arm": name, "subset": subset, "missing": most - subset.count("+")} | (
                {"mean": score.mean, "std": score.std}
            )


def _classes(evaluation: Evaluation) -> Iterator[Row]:
    for name, arm in evaluation.arms.items():
        for subset, scores in arm.per_class.items():
            for label, iou in scores.items():
                yield {"arm": name, "subset": subset, "class": label, "pixels": arm.support[label], "iou": iou}


def _groups(evaluation: Evaluation) -> Iterator[Row]:
    if evaluation.comparison is None:
        return
    for kind in ("classes", "sites", "conditions"):
        groups = getattr(evaluation.comparison, kind)
        for name, gain in groups.gains.items():
            low, high = gain.interval
            yield {"kind": kind, "name": name, "gain": gain.value, "low": low, "high": high}
        for name in groups.small:
            yield {"kind": kind, "name": name, "gain": None, "low": None, "high": None}


def _silent(evaluation: Evaluation) -> Iterator[Row]:
    for name, arm in evaluation.arms.items():
        for sensor, own in arm.silent.sensors.items() if arm.silent is not None else ():
            for failure, scores in own.failures.items():
                yield {"arm": name, "sensor": sensor, "failure": failure, "absent": own.absent} | (
                    {"believed": scores.kept, "monitored": scores.monitored, "noticed": scores.noticed}
                )


def _false_alarms(evaluation: Evaluation) -> Iterator[Row]:
    for name, arm in evaluation.arms.items():
        for condition, own in arm.silent.conditions.items() if arm.silent is not None else ():
            yield {"arm": name, "condition": condition, "alarms": own.alarms, "images": own.images}


def _gates(evaluation: Evaluation, promotion: PromotionSettings) -> Iterator[Row]:
    if not {promotion.candidate, BASELINE} <= set(evaluation.arms):
        return
    for gate in evaluate_gates(evaluation, promotion, None):
        low, high = gate.interval or (None, None)
        yield {"gate": gate.name, "passed": gate.passed, "value": gate.value, "threshold": gate.threshold} | (
            {"low": low, "high": high, "note": gate.note}
        )


def _alignment(verdict: ValidationRecord) -> Iterator[Row]:
    for batch, record in verdict.batches.items():
        for sensor, pair in record.pairs.items():
            yield {"batch": batch, "sensor": sensor, **pair.to_json()}


def _checklist(checklist: list[Section]) -> Iterator[Row]:
    fields = ("key", "state", "title", "found", "wanted", "action")
    for section in checklist:
        for item in section.items:
            yield {"section": section.title, **{field: getattr(item, field) for field in fields}}
