"""How far each site of a batch is from the sites of the training data.

A classifier always tells one place from others, so its frames are no sample for `measure_drift`. Here a site counts as
one observation: its mean statistics are compared with how much those of the training sites differ among themselves.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sensorproof.alignment.drift import wide_table
from sensorproof.documents.validation import DifferenceRecord

_MIN_SITES = 3
"""With fewer training sites their spread is not known."""
_MIN_SPREAD = 1e-9


class SiteDistance(NamedTuple):
    """One site: see `SiteRecord`."""

    distance: float
    strongest: DifferenceRecord


def site_distances(batch: pd.DataFrame, training: pd.DataFrame) -> dict[str, SiteDistance]:
    """Measure the distance of every site of a batch.

    Args:
        batch: a row per frame and sensor, see `image_statistics`.
        training: the same of training frames.

    Returns:
        {site: its distance}; empty with fewer than three training sites, or without a common sensor.
    """
    new, old = _site_means(batch), _site_means(training)
    if len(old) < _MIN_SITES:
        return {}
    columns = new.columns.intersection(old.columns)
    # A further site deviates from the mean of n by a little more than these do among themselves.
    spread = old[columns].std() * np.sqrt(1 + 1 / len(old))
    columns = columns[(spread > _MIN_SPREAD).to_numpy()]
    deviations = (new[columns] - old[columns].mean()) / spread[columns]
    distances = {}
    for site, row in deviations.iterrows():
        known = row.dropna()
        if known.empty:
            continue
        statistic, sensor = known.abs().idxmax()
        effect = round(float(known[(statistic, sensor)]), 3)
        strongest = DifferenceRecord(sensor=str(sensor), statistic=str(statistic), effect=effect)
        distances[str(site)] = SiteDistance(round(float(np.sqrt((known**2).mean())), 3), strongest)
    return distances


def _site_means(statistics: pd.DataFrame) -> pd.DataFrame:
    """Return a row per site and a column per statistic and sensor."""
    return wide_table(statistics, len(statistics)).groupby(level="site").mean()
