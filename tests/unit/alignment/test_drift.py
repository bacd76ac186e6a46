"""Drift: told on sequences that were not seen, with an effect size; places alone are no drift."""

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_scenes import checks
from sensorproof.alignment.drift import compare, effect_of
from sensorproof.alignment.measures.image_statistics import FEATURES


def statistics(
    seed: int, sites: int, frames: int = 15, shift: float = 0.0, sensors: tuple[str, ...] = ("a", "b")
) -> pd.DataFrame:
    """Statistics of which every site has its own level; `shift` is added to the mean of sensor a everywhere."""
    rng = np.random.default_rng(seed)
    rows = []
    for site in range(sites):
        level = rng.normal(0, 1, (len(sensors), len(FEATURES)))
        for k in range(frames):
            for s, sensor in enumerate(sensors):
                numbers = dict(zip(FEATURES, level[s] + rng.normal(0, 0.1, len(FEATURES)), strict=True))
                numbers["mean"] += shift if sensor == "a" else 0
                name = f"{seed}-{site}"
                rows.append({"frame_id": f"{name}-{k}", "site": name, "sequence": name, "sensor": sensor, **numbers})
    return pd.DataFrame(rows)


def test_other_places_alone_are_no_drift() -> None:
    """Single frames would be told apart perfectly by their site. By chance alone one in twenty drifts."""
    found = [compare(statistics(2 * k, 6), statistics(2 * k + 1, 6), checks().drift) for k in range(12)]
    assert sum(d.drifted for d in found) <= 1
    assert np.mean([d.auc for d in found if d.auc is not None]) == pytest.approx(0.5, abs=0.15)


def test_few_places_that_lie_apart_are_no_proof() -> None:
    found = [compare(statistics(2 * k, 2, shift=9.0), statistics(2 * k + 1, 2), checks().drift) for k in range(4)]
    assert not any(d.drifted for d in found)
    assert all("by chance" in d.reason for d in found if d.auc is not None and d.auc >= checks().drift.auc)
    assert any("by chance" in d.reason for d in found)


def test_a_real_change_is_told_and_named() -> None:
    found = compare(statistics(0, 6, shift=6.0), statistics(1, 6), checks().drift)
    assert found.drifted
    assert found.auc is not None
    assert found.auc > 0.9
    assert (found.strongest[0].sensor, found.strongest[0].statistic) == ("a", "mean")
    assert found.strongest[0].effect > 3
    assert "a mean +" in found.reason


def test_one_sequence_is_not_enough() -> None:
    found = compare(statistics(0, 1, shift=9.0), statistics(1, 6), checks().drift)
    assert (found.auc, found.effect, found.drifted) == (None, None, False)
    assert "two sequences" in found.reason
    assert found.strongest  # the statistics still differ, and are reported


def test_sensors_that_only_one_of_them_has_are_left_out() -> None:
    found = compare(statistics(0, 3, sensors=("a", "c")), statistics(1, 3), checks().drift)
    assert {d.sensor for d in found.strongest} == {"a"}
    alone = compare(statistics(0, 3, sensors=("c",)), statistics(1, 3), checks().drift)
    assert (alone.auc, alone.drifted) == (None, False)


def test_a_sensor_that_is_missing_now_and_then_does_no_harm() -> None:
    gaps = statistics(0, 4)
    gaps = gaps[(gaps.sensor == "a") | (np.arange(len(gaps)) % 3 > 0)]
    assert compare(gaps, statistics(1, 4), checks().drift).auc is not None
    blind = statistics(0, 4).assign(edges=np.nan)
    assert compare(blind, statistics(1, 4), checks().drift).auc is not None


def test_frames_are_bounded_and_the_answer_is_the_same_again() -> None:
    settings = checks().drift.model_copy(update={"max_frames": 30})
    one, other = statistics(0, 6), statistics(1, 6)
    found = compare(one, other, settings)
    assert (found.frames, found.training_frames) == (30, 30)
    assert found == compare(one.iloc[::-1], other, settings)


@pytest.mark.parametrize(("auc", "effect"), [(0.5, 0.0), (0.714, 0.8), (0.921, 2.0)])
def test_the_effect_is_cohens(auc: float, effect: float) -> None:
    assert effect_of(auc) == pytest.approx(effect, abs=0.01)
