"""Subsets of sensors, and the figures made from their scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.documents import FIGURES_AND_SPREAD
from sensorproof.evaluation.subsets import SubsetScores, all_subsets, subset_name


@given(st.sets(st.sampled_from("abcdef"), min_size=1))
def test_all_non_empty_subsets_are_listed_once(sensors: set[str]) -> None:
    subsets = all_subsets(sensors)
    assert len(set(subsets)) == len(subsets) == 2 ** len(sensors) - 1
    assert all(list(subset) == sorted(subset) for subset in subsets)
    assert subsets[-1] == tuple(sorted(sensors))


def test_a_subset_is_named_by_its_sorted_sensors() -> None:
    assert subset_name(["rgb", "depth"]) == "depth+rgb"


@given(st.lists(st.floats(0, 100), min_size=7, max_size=7))
def test_figures_are_those_of_the_subsets(values: list[float]) -> None:
    names = [subset_name(subset) for subset in all_subsets("abc")]
    scores = SubsetScores(dict(zip(names, values, strict=True)), {}, {})
    assert (scores.full, scores.worst) == (values[-1], min(values))
    assert scores.mean == pytest.approx(np.mean(values))
    assert scores.spread == pytest.approx(np.std(values))
    assert scores.selection_score == pytest.approx((values[-1] + np.mean(values)) / 2)
    document = scores.to_document()
    assert all(document.figure(figure) == getattr(scores, figure) for figure in FIGURES_AND_SPREAD)
