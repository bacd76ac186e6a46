"""Importers of public data sets: each module describes one, `run` imports any of them.

Nothing is shipped or fetched. Layouts and encodings are as in the loaders of each data set's authors and peers.
"""

from collections.abc import Callable
from pathlib import Path

from sensorproof.data.importers.public import deliver, fmb, mcubes, mfnet, muses, nyudepthv2
from sensorproof.data.importers.public.layout import Layout
from sensorproof.data.importers.public.run import import_public
from sensorproof.data.importers.public.summary import ImportSummary

PUBLIC: dict[str, Callable[[Path], Layout]] = {
    "deliver": deliver.describe,
    "muses": muses.describe,
    "mcubes": mcubes.describe,
    "mfnet": mfnet.describe,
    "fmb": fmb.describe,
    "nyudepthv2": nyudepthv2.describe,
}
"""{the name that `sensorproof import` takes: the importer}."""

__all__ = ["PUBLIC", "ImportSummary", "import_public"]
