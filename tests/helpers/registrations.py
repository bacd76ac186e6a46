"""Registrations of a pair, made by hand."""

import numpy as np

from sensorproof.alignment.pairs.rig import Rig
from sensorproof.alignment.registration.displacement_field import Field
from sensorproof.alignment.registration.tile_registration import Registration

CERTAIN_FIELD = Field(np.zeros(2), np.zeros((2, 2)), np.diag([0.01, 0.01, 0, 0]), "similarity", 9)
"""No displacement, known to 0.1 px."""


def make_rig(shift: tuple[float, float] | None, field: Field | None, precision_px: float = 0.1) -> Rig:
    """The pair of the sensor `other` over 20 frames of 144 x 192 pixels."""
    vectors = np.full((9, 2), np.nan)
    registration = Registration(
        match=0.3,
        reliability=90,
        coverage=1,
        certainty=3,
        shift=None if shift is None else np.array(shift),
        field=field,
        vectors=vectors,
        size=(144.0, 192.0),
    )
    return Rig("other", registration, precision_px, 20, 20)
