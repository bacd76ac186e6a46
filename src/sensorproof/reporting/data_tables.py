"""The page's tables as plain rows, for spreadsheets and programs: numbers are not rounded, names are those of files."""

from collections.abc import Iterator
from typing import Any

from sensorproof.documents import Evaluation, ValidationRecord
from sensorproof.documents.evaluation import BASELINE, FIGURES_AND_SPREAD
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
        "gains_by_group": list(_groups(evaluation)),
        "groups": list(_group_scores(evaluation)),
        "contributions": list(_contributions(evaluation)),
        "calibration": list(_calibration(evaluation)),
        "degradations": list(_degradations(evaluation)),
        "protocols": list(_protocols(evaluation)),
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
        if arm.calibration:
            arms[name] |= {"calibration_error": max(own.ece.mean for own in arm.calibration.values())}
    return {
        "arms": arms,
        "gain": {
            name: {"value": gain.value, "low": gain.ci95[0], "high": gain.ci95[1]}
            for name, gain in evaluation.gains.items()
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
    for figure, gain in evaluation.gains.items():
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


def _group_scores(evaluation: Evaluation) -> Iterator[Row]:
    for arm, summary in evaluation.arms.items():
        for kind in ("classes", "sites", "conditions") if summary.groups is not None else ():
            for name, own in getattr(summary.groups, kind).items():
                yield {"arm": arm, "kind": kind, "name": name, "frames": own.frames, "pixels": own.pixels} | {
                    "small": own.small,
                    "mean": None if own.mean is None else own.mean.mean,
                    "full": None if own.full is None else own.full.mean,
                }


def _contributions(evaluation: Evaluation) -> Iterator[Row]:
    for arm, summary in evaluation.arms.items():
        for sensor, own in summary.contributions.sensors.items() if summary.contributions is not None else ():
            change = own.change
            yield {
                "arm": arm,
                "sensor": sensor,
                "shapley": own.shapley.value,
                "low": own.shapley.interval[0],
                "high": own.shapley.interval[1],
                "change": None if change is None else change.value,
                "change_low": None if change is None else change.interval[0],
                "change_high": None if change is None else change.interval[1],
                "information": None if own.information is None else own.information.mean,
                "relevance": None if own.relevance is None else own.relevance.mean,
            }


def _calibration(evaluation: Evaluation) -> Iterator[Row]:
    for arm, summary in evaluation.arms.items():
        for subset, own in (summary.calibration or {}).items():
            yield {"arm": arm, "subset": subset, "ece": own.ece.mean, "std": own.ece.std} | (
                {"confidence": own.confidence.mean, "accuracy": own.accuracy.mean}
            )


def _degradations(evaluation: Evaluation) -> Iterator[Row]:
    for arm, summary in evaluation.arms.items():
        known = summary.protocols.degradations if summary.protocols is not None else None
        for sensor, kinds in (known or {}).items():
            for kind, curve in kinds.items():
                for severity, score in curve.items():
                    yield {"arm": arm, "sensor": sensor, "degradation": kind, "severity": int(severity)} | (
                        {"mean": score.mean, "std": score.std}
                    )


def _protocols(evaluation: Evaluation) -> Iterator[Row]:
    for arm, summary in evaluation.arms.items():
        own = summary.protocols
        if own is None:
            continue
        figures = {("drop", "", f"expected {p}"): score for p, score in own.expected.items()}
        tables = {("emm", ""): own.emm, **{("rmm", r): table for r, table in (own.rmm or {}).items()}}
        for (protocol, level), table in tables.items():
            if table is not None:
                figures |= {(protocol, level, "mean"): table.mean, (protocol, level, "worst"): table.worst}
                figures |= {(protocol, level, f"expected {p}"): score for p, score in table.expected.items()}
        for level, noise in (own.nm or {}).items():
            figures |= {("nm", level, "all"): noise.all}
            figures |= {("nm", level, sensor): score for sensor, score in noise.sensors.items()}
        for (protocol, level, figure), score in figures.items():
            yield {"arm": arm, "protocol": protocol, "level": level, "figure": figure} | (
                {"mean": score.mean, "std": score.std}
            )


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
