"""Data Docs that read well with no internet."""

from pathlib import Path


def make_offline(folder: Path) -> None:
    pass
