"""The templates of all pages."""

from typing import Any

from sensorproof.reporting import formatting
from sensorproof.reporting.language import lookup, nlookup

_FILTERS = [
    "arm_title",
    "code",
    "figure",
    "points",
    "signed",
    "count",
    "share",
    "duration",
    "interval",
    "percent",
    "seeds",
    "join",
]
"""The functions of `formatting` that templates use."""


def environment() -> Any:
    """Return the templates: values are escaped, and an undefined name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("sensorproof.reporting"),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.install_gettext_callables(lookup, nlookup, newstyle=True)  # type: ignore[attr-defined]
    templates.filters |= {f"as_{name}": getattr(formatting, name) for name in _FILTERS}
    return templates
