"""Every word of the page exists in every language, with the same values in it."""

import io
import re

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

from helpers.paths import ROOT
from helpers.report_fixtures import LIMITS
from sensorproof.alignment.decision.rules import make_rules
from sensorproof.reporting.language import LANGUAGES, _, current_language, ngettext, use_language
from sensorproof.reporting.recorded import translate_recorded

REPORTING = ROOT / "src/sensorproof/reporting"
KEYWORDS = {"_": None, "mark": None, "ngettext": (1, 2)}
ONLY_ENGLISH = {"audit_page.py", "audit_text.py", "figure.py", "pictures.py"}
"""The audit and the pictures have one language."""


def texts() -> set[str]:
    """Every text that is marked in code and templates, and every reason of a rule of validation."""
    found: set[str] = set()
    for path in sorted(REPORTING.glob("*.py")):
        if path.name not in ONLY_ENGLISH:
            messages = extract("python", io.BytesIO(path.read_bytes()), KEYWORDS)
            found |= {_first(message) for _line, message, *_rest in messages}
    for path in sorted((REPORTING / "templates").glob("*.html")):
        if path.name != "audit.html":
            messages = babel_extract(io.BytesIO(path.read_bytes()), ("_", "ngettext"), [], {"encoding": "utf-8"})
            found |= {_first(message) for _line, _function, message, _comments in messages if message}
    return found | {rule.reason for rule in make_rules(LIMITS.validation)}


def _first(message: str | tuple[str | None, ...]) -> str:
    """Return the only form of a text, or the one for a single thing."""
    return message if isinstance(message, str) else str(message[0])


def values(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text))


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_every_text_is_translated_and_none_is_left_over(language: str) -> None:
    with (REPORTING / f"locale/{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language, abort_invalid=True)
    known = {m.id if isinstance(m.id, str) else m.id[0]: m.string for m in catalog if m.id}
    marked = texts()
    assert not marked - set(known)
    assert not set(known) - marked
    for text, translated in known.items():
        forms = [translated] if isinstance(translated, str) else list(translated)
        for form in forms:
            assert form
            assert values(form) - {"num"} == values(text) - {"num"}, text


def test_the_language_is_that_of_the_block() -> None:
    assert _("no frame") == "no frame"
    with use_language("ja"):
        assert current_language() == "ja"
        assert _("no frame") != "no frame"
        assert ngettext("%(num)s seed", "%(num)s seeds", 3) == "シード3個"
        assert _("a text that nobody has translated") == "a text that nobody has translated"
    assert (current_language(), ngettext("%(num)s seed", "%(num)s seeds", 1)) == ("en", "1 seed")


@pytest.mark.parametrize(
    "text",
    [
        "gain +1.00",
        "largest for sky; too few frames: a, b",
        "within 0.20 px at the corners; 21 of 382 frames are unmeasurable by themselves",
        "thermal: is mostly saturated in 1 frame (saturated_share)",
        "lidar: has dead rows or columns in 4 frames (dead_excess)",
        "lidar: the clock drifts (clock_drift_share 0.6, limit 0.5)",
    ],
)
def test_recorded_sentences_are_translated_with_their_values(text: str) -> None:
    assert translate_recorded(text) == text
    with use_language("ja"):
        translated = translate_recorded(text)
    assert not re.search(r"\b(frames?|largest|gain|the|has|is|at|limit)\b", translated)
    assert sorted(re.findall(r"[\d.]+", translated)) == sorted(re.findall(r"[\d.]+", text))


def test_what_nobody_knows_stays_as_it_is() -> None:
    with use_language("ja"):
        assert translate_recorded("something else; entirely") == "something else; entirely"
