"""Format numbers and names for people. A value that is missing or not finite is a dash."""

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from sensorproof.documents.evaluation import ArmSummary
from sensorproof.evaluation.gates import is_finite

_DASH = "–"
_MINUS = "−"
_ARM_TITLES = {
    "regularized": "regularised",
    "regularized_dropout": "regularised + dropout",
    "modality_dropout": "modality dropout",
    "random_subset": "random subset",
    "single_modality": "single modality",
    "ogm_ge": "OGM-GE",
    "agm": "AGM",
}


def arm_title(arm: str) -> str:
    """Return an arm's name for people."""
    return _ARM_TITLES.get(arm, arm.replace("_", " "))


def is_number(value: object) -> TypeGuard[float]:
    """Return whether this is a number that can be shown: finite."""
    return is_finite(value)


def points(value: float | None) -> str:
    """Format points: `61.3`."""
    return f"{value:.1f}".replace("-", _MINUS) if is_number(value) else _DASH


def with_limit(value: float, limit: float) -> tuple[str, str]:
    """Format a value and its limit with as many decimals, up to four, as show that they differ: 1.03 and 1.00."""
    for digits in (1, 2, 3, 4):
        texts = tuple(f"{number:.{digits}f}".replace("-", _MINUS) for number in (value, limit))
        if value == limit or texts[0] != texts[1]:
            break
    return texts[0], texts[1]


def signed(value: float | None) -> str:
    """Format a difference: `+2.1`, `−0.4`; `0.0` has no sign, as it is zero only to one decimal."""
    if not is_number(value):
        return _DASH
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", _MINUS)


def count(value: float | None) -> str:
    """Format a count: `348,967`."""
    return f"{value:,.0f}" if is_number(value) else _DASH


def share(value: float | None) -> str:
    """Format a fraction as a percentage: `12.3 %`; what is small but not zero is `< 0.1 %`."""
    if not is_number(value):
        return _DASH
    return "< 0.1 %" if 0 < value < 0.001 else f"{100 * value:.1f} %"


def duration(seconds: float | None) -> str:
    """Format a duration: `0.4 s`, `48 s`, `3 min 20 s`, `2 h 5 min`."""
    if not is_number(seconds):
        return _DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def percent(confidence: float) -> str:
    """Format a confidence as `95 %`, with a space that does not break."""
    return f"{100 * confidence:g}\N{NO-BREAK SPACE}%"


def interval(ends: Sequence[float | None], confidence: float) -> str:
    """Format an interval: `95 % interval +1.2 to +3.4`, or say that there is none."""
    low, high = ends
    if low is None or high is None:
        return "no interval: one seed"
    return f"{percent(confidence)} interval {signed(low)} to {signed(high)}"


def seeds(number: int) -> str:
    """Format a number of seeds: `1 seed`, `3 seeds`."""
    return "1 seed" if number == 1 else f"{number} seeds"


def join(words: Sequence[str]) -> str:
    """Join words: `a, b and c`."""
    return " and ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), *words[-1:]])


def sensors_of(arms: Mapping[str, ArmSummary]) -> list[str]:
    """List every sensor that a subset names, sorted."""
    return sorted({sensor for arm in arms.values() for name in arm.subsets for sensor in name.split("+")})


def subset_label(subset: Sequence[str], sensors: Sequence[str]) -> str:
    """Name a subset: `all sensors`, `without camera`, `only lidar`, `camera + depth`."""
    missing = [s for s in sensors if s not in subset]
    if not missing:
        return "all sensors" if len(sensors) > 1 else f"only {sensors[0]}"
    if len(subset) == 1:
        return f"only {subset[0]}"
    return f"without {missing[0]}" if len(missing) == 1 else " + ".join(subset)
