"""Stage prepare: batches of files become arrays at training size."""

import sys

from sensorproof.artifacts import PREPARED, PREPARED_SHARDS
from sensorproof.console import report_errors
from sensorproof.data.prepare import prepare
from sensorproof.progress import Progress
from sensorproof.settings import load_settings

SHOWN = 10
"""Faults to print; all are in frames.csv of the prepared data."""


@report_errors
def main() -> None:
    """Prepare every batch and print what there is and what was left out."""
    settings = load_settings()
    meta, frames, warnings = prepare(
        settings.data,
        PREPARED,
        cache=PREPARED_SHARDS,
        workers=settings.compute.workers,
        progress=Progress("parts of the frames prepared"),
    )
    counts = ", ".join(f"{count} {split}" for split, count in meta.frames.items())
    print(f"prepared {', '.join(meta.batches)}: {counts} frames of {len(meta.sensors)} sensors")
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    faults = frames.fault[frames.fault != ""]
    if unlabelled := int((~frames.labelled).sum()):
        print(f"frames without a label, which are not used for training: {unlabelled}")
    if len(faults):
        print(f"frames left out because of faults: {len(faults)}", file=sys.stderr)
    for fault in faults[:SHOWN]:
        print(f"warning: {fault}", file=sys.stderr)


if __name__ == "__main__":
    main()
