"""How far a site is from the training sites: about 1 for one like them, more for one unlike them."""

import numpy as np
import pandas as pd
import pytest

from sensorproof.alignment.measures.image_statistics import STATISTICS
from sensorproof.alignment.site_drift import site_distances


def make_statistics(seed: int, sites: int, frames: int = 6, shift: float = 0.0) -> pd.DataFrame:
    """Statistics of two sensors with a level of their own at every site; `shift` is added to the mean of sensor a."""
    rng = np.random.default_rng(seed)
    rows = []
    for site in range(sites):
        level = rng.normal(0, 1, (2, len(STATISTICS)))
        for k in range(frames):
            for s, sensor in enumerate("ab"):
                numbers = dict(zip(STATISTICS, level[s] + rng.normal(0, 0.1, len(STATISTICS)), strict=True))
                numbers["mean"] += shift if sensor == "a" else 0
                name = f"{seed}-{site}"
                keys = {"frame_id": f"{name}-{k}", "site": name, "sequence": f"{name}-{k % 2}", "sensor": sensor}
                rows.append({**keys, **numbers})
    return pd.DataFrame(rows)


def test_a_site_like_the_others_is_at_distance_one() -> None:
    distances = [
        each.distance
        for seed in range(10)
        for each in site_distances(make_statistics(seed, 4), make_statistics(99, 20)).values()
    ]
    assert len(distances) == 40
    assert np.sqrt(np.mean(np.square(distances))) == pytest.approx(1, abs=0.2)


def test_a_changed_sensor_is_far_away_and_named() -> None:
    (far,) = site_distances(make_statistics(0, 1, shift=20.0), make_statistics(99, 20)).values()
    assert far.distance > 3
    assert (far.strongest.sensor, far.strongest.statistic) == ("a", "mean")
    assert far.strongest.effect == pytest.approx(20, abs=8)


def test_the_number_of_frames_of_a_site_does_not_count() -> None:
    few, many = (site_distances(make_statistics(3, 1, frames), make_statistics(99, 20)) for frames in (4, 400))
    assert few["3-0"].distance == pytest.approx(many["3-0"].distance, abs=1.5)


def test_too_few_training_sites_have_no_spread() -> None:
    assert site_distances(make_statistics(0, 3), make_statistics(1, 2)) == {}


def test_statistics_that_are_missing_or_constant_do_not_count() -> None:
    batch, training = make_statistics(0, 2), make_statistics(99, 5)
    whole = site_distances(batch, training)
    flat = site_distances(batch.assign(invalid=5.0), training.assign(invalid=0.0))
    assert flat.keys() == whole.keys()
    assert all(each.strongest.statistic != "invalid" for each in flat.values())
    gone = site_distances(batch.assign(edges=np.nan), training)
    assert all(np.isfinite(each.distance) for each in gone.values())
    assert site_distances(batch[batch.sensor == "a"].assign(sensor="c"), training) == {}
