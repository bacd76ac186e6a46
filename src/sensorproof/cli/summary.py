"""`sensorproof summary`: what the last run came to, in a few lines."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sensorproof.artifacts import REPORT, SUMMARY
from sensorproof.files import read_json


def summary(path: Annotated[Path, typer.Argument(help="a summary.json")] = SUMMARY) -> None:
    """Print scores, gain and decision of a run."""
    document = read_json(path)
    print(f"\n{'mIoU, test split':<20}{'full':>14}{'mean':>14}{'worst':>14}")
    for arm, scores in document["arms"].items():
        cells = "".join(f"{scores[f]['mean']:>8.1f} ± {scores[f]['std']:<3.1f}" for f in ("full", "mean", "worst"))
        print(f"{arm:<20}{cells}")
    print("\n".join(f"gain in {figure}: {_show_gain(document['gain'][figure])}" for figure in document["gain"]))
    promotion = document["promotion"]
    print(f"{promotion['decision']}: {promotion['model']} version {promotion['version']}")
    for gate in promotion["gates"]:
        if not gate["passed"]:
            value = "no figure" if gate["value"] is None else f"{gate['value']:.4g}"
            print(f"  gate {gate['name']}: {value} against {gate['threshold']:g}")
    print(f"report: {REPORT}")


def _show_gain(gain: dict[str, Any]) -> str:
    low, high = gain["ci95"]
    interval = "one seed, no interval" if low is None else f"95 % interval {low:+.1f} to {high:+.1f}"
    return f"{gain['value']:+.1f} points ({interval})"
