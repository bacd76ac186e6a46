"""`sensorproof summary`: the result of the last run in a few lines."""

from pathlib import Path
from typing import Annotated

import typer

from sensorproof.artifacts import REPORT, SUMMARY


def summary(path: Annotated[Path, typer.Argument(help="a summary.json")] = SUMMARY) -> None:
    """Print scores, gain and decision of a run."""
    from sensorproof.documents import Summary
    from sensorproof.documents.evaluation import FIGURES
    from sensorproof.documents.promotion import describe_gate

    document = Summary.read(path)
    print(f"\n{'mIoU, test split':<20}{'full':>14}{'mean':>14}{'worst':>14}")
    for arm, scores in document.arms.items():
        statistics = [scores.figure(figure) for figure in FIGURES]
        print(f"{arm:<20}" + "".join(f"{s.mean:>8.1f} ± {s.std:<3.1f}" for s in statistics))
    for figure, gain in document.gains.items():
        low, high = gain.ci95
        known = low is not None and high is not None
        interval = f"interval {low:+.1f} to {high:+.1f}" if known else "one seed, no interval"
        print(f"gain in {figure}: {gain.value:+.1f} points ({interval})")
    promotion = document.promotion
    print(f"{promotion.decision}: {promotion.model} version {promotion.version}")
    for text in promotion.skipped:
        print(f"  skipped  {text}")
    for gate in promotion.gates:
        print(f"  {'passed' if gate.passed else 'FAILED'}  {describe_gate(gate)}")
    if promotion.holdout is not None:
        print(f"  scored on {promotion.holdout.frames} frames, SHA-256 {promotion.holdout.hash[:12]}…")
    print(f"report: {REPORT}")
