"""Which sensors a sample keeps: never an absent one, as often as asked, and spread evenly over a batch."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sensorproof.regularization.options import Subsets
from sensorproof.regularization.subset_sampling import modality_dropout, sample_subsets

NAMES = "abcdefgh"


def all_present(sensors: int, samples: int) -> dict[str, Tensor]:
    return {name: torch.ones(samples, dtype=torch.bool) for name in NAMES[:sensors]}


def choices(kept: dict[str, Tensor]) -> list[str]:
    """Return what each sample keeps, as `ac`."""
    rows = torch.stack(list(kept.values())).T.tolist()
    return ["".join(name for name, keeps in zip(kept, row, strict=True) if keeps) for row in rows]


@given(st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 5), st.integers(1, 6))
def test_at_least_one_sensor_is_kept_and_never_an_absent_one(seed: int, p: float, sensors: int, samples: int) -> None:
    torch.manual_seed(seed)
    present = {name: torch.rand(samples) < 0.7 for name in NAMES[:sensors]}
    available = torch.stack(list(present.values()))
    single = sample_subsets(present, list(present), "single")
    for kept in (modality_dropout(present, p), single, sample_subsets(present, list(present), "any")):
        stacked = torch.stack(list(kept.values()))
        assert not (stacked & ~available).any()
        assert torch.equal(stacked.any(0), available.any(0))
    assert int(torch.stack(list(single.values())).sum(0).max()) <= 1


def test_sensors_are_dropped_as_often_as_asked() -> None:
    torch.manual_seed(0)
    for kept in modality_dropout(all_present(4, 20_000), 0.3).values():
        # kept with 0.7, or spared as one of four where all would have been dropped
        assert float(kept.float().mean()) == pytest.approx(0.7 + 0.3**4 / 4, abs=0.015)


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 40), st.sampled_from(["single", "any"]))
def test_the_counts_of_two_choices_in_a_batch_differ_by_at_most_one(
    seed: int, sensors: int, samples: int, subsets: Subsets
) -> None:
    torch.manual_seed(seed)
    present = all_present(sensors, samples)
    possible = sensors if subsets == "single" else 2**sensors - 1
    counts = Counter(choices(sample_subsets(present, list(present), subsets)))
    assert max(counts.values()) <= -(-samples // possible)
    assert len(counts) == possible or min(counts.values()) == 1
    assert len(counts) == min(samples, possible)


def test_subsets_of_very_many_sensors_keep_half_of_them() -> None:
    """Their number has more bits than an integer; drawn by number, they would not be random."""
    torch.manual_seed(0)
    present = {f"s{i}": torch.ones(2000, dtype=torch.bool) for i in range(70)}
    kept = torch.stack(list(sample_subsets(present, list(present), "any").values())).float()
    assert all(abs(float(sensor.mean()) - 0.5) < 0.06 for sensor in kept)
    assert float(kept.sum(0).std()) == pytest.approx(70**0.5 / 2, rel=0.1)


@pytest.mark.parametrize(("subsets", "possible"), [("single", 3), ("any", 7)])
@pytest.mark.parametrize("samples", [1, 5, 16])
def test_every_choice_of_a_sample_is_equally_likely(subsets: Subsets, possible: int, samples: int) -> None:
    torch.manual_seed(0)
    present, draws = all_present(3, samples), 4000
    first = Counter(choices(sample_subsets(present, list(present), subsets))[0] for _ in range(draws))
    assert len(first) == possible
    deviation = (draws * (1 / possible) * (1 - 1 / possible)) ** 0.5
    assert all(abs(count - draws / possible) < 4.5 * deviation for count in first.values())


def test_a_sample_that_lacks_a_sensor_chooses_evenly_among_its_own() -> None:
    torch.manual_seed(0)
    present = all_present(3, 8)
    present["a"][:4] = False
    counts = Counter(choices(sample_subsets(present, list(present), "single"))[0] for _ in range(4000))
    assert set(counts) == {"b", "c"}
    assert abs(counts["b"] - 2000) < 4.5 * 32
