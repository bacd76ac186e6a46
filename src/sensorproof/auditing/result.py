"""What an audit found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sensorproof.auditing.output import write_audit
from sensorproof.documents.audit import AuditRecord
from sensorproof.evaluation.subsets import SubsetScores

Missing = Literal["auto", "drop", "zero", "mean"]


@dataclass(frozen=True)
class Audit:
    """How a model depends on its sensors."""

    scores: SubsetScores
    """mIoU of every subset, in points. A subset that the model gives no answer for is not among them."""
    missing: Missing
    """How a missing sensor was presented: left out (`drop`), as zeros, or as its mean over the batch."""
    frames: int
    """Labelled frames that were scored."""
    record: AuditRecord
    """All of this and, where asked for, the scores with broken sensors: the content of audit.json."""

    @property
    def failed(self) -> dict[str, str]:
        """{subset that the model gives no answer for: reason}."""
        return self.record.failed

    def write(self, out: str | Path) -> None:
        """Write the report: audit.html, audit.json and the tables as CSV.

        Args:
            out: a folder that is new, empty, or of an earlier audit, which is replaced.

        Raises:
            UsageError: it holds anything else.
        """
        write_audit(self.record, Path(out))
