"""The outcomes of injected faults as a Markdown table, and a sentence on each goal."""

from collections.abc import Sequence

from sensorproof.benchmarks.faults import RIG, Outcome

_TIMESTAMP_FAULTS = ("single timestamps", "clock offset", "clock drift", "clock jitter")
_SHIFT_GOAL_PX = 0.25
"""Goal for the 90th percentile of a shift's error."""


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return a table with a row per fault and size, all pairs together, and a sentence on each goal."""
    lines = [
        "| fault | size | corner, px | found of measurable | abstained | false alarms | largest error, px |",
        "|---|---|---|---|---|---|---|",
    ]
    # Whether a fault is critical depends on the size of the images: such a fault has a row for either case.
    sizes = dict.fromkeys((o.fault, o.size) for o in outcomes if o.fault != "none")
    for fault, size, critical in ((*key, critical) for key in sizes for critical in (False, True)):
        rows = [o for o in outcomes if (o.fault, o.size, o.critical) == (fault, size, critical)]
        if not rows:
            continue
        bold = "**" if critical else ""
        cells = (f"{bold}{fault}{bold}", size, _corner_range(rows), _found_of_measurable(rows, percent=False),
                 str(_total(rows, "abstained")), str(_total(rows, "false_alarms")), _largest_error(rows))  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {line}" for line in goals(outcomes))])


def goals(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a sentence each on detection at critical size, on misses, on false alarms, and on the error of shifts."""
    critical = [o for o in outcomes if o.critical]
    rigs = [o for o in critical if RIG in o.fault]
    timestamps = [o for o in critical if o.fault in _TIMESTAMP_FAULTS]
    images = [o for o in critical if o not in rigs and o not in timestamps]
    missed = [f"{o.batch} {o.sensor}, {o.fault} {o.size}: {_misses(o)}" for o in critical if _misses(o)]
    none, faulty = [o for o in outcomes if o.fault == "none"], [o for o in outcomes if o.fault != "none"]
    frames = sum(max(o.fault_free for o in none if o.batch == batch) for batch in {o.batch for o in none})
    errors = [o for o in outcomes if o.error_px is not None and RIG not in o.fault]
    worst = max(errors, key=lambda o: o.error_px or 0.0, default=None)
    within = sum((o.error_px or 0.0) <= _SHIFT_GOAL_PX for o in errors)
    return [
        f"Critical faults found: {_found_of_measurable(images)} in images, {_found_of_measurable(timestamps)} in "
        f"timestamps, {_found_of_measurable(rigs)} in rigs. "
        f"Unmeasurable with the fault: {_total(images, 'abstained')} images, {_total(rigs, 'abstained')} rigs.",
        f"Missed: {'; '.join(missed) or 'none'}.",
        f"False alarms in fault-free batches: {_total(none, 'false_alarms')} in {frames} frames "
        f"({_total(none, 'fault_free')} pairs of a frame and a sensor){_by_pair(none)}; in batches with faults: "
        f"{_total(faulty, 'false_alarms')} in {_total(faulty, 'fault_free')} pairs without a fault{_by_pair(faulty)}.",
        f"90th percentile of the shift's error: at most {_SHIFT_GOAL_PX} px in {within} of {len(errors)} pairs and "
        "sizes" + (f"; worst {worst.error_px:.2f} px ({worst.batch} {worst.sensor}, {worst.size})." if worst else "."),
    ]


def _misses(outcome: Outcome) -> int:
    """Return the number of faults that are neither found nor unmeasurable."""
    return outcome.measurable - outcome.abstained - outcome.found


def _total(outcomes: Sequence[Outcome], name: str) -> int:
    """Return the sum of a count."""
    return sum(getattr(o, name) for o in outcomes)


def _found_of_measurable(outcomes: Sequence[Outcome], percent: bool = True) -> str:
    """Return the number of faults found and of faults that could be measured, with the percentage if wanted."""
    found, measurable = _total(outcomes, "found"), _total(outcomes, "measurable") - _total(outcomes, "abstained")
    text = f"{found} of {measurable}"
    return f"{text} ({100 * found / measurable:.2f} %)" if percent and measurable else text


def _by_pair(outcomes: Sequence[Outcome]) -> str:
    """Return the pairs with false alarms and their numbers."""
    pairs = dict.fromkeys((o.batch, o.sensor) for o in outcomes if o.false_alarms)
    counts = {pair: _total([o for o in outcomes if (o.batch, o.sensor) == pair], "false_alarms") for pair in pairs}
    return f": {', '.join(f'{batch} {sensor} {n}' for (batch, sensor), n in counts.items())}" if counts else ""


def _corner_range(outcomes: Sequence[Outcome]) -> str:
    """Return the smallest and largest displacement of a corner, over images of all sizes."""
    known = sorted({f"{o.corner_px:.1f}" for o in outcomes if o.corner_px is not None}, key=float)
    return "–".join(dict.fromkeys([known[0], known[-1]])) if known else ""


def _largest_error(outcomes: Sequence[Outcome]) -> str:
    """Return the largest error of any pair; empty if none is known."""
    known = [o.error_px for o in outcomes if o.error_px is not None]
    return f"{max(known):.2f}" if known else ""
