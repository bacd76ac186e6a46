"""The table of `sensorproof compare`: one row an arm."""

from collections.abc import Mapping

from sensorproof.documents import BASELINE, CANDIDATE, FIGURES, FIGURES_AND_SPREAD, ComparedArm, Estimate, Gain
from sensorproof.settings import BenchmarkDataset, CompareSettings


def comparison_table(dataset: BenchmarkDataset, arms: Mapping[str, ComparedArm], settings: CompareSettings) -> str:
    """Write a Markdown table of one data set's arms: scores, gain over the baseline, gain of the candidate, time.

    Args:
        dataset: the data set.
        arms: from `compare_dataset`.
        settings: the strengths to choose from; an arm without any shows none.
    """
    base, shares = arms[BASELINE], any(scores.share for scores in arms.values())
    lines = [
        f"### {dataset.name}: {len(base.seeds)} seeds, {dataset.steps} steps, test split, mIoU in points",
        "",
        "| arm | strength | full | mean | worst | spread | mean − baseline"
        f" | {CANDIDATE} − arm: full | mean | worst | time |" + (" share of the specialists' gain |" if shares else ""),
        "|---|---|---|---|---|---|---|---|---|---|---|" + ("---|" if shares else ""),
    ]
    for arm, scores in arms.items():
        statistics = [scores.figure(figure) for figure in FIGURES_AND_SPREAD]
        cells = [f"{statistic.mean:.1f} ± {statistic.std:.1f}" for statistic in statistics]
        strength = "" if arm not in settings.strengths else f"{scores.strength:g}"
        over_baseline = "" if arm == BASELINE else _interval(scores.gain.mean)
        of_candidate = ["" if arm == CANDIDATE else _interval(scores.gain_of_candidate.figure(f)) for f in FIGURES]
        time = f"{scores.train_seconds / base.train_seconds:.2f}"
        share = [_share(scores.share)] if shares else []
        lines.append("| " + " | ".join([arm, strength, *cells, over_baseline, *of_candidate, time, *share]) + " |")
    return "\n".join(lines)


def _interval(gain: Gain) -> str:
    """Format a gain with its interval: `+1.2 [+0.3, +2.1]`."""
    ends = ", ".join("none" if end is None else f"{end:+.1f}" for end in gain.ci95)
    return f"{gain.value:+.1f} [{ends}]"


def _share(share: Estimate | None) -> str:
    """Format a share with its interval, in percent: `51 % [40, 64]`."""
    if share is None:
        return ""
    ends = ", ".join("none" if end is None else f"{100 * end:.0f}" for end in share.interval)
    return f"{100 * share.value:.0f} % [{ends}]"
