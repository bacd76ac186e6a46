"""The outcomes of injected faults as a table that a person can read, and what they say of the goals."""

from collections.abc import Sequence

from sensorproof.benchmarks.faults import RIG, Outcome

_STAMPS = ("single stamps", "clock offset", "clock drift", "clock jitter")
_SHIFT_PX = 0.25
"""Goal for the 90th percentile of a shift's error."""


def summary(outcomes: Sequence[Outcome]) -> str:
    """A table with a row per fault and size, all pairs together, and a sentence per goal."""
    lines = [
        "| fault | size | corner, px | found of measurable | abstained | false alarms | largest error, px |",
        "|---|---|---|---|---|---|---|",
    ]
    # What is critical depends on the size of the images: such a fault has a row for either.
    sizes = dict.fromkeys((o.fault, o.size) for o in outcomes if o.fault != "none")
    for key in ((*size, critical) for size in sizes for critical in (False, True)):
        part = [o for o in outcomes if (o.fault, o.size, o.critical) == key]
        if not part:
            continue
        bold = "**" if key[2] else ""
        cells = (f"{bold}{key[0]}{bold}", key[1], corners(part), fraction(part, percent=False),
                 str(total(part, "abstained")), str(total(part, "false_alarms")), _largest_error(part))  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {line}" for line in goals(outcomes))])


def goals(outcomes: Sequence[Outcome]) -> list[str]:
    """Detection at critical size, false alarms, and the error of shifts: a sentence each."""
    critical = [o for o in outcomes if o.critical]
    rigs, stamps = [o for o in critical if RIG in o.fault], [o for o in critical if o.fault in _STAMPS]
    frames = [o for o in critical if o not in rigs and o not in stamps]
    missed = [f"{o.batch} {o.sensor}, {o.fault} {o.size}: {lost(o)}" for o in critical if lost(o)]
    none, faulty = [o for o in outcomes if o.fault == "none"], [o for o in outcomes if o.fault != "none"]
    clean = sum(max(o.sound for o in none if o.batch == batch) for batch in {o.batch for o in none})
    errors = [o for o in outcomes if o.error_px is not None and RIG not in o.fault]
    worst = max(errors, key=lambda o: o.error_px or 0.0, default=None)
    within = sum((o.error_px or 0.0) <= _SHIFT_PX for o in errors)
    return [
        f"Critical faults found: {fraction(frames)} in images, {fraction(stamps)} in stamps, "
        f"{fraction(rigs)} in rigs. "
        f"Unmeasurable with the fault: {total(frames, 'abstained')} images, {total(rigs, 'abstained')} rigs.",
        f"Missed: {'; '.join(missed) or 'none'}.",
        f"False alarms in sound batches: {total(none, 'false_alarms')} in {clean} frames "
        f"({total(none, 'sound')} pairs of a frame and a sensor){_by_pair(none)}; "
        f"beside frames at fault: {total(faulty, 'false_alarms')} in {total(faulty, 'sound')} pairs{_by_pair(faulty)}.",
        f"90th percentile of the shift's error: at most {_SHIFT_PX} px in {within} of {len(errors)} pairs and sizes"
        + (f"; worst {worst.error_px:.2f} px ({worst.batch} {worst.sensor}, {worst.size})." if worst else "."),
    ]


def lost(outcome: Outcome) -> int:
    """Faults that are neither found nor abstained from."""
    return outcome.measurable - outcome.abstained - outcome.found


def total(outcomes: Sequence[Outcome], name: str) -> int:
    return sum(getattr(o, name) for o in outcomes)


def fraction(outcomes: Sequence[Outcome], percent: bool = True) -> str:
    """Found of measurable, with the percentage if wanted."""
    found, of = total(outcomes, "found"), total(outcomes, "measurable") - total(outcomes, "abstained")
    return f"{found} of {of} ({100 * found / of:.2f} %)" if percent and of else f"{found} of {of}"


def _by_pair(outcomes: Sequence[Outcome]) -> str:
    """The pairs that have false alarms, with their number."""
    pairs = dict.fromkeys((o.batch, o.sensor) for o in outcomes if o.false_alarms)
    counts = {pair: total([o for o in outcomes if (o.batch, o.sensor) == pair], "false_alarms") for pair in pairs}
    return f": {', '.join(f'{batch} {sensor} {n}' for (batch, sensor), n in counts.items())}" if counts else ""


def corners(outcomes: Sequence[Outcome]) -> str:
    """How far a fault moves corners, over images of all sizes."""
    known = sorted({f"{o.corner_px:.1f}" for o in outcomes if o.corner_px is not None}, key=float)
    return "–".join(dict.fromkeys([known[0], known[-1]])) if known else ""


def _largest_error(outcomes: Sequence[Outcome]) -> str:
    known = [o.error_px for o in outcomes if o.error_px is not None]
    return f"{max(known):.2f}" if known else ""
