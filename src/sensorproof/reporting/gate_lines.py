"""The gates in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

from sensorproof.documents import promotion as names
from sensorproof.evaluation.gates import Gate
from sensorproof.reporting.formatting import signed, span, with_limit
from sensorproof.reporting.language import _, mark
from sensorproof.reporting.recorded import translate_recorded

_TITLES = {
    names.COMPLETE: mark("Every figure is there and finite"),
    names.GAIN_BASELINE: mark("Gain in the mean over subsets, lower end of its interval"),
    names.LOSS_FULL: mark("Loss with all sensors"),
    names.WORST_SUBSET: mark("Score with the worst subset"),
    names.CLASS_LOSS: mark("Largest loss of a class"),
    names.SITE_LOSS: mark("Largest loss of a site"),
    names.CONDITION_LOSS: mark("Largest loss of a condition"),
    names.SILENT_LOSS: mark("Loss while a sensor fails silently, against the baseline"),
    names.FALSE_ALARMS: mark("Share of sound images that the monitor leaves out"),
}
"""Of the gates that can be judged without asking the registry."""


@dataclass(frozen=True)
class GateLine:
    """One gate in plain words; `interval` is empty where there is none."""

    title: str
    value: str
    demand: str
    interval: str
    note: str
    passed: bool


def gate_title(name: str) -> str:
    """Return the name of a gate for people."""
    return _(_TITLES[name])


def gate_lines(gates: Sequence[Gate]) -> list[GateLine]:
    """Put each gate in plain words."""
    return [gate_line(gate) for gate in gates]


def gate_line(gate: Gate) -> GateLine:
    """Put one gate in plain words."""
    title = gate_title(gate.name)
    if gate.name == names.COMPLETE:
        faults = _("%(faults)s missing", faults=f"{gate.value:.0f}") if gate.value else _("complete")
        return GateLine(title, faults, _("complete"), "", "", gate.passed)
    ends = "" if gate.interval is None else span(*gate.interval)
    value, demand = _value_and_demand(gate)
    return GateLine(title, value, demand, ends, translate_recorded(gate.note.replace("gain -", "gain −")), gate.passed)


def _value_and_demand(gate: Gate) -> tuple[str, str]:
    """Format what was measured, and what is asked for."""
    if gate.name == names.GAIN_BASELINE:
        missing = _("no interval") if "interval" in gate.reason else _("not measured")
        demand = _("above %(limit)s", limit=signed(gate.threshold))
        return missing if gate.value is None else signed(gate.value), demand
    if gate.value is None:
        return _("not measured"), _("measured")
    if gate.name == names.FALSE_ALARMS:
        return f"{gate.value:.4f}", _("at most %(limit)s", limit=f"{gate.threshold:g}")
    if gate.name == names.WORST_SUBSET:
        value, limit = with_limit(gate.value, gate.threshold)
        return value, _("at least %(limit)s", limit=limit)
    value, limit = with_limit(max(0.0, gate.value), gate.threshold)
    return value, _("at most %(limit)s", limit=limit)
