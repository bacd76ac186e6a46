"""The table of `sensorproof compare`: one row an arm."""

from collections.abc import Mapping
from typing import Any

from sensorproof.settings import BenchmarkDataset, CompareSettings

FIGURES = ("full", "mean", "worst", "spread")


def comparison_table(each: BenchmarkDataset, arms: Mapping[str, Any], settings: CompareSettings) -> str:
    """A Markdown table of one data set's arms: scores, gain over the baseline, lead of the default, time.

    Args:
        arms: what compare.compare_set returned.
    """
    base = arms["baseline"]["train_seconds"]
    seeds = len(arms["baseline"]["seeds"])
    lines = [
        f"### {each.name}: {seeds} seeds, {each.steps} steps, test split, mIoU in points",
        "",
        "| arm | strength | full | mean | worst | spread | mean − baseline"
        " | default − arm: full | mean | worst | time |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for arm, scores in arms.items():
        cells = [f"{scores[figure]['mean']:.1f} ± {scores[figure]['std']:.1f}" for figure in FIGURES]
        strength = "" if arm not in settings.strengths else f"{scores['strength']:g}"
        own = "" if arm == "baseline" else interval(scores["gain"]["mean"])
        lead = (
            [""] * 3
            if arm == "regularized_dropout"
            else [interval(scores["rivalry"][f]) for f in ("full", "mean", "worst")]
        )
        cost = f"{scores['train_seconds'] / base:.2f}"
        lines.append("| " + " | ".join([arm, strength, *cells, own, *lead, cost]) + " |")
    return "\n".join(lines)


def interval(gain: Mapping[str, Any]) -> str:
    low, high = gain["ci95"]
    return f"{gain['value']:+.1f} [{low:+.1f}, {high:+.1f}]"
