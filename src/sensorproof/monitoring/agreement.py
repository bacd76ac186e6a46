"""How certain it is that two sensors show the same scene."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_MOST = 6.0
"""No single frame counts for more than these log odds: a measure is never that certain."""


class PairAgreement(BaseModel):
    """Log odds that a pair of images shows one scene: weights of the two measures, and a constant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edges: float
    predictions: float
    constant: float

    def log_odds(self, measures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log odds (B) of measures (B, 2)."""
        odds = measures @ np.array([self.edges, self.predictions]) + self.constant
        return np.clip(odds, -_MOST, _MOST)
