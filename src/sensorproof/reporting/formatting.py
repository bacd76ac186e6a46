"""Format numbers and names for people. A value that is missing or not finite is a dash."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard

from sensorproof.documents.evaluation import ArmSummary
from sensorproof.reporting.language import _, current_language, mark, ngettext

if TYPE_CHECKING:
    from markupsafe import Markup

_DASH = "–"
_MINUS = "−"
_ARM_TITLES = {
    "baseline": mark("baseline"),
    "regularized": mark("regularised"),
    "regularized_dropout": mark("regularised + dropout"),
    "modality_dropout": mark("modality dropout"),
    "random_subset": mark("random subset"),
    "single_modality": mark("single modality"),
    "ogm_ge": "OGM-GE",
    "agm": "AGM",
}

_FIGURES = {"full": mark("full"), "mean": mark("mean"), "worst": mark("worst"), "spread": mark("spread")}


def arm_title(arm: str) -> str:
    """Return an arm's name for people."""
    title = _ARM_TITLES.get(arm)
    return arm.replace("_", " ") if title is None else _(title)


def figure(name: str) -> str:
    """Return the name of a figure for people: full, mean, worst, spread."""
    return _(_FIGURES[name])


def is_number(value: object) -> TypeGuard[float]:
    """Return whether this is a number that can be shown: finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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
        return _("%(seconds)s s", seconds=f"{seconds:.1f}")
    if seconds < 120:
        return _("%(seconds)s s", seconds=f"{seconds:.0f}")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=rest)
    return _("%(hours)s h %(minutes)s min", hours=minutes // 60, minutes=minutes % 60)


def percent(confidence: float) -> str:
    """Format a confidence as `95 %`, with a space that does not break."""
    return f"{100 * confidence:g}\N{NO-BREAK SPACE}%"


def interval(ends: Sequence[float | None], confidence: float) -> str:
    """Format an interval: `95 % interval +1.2 to +3.4`, or say that there is none."""
    low, high = ends
    if low is None or high is None:
        return _("no interval: one seed")
    return _("%(share)s interval %(ends)s", share=percent(confidence), ends=span(low, high))


def span(low: float | None, high: float | None) -> str:
    """Format both ends of an interval of differences: `+1.2 to +3.4`."""
    return _("%(low)s to %(high)s", low=signed(low), high=signed(high))


def seeds(number: int) -> str:
    """Format a number of seeds: `1 seed`, `3 seeds`."""
    return ngettext("%(num)s seed", "%(num)s seeds", number)


def code(text: str) -> "Markup":
    """Escape a text and set what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = (
        Markup("<code>{}</code>").format(part) if k % 2 else escape(part) for k, part in enumerate(text.split("`"))
    )
    return Markup("").join(parts)


def join(words: Sequence[str]) -> str:
    """Join words: `a, b and c`."""
    if current_language() == "ja":
        return "、".join(words)
    return " and ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), *words[-1:]])


def sensors_of(arms: Mapping[str, ArmSummary]) -> list[str]:
    """List every sensor that a subset names, sorted."""
    return sorted({sensor for arm in arms.values() for name in arm.subsets for sensor in name.split("+")})


def subset_label(subset: Sequence[str], sensors: Sequence[str]) -> str:
    """Name a subset: `all sensors`, `without camera`, `only lidar`, `camera + depth`."""
    missing = [s for s in sensors if s not in subset]
    if not missing:
        return _("all sensors") if len(sensors) > 1 else _("only %(sensor)s", sensor=sensors[0])
    if len(subset) == 1:
        return _("only %(sensor)s", sensor=subset[0])
    return without(missing[0]) if len(missing) == 1 else " + ".join(subset)


def without(sensor: str) -> str:
    """Say that one sensor is missing: `without camera`."""
    return _("without %(sensor)s", sensor=sensor)


def number_missing(missing: int) -> str:
    """Say how many sensors are missing: `nothing missing`, `2 sensors missing`."""
    if missing == 0:
        return _("nothing missing")
    return ngettext("%(num)s sensor missing", "%(num)s sensors missing", missing)
