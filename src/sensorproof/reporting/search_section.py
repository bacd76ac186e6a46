"""The page's section on the search: the rule, the front, the pictures."""

from base64 import b64encode
from dataclasses import dataclass

from sensorproof.documents.search import SearchResult
from sensorproof.reporting import search_words as words
from sensorproof.reporting.language import _
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

    sentences: list[str]
    rows: list[FrontRow]
    pictures: list[Picture]


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
        Picture(name, _(words.CAPTIONS[name]), f"data:image/png;base64,{b64encode(png).decode()}")
        for name, png in draw_pictures(result).items()
    ]
    return SearchSection(list(words.sentences(result)), rows, pictures)
