"""Stage validate: measure the alignment of every batch, quarantine faulty frames, refuse a faulty batch."""

from pathlib import Path

import pandas as pd

from sensorproof.alignment.decision.findings import FAULT_COLUMNS
from sensorproof.alignment.decision.verdict import BatchVerdict
from sensorproof.artifacts import PREPARED, QUARANTINED, VALIDATION, VERDICT
from sensorproof.console import report_errors
from sensorproof.data.metadata import read_meta, read_prepared_frames, usable_frames
from sensorproof.data.prepare import read_batches
from sensorproof.data.split_checks import check_sensors, check_splits
from sensorproof.data.splits import first_time
from sensorproof.documents.validation import ValidationRecord
from sensorproof.files import write_text
from sensorproof.progress import Progress
from sensorproof.settings import load_settings
from sensorproof.validation import validate_batch


@report_errors
def main() -> None:
    """Validate all batches; exit code 4 if one is refused."""
    settings = load_settings()
    verdicts: list[BatchVerdict] = []
    # In order of time, because the quarantined frames of a batch are no training data for the next one.
    for batch in sorted(read_batches(Path(settings.data.raw)), key=lambda b: (first_time(b), b.name)):
        progress = Progress(f"parts of {batch.name} measured")
        verdicts.append(validate_batch(batch.root, settings, VALIDATION / batch.name, progress=progress))
        print("\n".join(verdicts[-1].lines()))
    faults = pd.concat([verdict.faults for verdict in verdicts], ignore_index=True)[FAULT_COLUMNS]
    write_text(QUARANTINED, faults.to_csv(index=False, lineterminator="\n"))
    ValidationRecord.of(verdict.record() for verdict in verdicts).write(VERDICT)
    if refused := [verdict for verdict in verdicts if verdict.refused]:
        raise refused[0].refusal()
    check_usable(settings.data.raw)


def check_usable(raw: str) -> None:
    """Check that the frames that are left still show every sensor in every split."""
    frames = usable_frames(read_prepared_frames(PREPARED), QUARANTINED)
    check_splits(raw, frames)
    check_sensors(raw, frames, sorted(read_meta(PREPARED).sensors))


if __name__ == "__main__":
    main()
