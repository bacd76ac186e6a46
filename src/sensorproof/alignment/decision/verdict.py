"""The verdict on a batch: accepted, accepted with quarantined frames, or refused."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from sensorproof.alignment.decision.findings import FAULT_COLUMNS
from sensorproof.documents.validation import BatchRecord, DriftRecord, PairRecord, VerdictFrames
from sensorproof.errors import EXIT_QUARANTINED, EXIT_REFUSED, RejectedError

_SHOWN_REASONS = 5
"""Reasons in the one line of a refusal; the record has all of them."""


@dataclass(frozen=True)
class BatchVerdict:
    """The result of a validation."""

    batch: str
    """Name of the batch."""
    suite: str
    """Name of the suite of rules."""
    frames: int
    quarantined: int
    """Frames in quarantine."""
    released: int
    """Frames at fault that a person has released."""
    all_faults: pd.DataFrame
    """Faults with FAULT_COLUMNS and `released`; those of released frames included."""
    reasons: tuple[str, ...]
    """Why the batch is refused; empty if it is not."""
    warnings: tuple[str, ...]
    pairs: Mapping[str, PairRecord]
    """{sensor: its state against the reference}."""
    drift: DriftRecord | None
    """Difference from the training data; None if there is nothing to compare with."""

    @property
    def faults(self) -> pd.DataFrame:
        """Why frames are quarantined: a row per frame, sensor and measure at fault, with FAULT_COLUMNS."""
        return self.all_faults.loc[~self.all_faults.released, FAULT_COLUMNS].reset_index(drop=True)

    @property
    def refused(self) -> bool:
        """Whether the batch is refused."""
        return bool(self.reasons)

    @property
    def exit_code(self) -> int:
        """Exit code of a command: 0 accepted, 3 some frames quarantined, 4 refused."""
        if self.refused:
            return EXIT_REFUSED
        return EXIT_QUARANTINED if self.quarantined else 0

    def refusal(self) -> RejectedError:
        """Return the error of a refused batch: one line with the reasons."""
        more = len(self.reasons) - _SHOWN_REASONS
        text = "; ".join(self.reasons[:_SHOWN_REASONS]) + (f"; and {more} more" if more > 0 else "")
        fix = "fix the sensor rig, its clocks or the files (docs/explanation/alignment.md)"
        return RejectedError(self.batch, f"is refused: {text}", fix)

    def lines(self) -> list[str]:
        """Return the verdict as lines of text."""
        lines = [f"{self.batch}: {self.frames} frames, {self.quarantined} quarantined, {self.released} released"]
        lines += [f"  {sensor}: {pair.state} ({pair.reason})" for sensor, pair in self.pairs.items()]
        for _, rows in self.faults.groupby(["sensor", "measure"], sort=False):
            same_reason = rows.reason.nunique() == 1
            more = f" ({len(rows)} frames)" if same_reason else f", and {len(rows) - 1} more like it"
            lines.append(f"  quarantined: {rows.reason.iloc[0]}" + (more if len(rows) > 1 else ""))
        lines += [f"  warning: {warning}" for warning in self.warnings]
        lines += [f"  drift: {self.drift.reason}"] if self.drift and not self.drift.drifted else []
        lines += [f"  refused: {reason}" for reason in self.reasons]
        return lines

    def record(self) -> BatchRecord:
        """Return the verdict as a document; the same data give the same document, because it holds no time."""
        return BatchRecord(
            batch=self.batch,
            suite=self.suite,
            decision="refused" if self.refused else "accepted",
            reasons=self.reasons,
            warnings=self.warnings,
            frames=VerdictFrames(total=self.frames, quarantined=self.quarantined, released=self.released),
            pairs=dict(self.pairs),
            by_measure={str(k): int(v) for k, v in self.faults.measure.value_counts().sort_index().items()},
            drift=self.drift,
        )
