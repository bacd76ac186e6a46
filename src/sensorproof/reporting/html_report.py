"""What the stages left -> one self-contained HTML page: no script, nothing loaded from anywhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorproof.data.dataset import PreparedDataset
from sensorproof.errors import SensorproofError
from sensorproof.models.storage import load_description
from sensorproof.reporting import formatting
from sensorproof.reporting.examples import draw_examples
from sensorproof.reporting.formatting import is_number, sensors_of
from sensorproof.reporting.gain_chart import gain_chart
from sensorproof.reporting.palette import class_colors
from sensorproof.reporting.summary import BASELINE, answer
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
from sensorproof.reporting.training_curves import read_history, to_ticks, training_chart
from sensorproof.settings import PromotionSettings

_WIDE = 3
"""Arms that fit side by side, sensor by sensor."""
FIX = "run `dvc repro evaluate`"


@dataclass(frozen=True)
class Options:
    """What the page takes from params.yaml: the gates, evaluate.confidence, report.examples and train.device."""

    register: PromotionSettings
    confidence: float
    examples: int
    device: str


def render_report(
    evaluation: Mapping[str, Any],
    verdict: Mapping[str, Any],
    data: PreparedDataset,
    runs: Mapping[str, Mapping[int, Path]],
    options: Options,
) -> str:
    """Write the page.

    Args:
        evaluation: artifacts/evaluation.json.
        verdict: artifacts/validation/verdict.json.
        data: prepared frames, less those in quarantine.
        runs: {arm: {seed: what stage train left of it}}, the first seed first; those of the evaluation.
        options: what to show.

    Raises:
        SensorproofError: the evaluation has no arm, or a run lacks its model or its history.
    """
    arms = evaluation.get("arms") or {}
    if not arms or not all(arm.get("seeds") and arm.get("subsets") for arm in arms.values()):
        raise SensorproofError("evaluation.json", "has an arm without seeds or subsets, or no arm", FIX)
    sensors = sensors_of(arms)
    groups = subset_groups(arms)
    firsts = {arm: next(iter(folders.items())) for arm, folders in runs.items()}
    examples, size = draw_examples(
        data,
        {arm: (seed, folder / "model") for arm, (seed, folder) in firsts.items()},
        options.examples,
        options.device,
    )
    histories = {
        (arm, seed): read_history(folder / "history.csv")
        for arm, all_seeds in runs.items()
        for seed, folder in all_seeds.items()
    }
    candidate = options.register.candidate
    shown = _few_arms(arms, candidate)
    return (
        environment()
        .get_template("report.html")
        .render(
            answer=answer(evaluation, options.register, options.confidence, same_network(firsts, candidate)),
            evaluation=evaluation,
            pairs=_pair_verdicts(verdict),
            quarantined=quarantined(evaluation, verdict),
            arms=list(arms),
            reference=reference_arm(arms),
            candidate=candidate,
            compared=BASELINE in arms and candidate in arms and candidate != BASELINE,
            seeds=max(len(arm["seeds"]) for arm in arms.values()),
            sensors=sensors,
            figures=FIGURES,
            scores=score_rows(arms),
            groups=groups,
            failure=failure_sentence(shown),
            scale=_score_scale(groups),
            gains=gain_chart(evaluation.get("gain") or {}),
            conditions=list(conditions(sensors)),
            class_arms=list(shown),
            classes=class_rows(shown),
            legend=list(zip(data.meta.class_names, class_colors(data.meta.class_names), strict=True)),
            meta=data.meta,
            examples=examples,
            size=size,
            test_frames=len(data.rows("test")),
            chart=training_chart(histories),
            confidence=options.confidence,
        )
    )


def _few_arms(arms: Mapping[str, Any], candidate: str) -> dict[str, Any]:
    """All arms up to WIDE; of more, the two that the page is about, so that a table stays readable."""
    if len(arms) <= _WIDE:
        return dict(arms)
    return {name: arm for name, arm in arms.items() if name in (reference_arm(arms), candidate)}


def environment() -> Any:
    """Templates whose values are escaped, and whose gaps are errors."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("sensorproof.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = ("arm_title", "points", "signed", "count", "share", "duration", "interval", "percent", "seeds", "join")
    made.filters |= {f"as_{name}": getattr(formatting, name) for name in words}
    return made


def same_network(firsts: Mapping[str, tuple[int, Path]], candidate: str) -> bool:
    """Candidate and baseline have the same architecture, sensors and classes; it says nothing of the weights."""
    if BASELINE not in firsts or candidate not in firsts:
        return False
    ours, theirs = (load_description(firsts[arm][1] / "model") for arm in (candidate, BASELINE))
    return ours == theirs


def _score_scale(groups: Iterable[Group]) -> dict[str, Any]:
    """The axis of the dots beside the subset table: tens around all scores."""
    values = [cell.value for group in groups for row in group.rows for cell in row.cells if is_number(cell.value)]
    known = [v for v in values if v is not None]
    low = max(0, int(min(known, default=0) // 10 * 10))
    high = min(100, int(-(-max(known, default=100) // 10) * 10))
    if high <= low:
        low, high = max(0, high - 10), max(high, 10)
    return {"low": low, "high": high, "ticks": to_ticks([low, (low + high) / 2, high], low, high)}


def quarantined(evaluation: Mapping[str, Any], verdict: Mapping[str, Any]) -> int | None:
    """Frames set aside, by the verdict where it says so."""
    for source in (verdict, evaluation.get("data") or {}):
        number = (source.get("frames") or {}).get("quarantined")
        if is_number(number):
            return int(number)
    return None


@dataclass(frozen=True)
class _PairLine:
    """What validation found of one sensor against the reference in one batch; `corner_px` is how far it is off."""

    batch: str
    sensor: str
    state: str
    reason: str
    corner_px: float | None


def _pair_verdicts(verdict: Mapping[str, Any]) -> list[_PairLine]:
    """Every pair that the verdict names, by batch; none where it names none."""
    return [
        _PairLine(
            str(batch),
            str(sensor),
            str(pair.get("state", "")),
            str(pair.get("reason", "")),
            pair["corner_px"] if is_number(pair.get("corner_px")) else None,
        )
        for batch, part in (verdict.get("batches") or {}).items()
        for sensor, pair in (part.get("pairs") or {}).items()
    ]
