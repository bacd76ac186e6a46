"""What the contact sheet draws of a registration, as columns of the frames' table, so that none is registered twice."""

from collections.abc import Mapping

import numpy as np

from sensorproof.alignment.registration.displacement_field import Field
from sensorproof.alignment.registration.tile_registration import Registration

PREFIX = "tile_"
"""Start of the names of these columns."""
_UNKNOWNS = 2


def vector_columns(registration: Registration) -> dict[str, float]:
    """Return the size of the image, its shift or field, and the displacement of each tile; NaN where there is none."""
    height, width = registration.size
    values = [height, width, *([np.nan] * 6)]
    if registration.field is not None:
        values[2:8] = [*registration.field.shift, *registration.field.matrix.ravel()]
    elif registration.shift is not None:
        values[2:4] = registration.shift
    numbers = [*values, *registration.vectors.ravel()]
    return {f"{PREFIX}{k}": float(number) for k, number in enumerate(numbers)}


def registration_of(row: Mapping[str, float]) -> Registration:
    """Return a registration as far as it can be drawn: shift, field, tile vectors and size."""
    names = sorted((name for name in row if name.startswith(PREFIX)), key=lambda name: int(name.removeprefix(PREFIX)))
    values = np.array([row[name] for name in names], float)
    shift, matrix = values[2:4], values[4:8].reshape(2, 2)
    unknown = np.full((_UNKNOWNS, _UNKNOWNS), np.nan)
    return Registration(
        match=np.nan,
        reliability=np.nan,
        coverage=np.nan,
        certainty=np.nan,
        shift=shift if np.isfinite(shift).all() else None,
        field=Field(shift, matrix, unknown, "shift", 0) if np.isfinite(matrix).all() else None,
        vectors=values[8:].reshape(-1, 2),
        size=(float(values[0]), float(values[1])),
    )
