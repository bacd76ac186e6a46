"""Drift: measured on held-out sequences, with an effect size; other places alone are no drift."""

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_scenes import checks
from sensorproof.alignment.drift import cohens_d, measure_drift
from sensorproof.alignment.measures.image_statistics import STATISTICS


def make_statistics(
    seed: int, sites: int, frames: int = 15, shift: float = 0.0, sensors: tuple[str, ...] = ("a", "b")
) -> pd.DataFrame:
    """Statistics with a level of their own at every site; `shift` is added to the mean of sensor a everywhere."""
    rng = np.random.default_rng(seed)
    rows = []
    for site in range(sites):
        level = rng.normal(0, 1, (len(sensors), len(STATISTICS)))
        for k in range(frames):
            for s, sensor in enumerate(sensors):
                numbers = dict(zip(STATISTICS, level[s] + rng.normal(0, 0.1, len(STATISTICS)), strict=True))
                numbers["mean"] += shift if sensor == "a" else 0
                name = f"{seed}-{site}"
                rows.append({"frame_id": f"{name}-{k}", "site": name, "sequence": name, "sensor": sensor, **numbers})
    return pd.DataFrame(rows)


def test_other_places_alone_are_no_drift() -> None:
    """A classifier could tell single frames apart by their site. By chance, one comparison in twenty drifts."""
    pairs = [(make_statistics(2 * k, 6), make_statistics(2 * k + 1, 6)) for k in range(12)]
    drifts = [measure_drift(batch, training, checks().drift) for batch, training in pairs]
    assert sum(d.drifted for d in drifts) <= 1
    assert np.mean([d.auc for d in drifts if d.auc is not None]) == pytest.approx(0.5, abs=0.15)


def test_few_places_that_differ_are_not_significant() -> None:
    pairs = [(make_statistics(2 * k, 2, shift=9.0), make_statistics(2 * k + 1, 2)) for k in range(4)]
    drifts = [measure_drift(batch, training, checks().drift) for batch, training in pairs]
    assert not any(d.drifted for d in drifts)
    assert all("by chance" in d.reason for d in drifts if d.auc is not None and d.auc >= checks().drift.auc)
    assert any("by chance" in d.reason for d in drifts)


def test_a_change_of_all_frames_is_drift_and_is_named() -> None:
    drift = measure_drift(make_statistics(0, 6, shift=6.0), make_statistics(1, 6), checks().drift)
    assert drift.drifted
    assert drift.auc is not None
    assert drift.auc > 0.9
    assert (drift.strongest[0].sensor, drift.strongest[0].statistic) == ("a", "mean")
    assert drift.strongest[0].effect > 3
    assert "a mean +" in drift.reason


def test_one_sequence_is_too_few() -> None:
    drift = measure_drift(make_statistics(0, 1, shift=9.0), make_statistics(1, 6), checks().drift)
    assert (drift.auc, drift.effect, drift.drifted) == (None, None, False)
    assert "two sequences" in drift.reason
    assert drift.strongest  # the statistics still differ, and are reported


def test_only_common_sensors_are_compared() -> None:
    drift = measure_drift(make_statistics(0, 3, sensors=("a", "c")), make_statistics(1, 3), checks().drift)
    assert {d.sensor for d in drift.strongest} == {"a"}
    none_in_common = measure_drift(make_statistics(0, 3, sensors=("c",)), make_statistics(1, 3), checks().drift)
    assert (none_in_common.auc, none_in_common.drifted) == (None, False)


def test_missing_sensors_and_statistics_are_tolerated() -> None:
    with_gaps = make_statistics(0, 4)
    with_gaps = with_gaps[(with_gaps.sensor == "a") | (np.arange(len(with_gaps)) % 3 > 0)]
    assert measure_drift(with_gaps, make_statistics(1, 4), checks().drift).auc is not None
    without_edges = make_statistics(0, 4).assign(edges=np.nan)
    assert measure_drift(without_edges, make_statistics(1, 4), checks().drift).auc is not None


def test_frames_are_limited_and_the_result_is_reproducible() -> None:
    settings = checks().drift.model_copy(update={"max_frames": 30})
    batch, training = make_statistics(0, 6), make_statistics(1, 6)
    drift = measure_drift(batch, training, settings)
    assert (drift.frames, drift.training_frames) == (30, 30)
    assert drift == measure_drift(batch.iloc[::-1], training, settings)


@pytest.mark.parametrize(("auc", "effect"), [(0.5, 0.0), (0.714, 0.8), (0.921, 2.0)])
def test_the_effect_is_cohens_d(auc: float, effect: float) -> None:
    assert cohens_d(auc) == pytest.approx(effect, abs=0.01)
