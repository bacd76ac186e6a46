"""Importers: data in other formats becomes a batch folder. One module a format; see the page on data formats."""

from sensorproof.data.importers.arrays import Imported, import_arrays
from sensorproof.data.importers.public import PUBLIC, ImportSummary, import_public

FORMATS = ("arrays", *PUBLIC)
"""The names that `sensorproof import` takes."""

__all__ = ["FORMATS", "PUBLIC", "ImportSummary", "Imported", "import_arrays", "import_public"]
