"""The decision on a candidate: its gates, and what became of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow_registry import MODEL, Version
from sensorproof.documents import GateRecord, HoldoutRecord, PromotionRecord
from sensorproof.documents.promotion import describe_gate
from sensorproof.evaluation.gates import Gate, is_promoted, list_reasons

_APPROVAL = "approval"
"""Stands before the reason of a person who refused a candidate."""


@dataclass(frozen=True)
class PromotionDecision:
    """The decision on a candidate; `version` is None where there was no model to register."""

    version: int | None
    gates: list[Gate]
    forced: bool = False
    """A person promoted it although a gate failed."""
    needs_approval: bool = False
    """A candidate that passes waits for a person."""
    turned_down: str = ""
    """Who refused it although it passed, and why."""
    holdout: HoldoutRecord | None = None
    """What candidate and champion were scored on; None in decisions of earlier versions."""
    skipped: tuple[str, ...] = ()
    """What was not compared, and why."""

    @property
    def outcome(self) -> Literal["promoted", "refused", "waiting"]:
        """What became of the candidate."""
        if self.forced:
            return "promoted"
        if self.turned_down or not is_promoted(self.gates):
            return "refused"
        return "waiting" if self.needs_approval else "promoted"

    def to_record(self) -> PromotionRecord:
        """Return the object `promotion` of summary.json."""
        return PromotionRecord(
            decision=self.outcome,
            model=MODEL,
            version=self.version,
            gates=tuple(gate.to_record() for gate in self.gates),
            reasons=(*list_reasons(self.gates), *([f"{_APPROVAL}: {self.turned_down}"] if self.turned_down else [])),
            holdout=self.holdout,
            skipped=self.skipped,
        )

    def tags(self) -> dict[str, str]:
        """Return the tags that a version or a run keeps of the decision."""
        record = self.to_record()
        return {
            tag.DECISION: record.decision,
            tag.GATES: json.dumps([gate.to_json() for gate in record.gates]),
            tag.HOLDOUT: json.dumps(record.holdout and record.holdout.to_json()),
            tag.FORCED: "yes" if self.forced else "no",
            tag.REASONS: "\n".join(record.reasons) or tag.NO_REASON,
            **({tag.SKIPPED: json.dumps(record.skipped)} if record.skipped else {}),
        }

    @classmethod
    def from_tags(cls, version: int, tags: Mapping[str, str]) -> "PromotionDecision":
        """Read a decision from the tags of its version."""
        reasons = dict(line.split(": ", 1) for line in tags[tag.REASONS].splitlines() if ": " in line)
        records = [GateRecord.parse(gate, f"tag {tag.GATES}") for gate in json.loads(tags[tag.GATES])]
        gates = [Gate.from_record(record, reasons.get(record.name, "")) for record in records]
        forced, waiting = tags.get(tag.FORCED) == "yes", tags[tag.DECISION] == "waiting"
        known = json.loads(tags.get(tag.HOLDOUT, "null"))
        holdout = None if known is None else HoldoutRecord.parse(known, f"tag {tag.HOLDOUT}")
        skipped = tuple(map(str, json.loads(tags.get(tag.SKIPPED, "[]"))))
        return cls(version, gates, forced, waiting, reasons.get(_APPROVAL, ""), holdout, skipped)

    @staticmethod
    def is_refused_by_hand(tags: Mapping[str, str]) -> bool:
        """Return whether a person has refused the version of these tags; a later run does not decide again."""
        return any(line.startswith(f"{_APPROVAL}: ") for line in tags.get(tag.REASONS, "").splitlines())

    def describe(self, version: Version) -> str:
        """Describe the decision in Markdown, for the version's page in MLflow."""
        verdict = {"promoted": "Promoted", "refused": "Refused", "waiting": "Waits for approval"}[self.outcome]
        if self.forced:
            verdict += " by hand, against its gates"
        if self.turned_down:
            verdict += f" by hand, although it passed, by {self.turned_down.removeprefix('refused by ')}"
        origin = f"Arm {version.arm}, seed {version.tags.get(tag.SEED)}, the arm's best on validation data."
        lines = [f"{verdict}. {origin}", ""]
        for gate in self.gates:
            mark = "passed" if gate.passed else f"**failed**: {gate.reason}"
            lines.append(f"- {describe_gate(gate.to_record())}: {mark}")
        lines += [f"- skipped: {text}" for text in self.skipped]
        if self.holdout is not None:
            lines += ["", f"Hold-out: {self.holdout.frames} frames, SHA-256 {self.holdout.hash}"]
        return "\n".join(lines)
