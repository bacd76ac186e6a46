"""From the measures of the frames of one stream to a verdict on each sensor, frame by frame."""

from collections import deque
from collections.abc import Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensorproof.monitoring.measures import Pair

WINDOW = 8
"""Frames whose evidence is added up."""
RECOVERY = 3
"""A sensor with a fault in two of so many frames stays left out: one that fails now and then does not come and go."""
MEMORY = 2 * WINDOW + RECOVERY
"""Frames that a verdict can depend on, its own included."""
_MARGIN = 1.0
"""Log odds by which the evidence against one sensor must exceed that against any other."""
UNUSUAL = "unusual"
FROZEN = "frozen"
MISMATCH = "does not match the other sensors"
UNDECIDED = "do not match, and nothing says which of them is wrong"
RECOVERING = "was failing until just now"


@dataclass(frozen=True)
class FrameEvidence:
    """What speaks for and against each sensor in one frame."""

    unusual: dict[str, float]
    """{sensor: how unusual its image is; above 1 it is faulty}, of the sensors that the frame has."""
    digests: dict[str, int]
    """{sensor: a number for its image, 0 for one that shows nothing}."""
    log_odds: dict[Pair, float]
    """{pair: log odds that both show the same scene}."""


@dataclass(frozen=True)
class Verdict:
    """On one sensor in one frame."""

    failing: bool
    score: float
    """Above 1 for a sensor with a fault in this frame."""
    reason: str = ""
    """In words; empty for a sound sensor. One that does not match the only other sensor has a reason, and is used."""
    usable: NDArray[np.bool_] | None = None
    """(h, w) which blocks of a partly lost image still show something: the sensor is used there. None for none."""


@dataclass
class _Past:
    """A frame that was judged: its evidence, and the sensors that looked sound by themselves."""

    evidence: FrameEvidence
    sound: frozenset[str]


@dataclass
class Stream:
    """Frames in the order of time; a single frame is a stream of one.

    A verdict depends on the last MEMORY frames only: a stream that begins so many frames earlier says the same.
    """

    threshold: float
    """Evidence against a sensor, in log odds, that sound sensors seldom reach."""
    _past: deque[_Past] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _alarms: deque[frozenset[str]] = field(default_factory=lambda: deque(maxlen=RECOVERY))

    def judge(self, evidence: FrameEvidence) -> dict[str, Verdict]:
        """Judge the next frame: {sensor that the frame has: verdict}. At least one sensor is not failing."""
        scores = dict(evidence.unusual)
        reasons = {name: UNUSUAL for name, score in scores.items() if score > 1}
        for name in self._find_repeats(evidence):
            if name not in reasons:
                reasons[name], scores[name] = FROZEN, max(scores[name], 2.0)
        sound = frozenset(scores) - frozenset(reasons)
        self._past.append(_Past(evidence, sound))
        for name, certainty in self._find_mismatches(sound).items():
            reasons[name], scores[name] = MISMATCH, max(scores[name], certainty)
        undecided = self._do_two_disagree(sound - frozenset(reasons))
        recent = {name for name in scores if sum(name in alarms for alarms in self._alarms) > 1}
        self._alarms.append(frozenset(reasons))
        reasons |= {name: RECOVERING for name in recent if name not in reasons}
        if scores and len(reasons) == len(scores):
            del reasons[min(scores, key=lambda name: (name in self._alarms[-1], scores[name], name))]
        others = {name: f"{' and '.join(sorted(undecided))} {UNDECIDED}" for name in undecided}
        return {
            name: Verdict(name in reasons, score, reasons.get(name, others.get(name, "")))
            for name, score in scores.items()
        }

    def _do_two_disagree(self, sound: Set[str]) -> Set[str]:
        """Return the last two sound sensors if they do not match: nobody can say which of them is wrong."""
        if len(sound) != 2 or self.evidence_against(sorted(sound)) <= self.threshold:
            return frozenset()
        return sound

    def _find_repeats(self, evidence: FrameEvidence) -> list[str]:
        """List the sensors whose image is one of the last frames' again, while another sensor's is new."""
        repeated = {
            name
            for name, digest in evidence.digests.items()
            if digest and any(past.evidence.digests.get(name) == digest for past in self._past)
        }
        moved = any(digest and name not in repeated for name, digest in evidence.digests.items())
        return sorted(repeated) if moved else []

    def _find_mismatches(self, sound: Set[str]) -> dict[str, float]:
        """Return {sensor: evidence against it as a multiple of the threshold} of those that match no other.

        One sensor at a time is left out, that with most evidence against it, until the rest matches.
        """
        found: dict[str, float] = {}
        remaining = sorted(sound)
        while len(remaining) > 2:
            best, evidence = self._most_suspect(remaining)
            if evidence <= self.threshold:
                break
            found[best] = 1 + (evidence - self.threshold) / max(self.threshold, 1.0)
            remaining.remove(best)
        return found

    def _most_suspect(self, names: list[str]) -> tuple[str, float]:
        """Return the sensor with most evidence against it, over the last k frames for the best k, and that evidence."""
        best, most = names[0], -np.inf
        against = dict.fromkeys(names, 0.0)
        for past in reversed(self._past):
            for (a, b), odds in past.evidence.log_odds.items():
                if a in against and b in against and {a, b} <= past.sound:
                    against[a] -= odds
                    against[b] -= odds
            first, second = sorted(against, key=lambda name: -against[name])[:2]
            lead = against[first] - against[second]
            if against[first] > most and (lead > _MARGIN or len(names) == 2):
                best, most = first, against[first]
        return best, float(most)

    def evidence_against(self, names: list[str]) -> float:
        """Return the most evidence against any of the sensors; see `_most_suspect`."""
        return self._most_suspect(sorted(names))[1] if len(names) > 1 else -np.inf
