"""Other people's data -> a batch folder. One module a format; docs/data-format.md shows each."""

from sensorproof.data.importers.arrays import Imported, import_arrays

FORMATS = {"arrays": import_arrays}
"""By the name that `sensorproof import` takes."""
PLANNED = ("deliver", "muses", "mcubes", "mfnet", "fmb", "nyudepthv2")
"""Public data sets whose names are kept for importers of their own."""

__all__ = ["FORMATS", "PLANNED", "Imported", "import_arrays"]
