"""Stage prepare: batches of files -> arrays at training size."""

import sys

from sensorproof.artifacts import PREPARED
from sensorproof.cli.errors import report_errors
from sensorproof.data.prepare import prepare
from sensorproof.settings import load_settings

SHOWN = 10
"""Faults that are written out; all are in frames.csv of the prepared data."""


@report_errors
def main() -> None:
    meta, frames = prepare(load_settings().data, PREPARED)
    counts = ", ".join(f"{n} {split}" for split, n in meta.frames.items())
    print(f"prepared {', '.join(meta.batches)}: {counts} frames of {len(meta.sensors)} sensors")
    faults = frames.fault[frames.fault != ""]
    if unlabelled := int((~frames.labelled).sum()):
        print(f"{unlabelled} frames have no label and train nothing")
    if len(faults):
        print(f"{len(faults)} frames left out for their faults", file=sys.stderr)
    for fault in faults[:SHOWN]:
        print(f"warning: {fault}", file=sys.stderr)


if __name__ == "__main__":
    main()
