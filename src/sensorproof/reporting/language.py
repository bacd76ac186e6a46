"""The language of a page: English in the code, other languages in `locale/<code>.po`.

Every text goes through `_` (or `ngettext` where a number decides its form) when it is shown, never when a module is
loaded. Values are named, `_("without %(sensor)s", sensor=name)`; a per cent sign is written `%%`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, get_args

Language = Literal["en", "ja"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
_current: ContextVar[Language] = ContextVar("language", default="en")


@contextmanager
def use_language(language: Language) -> Iterator[None]:
    """Show texts in this language."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def current_language() -> Language:
    """Return the language that texts are shown in."""
    return _current.get()


def lookup(text: str) -> str:
    """Return a text in the page's language, without a translation in English; no value is filled in."""
    return _catalog(_current.get()).get(text) or text


def nlookup(one: str, several: str, num: int) -> str:
    """Do the same for a text whose form depends on a number."""
    return _catalog(_current.get()).get(one) or (one if num == 1 else several)


def _(text: str, **values: Any) -> str:
    """Return a text in the page's language with its values filled in."""
    return lookup(text) % values


def ngettext(one: str, several: str, num: int, **values: Any) -> str:
    """Do the same for a text whose form depends on a number, which it may name as `%(num)s`."""
    return nlookup(one, several, num) % {"num": num, **values}


def mark(text: str) -> str:
    """Mark a text in a constant for translation; it is translated when it is shown."""
    return text


@cache
def _catalog(language: Language) -> dict[str, str]:
    """Read the translations of a language; those of English are empty. Languages with one form for any number only."""
    if language == "en":
        return {}
    from babel.messages.pofile import read_po

    with files("sensorproof.reporting").joinpath("locale", f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    return {_first(message.id): _first(message.string) for message in catalog if message.id}


def _first(text: Any) -> str:
    """Return the only form of a text, or the first of those for different numbers."""
    return text if isinstance(text, str) else str(text[0])
