"""Sentences that earlier stages recorded in English (reasons, warnings, notes), in the page's language."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from sensorproof.reporting.language import _, current_language, lookup, mark

_TEMPLATES: Final = (
    # notes of gates
    mark("gain %(gain)s"),
    mark("largest for %(group)s"),
    mark("too few frames: %(groups)s"),
    mark("%(groups)s and %(count)s more"),
    mark("worst %(sensor)s %(failure)s: %(points)s below the better of absent and believed"),
    mark("%(count)s of %(frames)s images"),
    # states of pairs
    mark("within %(pixels)s px at the corners"),
    mark("%(pixels)s px off at a corner"),
    mark("%(count)s of %(frames)s frames are unmeasurable by themselves"),
    mark("%(count)s measured frames are too few to judge the shift of a single one"),
    mark("no frame has both images in sufficient size"),
    mark("the shift is known, scale and rotation are not"),
    mark("the images have too little in common"),
    # reasons and warnings of validation
    mark("%(count)s of %(frames)s frames are at fault, more than %(limit)s %% (most often: %(worst)s)"),
    mark(
        "%(sensor)s: looks %(cause)s in %(count)s of %(frames)s unregistered frames that were looked at, such as "
        "%(frame)s"
    ),
    mark("mirrored left to right"),
    mark("mirrored top to bottom"),
    mark("turned by %(degrees)s degrees"),
    mark("mirrored and turned by %(degrees)s degrees"),
    mark("without edges: a single class"),
    mark("%(sensor)s: %(reason)s in %(count)s frame (%(measure)s)"),
    mark("%(sensor)s: %(reason)s in %(count)s frames (%(measure)s)"),
    mark("%(sensor)s: %(reason)s (%(measure)s %(value)s, limit %(limit)s)"),
    # drift
    mark("%(finding)s (AUC %(area)s, d %(effect)s; %(statistics)s)"),
    mark("%(finding)s (AUC %(area)s, d %(effect)s)"),
    mark("looks different from the training data"),
    mark("looks like the training data"),
    mark("may look different from the training data, but so few places differ by chance"),
    mark("has no sensor in common with the training data"),
    mark("needs two sequences, or sites, in the batch and in the training data"),
)
"""Most specific first where two could match."""


def translate_recorded(text: str) -> str:
    """Translate a recorded sentence part by part, between semicolons; what is not known stays in English.

    Examples:
        >>> translate_recorded("gain +1.00; largest for sky")
        'gain +1.00; largest for sky'
    """
    if current_language() == "en" or not text:
        return text
    return _translate_whole(text) or "; ".join(_translate_whole(part) or part for part in text.split("; "))


def _translate_whole(text: str) -> str | None:
    """Translate what one template made, or what is translated as it is; None if it is neither."""
    for template, pattern in _patterns():
        if match := pattern.fullmatch(text):
            return _(template, **{name: translate_recorded(value) for name, value in match.groupdict().items()})
    translated = lookup(text)
    return None if translated == text else translated


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return each template with the pattern of the sentences that it makes."""
    return tuple((template, re.compile("".join(_pattern_of(template)))) for template in _TEMPLATES)


def _pattern_of(template: str) -> Iterator[str]:
    """Yield the parts of a pattern: words as they are, values as groups of their names."""
    for place, part in enumerate(re.split(r"%\((\w+)\)s", template)):
        yield f"(?P<{part}>.+)" if place % 2 else re.escape(part.replace("%%", "%"))
