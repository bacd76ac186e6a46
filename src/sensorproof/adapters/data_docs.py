"""Data Docs that work offline: without the scripts and styles that they load from the network, with a style of ours."""

import re
import shutil
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

_STYLE = "offline.css"
_REMOTE = r"https?://|//"
_REMOVED = (
    re.compile(r"<script\b.*?</script\s*>", re.S | re.I),
    re.compile(r"<link\b[^>]*>", re.S | re.I),
    re.compile(rf"<img\b[^>]*src=[\"'](?:{_REMOTE})[^>]*>", re.S | re.I),
    re.compile(r"<style\b.*?</style\s*>", re.S | re.I),
    re.compile(r"<footer\b.*?</footer\s*>", re.S | re.I),
)
"""Elements that load from the network. Scripts only drive filters and pop-ups, with libraries that are remote too."""
_FIRST_CELL = r'(cell-\d+-1" ><div class="show-scrollbars">)'
"""Start of the column of values; the other columns name frames and stay as they are."""
_PAIR = re.compile(_FIRST_CELL + r"\('([^'<]*)', '([^'<]*)'\)<")
"""Values of two columns, in an order that varies from run to run."""
_LONG_NUMBER = re.compile(_FIRST_CELL + r"(-?\d+\.\d{5,}(?:e-?\d+)?)<")
_STATUS = re.compile(r"(Status:</span>.*?</i>) Failed")
_BROKEN_RULES = "some rules are broken; the index page has the verdict on the batch"
_VERDICT_MARK = "<!-- verdict -->"


def make_offline(folder: Path) -> None:
    """Rework the pages that Great Expectations wrote into a folder, and write an index page without scripts."""
    shutil.rmtree(folder / "static", ignore_errors=True)
    style = files(__package__).joinpath(_STYLE).read_text(encoding="utf-8")
    pages = [page for page in sorted(folder.rglob("*.html")) if page != folder / "index.html"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for pattern in _REMOVED:
            text = pattern.sub("", text)
        text = _PAIR.sub(lambda m: f"{m[1]}{_larger_first(m[2], m[3])}<", text)
        text = _LONG_NUMBER.sub(lambda m: f"{m[1]}{_four_digits(m[2])}<", text)
        text = _STATUS.sub(rf"\1 {_BROKEN_RULES}", text)
        page.write_text(text.replace("</head>", f"<style>\n{style}</style>\n</head>", 1), encoding="utf-8")
    (folder / "index.html").write_text(_index_page(folder, pages, style), encoding="utf-8")


def _larger_first(first: str, second: str) -> str:
    """Return both values of a pair, the larger one first: a value above its limit, or the motion of other sensors."""
    try:
        pair = sorted((first, second), key=lambda number: -abs(float(number)))
    except ValueError:
        pair = [first, second]
    return " against ".join(_four_digits(number) for number in pair)


def _four_digits(number: str) -> str:
    """Round a number to four digits; other text stays as it is."""
    try:
        return f"{float(number):.4g}"
    except ValueError:
        return number


def add_verdict(folder: Path, lines: Sequence[str]) -> None:
    """Write the lines of the verdict into the index page of reworked Data Docs."""
    page = folder / "index.html"
    text = "\n".join(escape(line) for line in lines)
    page.write_text(page.read_text(encoding="utf-8").replace(_VERDICT_MARK, f"<pre>{text}</pre>"), encoding="utf-8")


def _index_page(folder: Path, pages: list[Path], style: str) -> str:
    """Return the page that links to the results first, then to the rules."""
    results = [p for p in pages if p.relative_to(folder).parts[0] == "validations"]
    suites = [p for p in pages if p.relative_to(folder).parts[0] == "expectations"]
    links = [(p, "Results") for p in results] + [(p, "Rules: the expectation suite") for p in suites]
    items = "\n".join(f'<li><a href="{p.relative_to(folder).as_posix()}">{title}</a></li>' for p, title in links)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Alignment</title>'
        f"<style>\n{style}</style></head>\n"
        f'<body><main class="plain"><h1>Sensor alignment</h1>\n{_VERDICT_MARK}\n'
        f"<ul>\n{items}\n</ul></main></body></html>\n"
    )
