"""Render the report: one self-contained HTML page without scripts, which loads nothing."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import ArmSummary, Evaluation, SearchResult, ValidationRecord
from sensorproof.documents.evaluation import BASELINE
from sensorproof.errors import SensorproofError
from sensorproof.models.storage import load_description
from sensorproof.reporting.calibration_rows import calibration_rows, calibration_sentence
from sensorproof.reporting.checklist import Thresholds, conclusion, pilot_checklist
from sensorproof.reporting.contribution_rows import contribution_rows, contribution_sentence
from sensorproof.reporting.environment import environment
from sensorproof.reporting.examples import draw_examples
from sensorproof.reporting.formatting import is_number, sensors_of
from sensorproof.reporting.gain_chart import gain_chart
from sensorproof.reporting.group_rows import group_tables
from sensorproof.reporting.language import Language, _, current_language, mark, use_language
from sensorproof.reporting.palette import class_colors
from sensorproof.reporting.protocol_rows import degradation_curves, protocol_groups
from sensorproof.reporting.recorded import translate_recorded
from sensorproof.reporting.search_section import search_section
from sensorproof.reporting.silent_table import false_alarms, silent_groups, silent_sentences
from sensorproof.reporting.summary import summarize
from sensorproof.reporting.tables import (
    FIGURES,
    Group,
    class_rows,
    conditions,
    failure_sentence,
    reference_arm,
    score_rows,
    subset_groups,
)
from sensorproof.reporting.training_curves import read_losses, to_ticks, training_chart

_WIDE = 3
"""Arms that fit side by side, sensor by sensor."""
FIX = "run `dvc repro evaluate`"


@dataclass(frozen=True)
class Options:
    """What the page takes from params.yaml: `report`, `promotion`, `validation`, evaluate.confidence, train.device."""

    limits: Thresholds
    confidence: float
    examples: int
    device: str
    language: Language = "en"


def render_report(
    evaluation: Evaluation,
    verdict: ValidationRecord,
    data: PreparedDataset,
    runs: Mapping[str, Mapping[int, Path]],
    options: Options,
    sheets: Mapping[str, Path] = MappingProxyType({}),
    search: SearchResult | None = None,
) -> str:
    """Return the page in the language of the options.

    Args:
        evaluation: artifacts/evaluation.json.
        verdict: artifacts/validation/verdict.json.
        data: prepared frames without those in quarantine.
        runs: {arm: {seed: folder that stage train wrote}} of the evaluation, the first seed first.
        options: what to show.
        sheets: {batch: PNG with a frame of each sensor, drawn by its validation}; those that are missing are left out.
        search: artifacts/search/trials.json, or None to leave out its section.

    Raises:
        SensorproofError: the evaluation has no arm, or a run lacks its model or its history.
    """
    with use_language(options.language):
        return _render(evaluation, verdict, data, runs, options, sheets, search)


def _render(
    evaluation: Evaluation,
    verdict: ValidationRecord,
    data: PreparedDataset,
    runs: Mapping[str, Mapping[int, Path]],
    options: Options,
    sheets: Mapping[str, Path],
    search: SearchResult | None,
) -> str:
    arms = evaluation.arms
    if not arms or not all(arm.seeds and arm.subsets for arm in arms.values()):
        raise SensorproofError("evaluation.json", "has an arm without seeds or subsets, or no arm", FIX)
    sensors = sensors_of(arms)
    groups = subset_groups(arms)
    first_runs = {arm: next(iter(folders.items())) for arm, folders in runs.items()}
    examples, size = draw_examples(
        data,
        {arm: (seed, folder / "model") for arm, (seed, folder) in first_runs.items()},
        options.examples,
        options.device,
    )
    histories = {
        (arm, seed): read_losses(folder / "history.csv")
        for arm, all_seeds in runs.items()
        for seed, folder in all_seeds.items()
    }
    promotion = options.limits.promotion
    candidate = promotion.candidate
    checklist = pilot_checklist(evaluation, verdict, data, options.limits)
    shown = _few_arms(arms, candidate)
    pair = [name for name in dict.fromkeys((BASELINE, candidate)) if name in arms]
    return (
        environment()
        .get_template("report.html")
        .render(
            summary=summarize(evaluation, promotion, options.confidence, same_network(first_runs, candidate)),
            evaluation=evaluation,
            checklist=checklist,
            conclusion=conclusion(checklist),
            language=current_language(),
            pairs=_pair_verdicts(verdict),
            warnings=_warnings(verdict),
            sheets={batch: _data_uri(path) for batch, path in sheets.items() if path.is_file()},
            quarantined=verdict.frames.quarantined,
            arms=list(arms),
            reference=reference_arm(arms),
            candidate=candidate,
            compared=BASELINE in arms and candidate in arms and candidate != BASELINE,
            seeds=max(len(arm.seeds) for arm in arms.values()),
            sensors=sensors,
            figures=FIGURES,
            scores=score_rows(arms),
            groups=groups,
            failure=failure_sentence(shown),
            scale=_score_scale(groups),
            gains=gain_chart(evaluation.gains),
            silent=silent_groups(arms[candidate].silent if candidate in arms else None),
            false_alarms=false_alarms(arms[candidate].silent if candidate in arms else None),
            silent_sentences=silent_sentences(arms, candidate),
            pair=pair,
            contributions=contribution_rows(arms, candidate),
            contribution_sentence=contribution_sentence(arms, candidate),
            calibration=calibration_rows(arms, list(shown)),
            calibration_sentence=calibration_sentence(arms, candidate),
            curves=degradation_curves(arms, pair),
            protocols=protocol_groups(arms, pair),
            group_tables=group_tables(arms, pair, evaluation.comparison),
            conditions=list(conditions(sensors)),
            class_arms=list(shown),
            classes=class_rows(shown),
            legend=list(zip(data.meta.class_names, class_colors(data.meta.class_names), strict=True)),
            meta=data.meta,
            examples=examples,
            size=size,
            test_frames=len(data.rows("test")),
            chart=training_chart(histories),
            found=search_section(search),
            confidence=options.confidence,
        )
    )


def _few_arms(arms: Mapping[str, ArmSummary], candidate: str) -> dict[str, ArmSummary]:
    """Return all arms if they fit side by side, else reference and candidate, so that a table stays readable."""
    if len(arms) <= _WIDE:
        return dict(arms)
    return {name: arm for name, arm in arms.items() if name in (reference_arm(arms), candidate)}


def same_network(first_runs: Mapping[str, tuple[int, Path]], candidate: str) -> bool:
    """Return whether candidate and baseline have the same architecture, sensors and classes."""
    if BASELINE not in first_runs or candidate not in first_runs:
        return False
    ours, theirs = (load_description(first_runs[arm][1] / "model") for arm in (candidate, BASELINE))
    return ours == theirs


def _score_scale(groups: Iterable[Group]) -> dict[str, Any]:
    """Choose the axis of the dots beside the subset table: tens around all scores."""
    values = [cell.value for group in groups for row in group.rows for cell in row.cells if is_number(cell.value)]
    known = [v for v in values if v is not None]
    low = max(0, int(min(known, default=0) // 10 * 10))
    high = min(100, int(-(-max(known, default=100) // 10) * 10))
    if high <= low:
        low, high = max(0, high - 10), max(high, 10)
    return {"low": low, "high": high, "ticks": to_ticks([low, (low + high) / 2, high], low, high)}


@dataclass(frozen=True)
class _PairLine:
    """The verdict on one sensor against the reference in one batch; `corner_px` is its displacement at a corner."""

    batch: str
    sensor: str
    state: str
    title: str
    """The state for people."""
    reason: str
    corner_px: float | None


_STATES = {"aligned": mark("aligned"), "misaligned": mark("misaligned"), "unmeasurable": mark("unmeasurable")}


def _pair_verdicts(verdict: ValidationRecord) -> list[_PairLine]:
    """List every pair of every batch."""
    return [
        _PairLine(batch, sensor, pair.state, _(_STATES[pair.state]), translate_recorded(pair.reason), pair.corner_px)
        for batch, record in verdict.batches.items()
        for sensor, pair in record.pairs.items()
    ]


def _warnings(verdict: ValidationRecord) -> list[tuple[str, str]]:
    """List what validation found and did not put in quarantine: batch and sentence."""
    return [(batch, translate_recorded(text)) for batch, record in verdict.batches.items() for text in record.warnings]


def _data_uri(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")
