"""Stage validate: measure the alignment of every batch, judge it, set frames aside or refuse a batch."""

from pathlib import Path

import pandas as pd

from sensorproof.alignment.decision.verdict import FAULT_COLUMNS, BatchVerdict
from sensorproof.artifacts import QUARANTINED, VALIDATION, VERDICT
from sensorproof.cli.errors import report_errors
from sensorproof.data.prepare import read_batches
from sensorproof.data.splits import first_time
from sensorproof.files import write_json, write_text
from sensorproof.settings import load_settings
from sensorproof.validation import validate_batch


@report_errors
def main() -> None:
    settings = load_settings()
    verdicts: list[BatchVerdict] = []
    # In the order of time: what is set aside in one batch is no training data for the next.
    for batch in sorted(read_batches(Path(settings.data.raw)), key=lambda each: (first_time(each), each.name)):
        verdicts.append(validate_batch(batch.root, settings, VALIDATION / batch.name))
        print("\n".join(verdicts[-1].lines()))
    faults = pd.concat([v.faults for v in verdicts], ignore_index=True)[FAULT_COLUMNS]
    write_text(QUARANTINED, faults.to_csv(index=False, lineterminator="\n"))
    totals = {key: sum(v.to_json()["frames"][key] for v in verdicts) for key in ("total", "quarantined", "released")}
    refused = [v for v in verdicts if v.refused]
    write_json(
        VERDICT,
        {
            "decision": "refused" if refused else "accepted",
            "frames": totals,
            "batches": {v.batch: v.to_json() for v in verdicts},
        },
    )
    if refused:
        raise refused[0].refusal()


if __name__ == "__main__":
    main()
