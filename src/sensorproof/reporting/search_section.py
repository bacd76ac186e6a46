"""The page's section on the search: the rule, the front, the pictures."""

from base64 import b64encode
from dataclasses import dataclass

from sensorproof.documents.search import SearchResult
from sensorproof.reporting import search_words as words
from sensorproof.reporting.search_pictures import draw_pictures


@dataclass(frozen=True)
class FrontRow:
    """One trial of the front; scores in points."""

    number: int
    settings: str
    full: float | None
    mean: float | None
    worst: float | None
    seeds: int
    chosen: bool


@dataclass(frozen=True)
class Picture:
    """A picture with its caption; `source` is a data address."""

    name: str
    caption: str
    source: str


@dataclass(frozen=True)
class SearchSection:
    """All that the template shows."""

    title: str
    sentences: list[str]
    columns: tuple[str, ...]
    rows: list[FrontRow]
    pictures: list[Picture]
    note: str


def search_section(result: SearchResult | None) -> SearchSection | None:
    """Return the section, or None without a search."""
    if result is None or result.chosen is None:
        return None
    trials = {trial.number: trial for trial in result.trials}
    rows = [
        FrontRow(
            number, words.describe(own), own.full, own.mean, own.worst, len(own.seeds), chosen=number == result.chosen
        )
        for number, own in ((number, trials[number]) for number in dict.fromkeys((*result.front, result.chosen)))
    ]
    pictures = [
        Picture(name, words.CAPTIONS[name], f"data:image/png;base64,{b64encode(png).decode()}")
        for name, png in draw_pictures(result).items()
    ]
    return SearchSection(words.TITLE, list(words.sentences(result)), words.COLUMNS, rows, pictures, words.NOTE)
