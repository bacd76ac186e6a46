"""Data Docs that read well with no internet: what they load from the net is left out, their look is our own."""

import re
import shutil
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

_STYLE = "offline.css"
_REMOTE = r"https?://|//"
_LEFT_OUT = (
    re.compile(r"<script\b.*?</script\s*>", re.S | re.I),
    re.compile(r"<link\b[^>]*>", re.S | re.I),
    re.compile(rf"<img\b[^>]*src=[\"'](?:{_REMOTE})[^>]*>", re.S | re.I),
    re.compile(r"<style\b.*?</style\s*>", re.S | re.I),
    re.compile(r"<footer\b.*?</footer\s*>", re.S | re.I),
)
"""What would be fetched; scripts only drive filters and pop-ups, and need libraries that are not there."""
_FIRST_CELL = r'(cell-\d+-1" ><div class="show-scrollbars">)'
"""Begins the column of values; the others name frames, and stay as they are."""
_PAIR = re.compile(_FIRST_CELL + r"\('([^'<]*)', '([^'<]*)'\)<")
"""Two columns of one row, in an order that varies from run to run."""
_LONG = re.compile(_FIRST_CELL + r"(-?\d+\.\d{5,}(?:e-?\d+)?)<")
_STATUS = re.compile(r"(Status:</span>.*?</i>) Failed")
BROKEN = "some rules are broken: what becomes of the batch is told in the index"
_MARK = "<!-- verdict -->"


def make_offline(folder: Path) -> None:
    """Rework the pages that Great Expectations has written into folder, and give them an index without scripts."""
    shutil.rmtree(folder / "static", ignore_errors=True)
    style = files(__package__).joinpath(_STYLE).read_text(encoding="utf-8")
    pages = [page for page in sorted(folder.rglob("*.html")) if page != folder / "index.html"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for pattern in _LEFT_OUT:
            text = pattern.sub("", text)
        text = _PAIR.sub(lambda m: f"{m[1]}{_larger_first(m[2], m[3])}<", text)
        text = _LONG.sub(lambda m: f"{m[1]}{short(m[2])}<", text)
        text = _STATUS.sub(rf"\1 {BROKEN}", text)
        page.write_text(text.replace("</head>", f"<style>\n{style}</style>\n</head>", 1), encoding="utf-8")
    (folder / "index.html").write_text(index(folder, pages, style), encoding="utf-8")


def _larger_first(one: str, other: str) -> str:
    """Both values of a pair. A value beyond its limit comes first; of a frozen image, the motion of the others."""
    try:
        pair = sorted((one, other), key=lambda number: -abs(float(number)))
    except ValueError:
        pair = [one, other]
    return " beside ".join(short(number) for number in pair)


def short(number: str) -> str:
    """A number with four digits; what is none stays as it is."""
    try:
        return f"{float(number):.4g}"
    except ValueError:
        return number


def add_verdict(folder: Path, lines: Sequence[str]) -> None:
    """Write the lines of the verdict into the index of reworked pages."""
    page = folder / "index.html"
    said = "\n".join(escape(line) for line in lines)
    page.write_text(page.read_text(encoding="utf-8").replace(_MARK, f"<pre>{said}</pre>"), encoding="utf-8")


def index(folder: Path, pages: list[Path], style: str) -> str:
    """A page that leads to the others: what was found first, then what was expected."""
    found = [p for p in pages if p.relative_to(folder).parts[0] == "validations"]
    expected = [p for p in pages if p.relative_to(folder).parts[0] == "expectations"]
    links = [(p, "What was found") for p in found] + [(p, "What is expected: the suite") for p in expected]
    items = "\n".join(f'<li><a href="{p.relative_to(folder).as_posix()}">{title}</a></li>' for p, title in links)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Alignment</title>'
        f"<style>\n{style}</style></head>\n"
        f'<body><main class="plain"><h1>Sensor alignment</h1>\n{_MARK}\n<ul>\n{items}\n</ul></main></body></html>\n'
    )
