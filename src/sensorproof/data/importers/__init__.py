"""Importers: data in other formats becomes a batch folder. One module a format; see the page on data formats."""

from sensorproof.data.importers.arrays import Imported, import_arrays

FORMATS = {"arrays": import_arrays}
"""{the name that `sensorproof import` takes: the importer}."""
PLANNED = ("deliver", "muses", "mcubes", "mfnet", "fmb", "nyudepthv2")
"""Public data sets whose names are reserved for importers of their own."""

__all__ = ["FORMATS", "PLANNED", "Imported", "import_arrays"]
