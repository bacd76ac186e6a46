"""Which sensors a sample keeps: never one that is absent, as often as asked, and spread over a batch."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sensorproof.regularization.subset_sampling import Kept, Subsets, modality_dropout, sample_subsets

NAMES = "abcdefgh"


def all_here(sensors: int, samples: int) -> dict[str, Tensor]:
    return {name: torch.ones(samples, dtype=torch.bool) for name in NAMES[:sensors]}


def choices(kept: Kept) -> list[str]:
    """What each sample keeps, as `ac`."""
    rows = torch.stack(list(kept.values())).T.tolist()
    return ["".join(name for name, keeps in zip(kept, row, strict=True) if keeps) for row in rows]


@given(st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 5), st.integers(1, 6))
def test_at_least_one_sensor_is_kept_and_never_one_that_is_absent(
    seed: int, p: float, sensors: int, samples: int
) -> None:
    torch.manual_seed(seed)
    here = {name: torch.rand(samples) < 0.7 for name in NAMES[:sensors]}
    mask = torch.stack(list(here.values()))
    for kept in (
        modality_dropout(here, p),
        sample_subsets(here, list(here), "single"),
        sample_subsets(here, list(here), "any"),
    ):
        left = torch.stack(list(kept.values()))
        assert not (left & ~mask).any()
        assert torch.equal(left.any(0), mask.any(0))
    assert int(torch.stack(list(sample_subsets(here, list(here), "single").values())).sum(0).max()) <= 1


def test_sensors_are_dropped_as_often_as_asked() -> None:
    torch.manual_seed(0)
    for each in modality_dropout(all_here(4, 20_000), 0.3).values():
        # kept with 0.7, or spared as one of four where all would have gone
        assert float(each.float().mean()) == pytest.approx(0.7 + 0.3**4 / 4, abs=0.015)


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 40), st.sampled_from(["single", "any"]))
def test_a_batch_has_every_choice_equally_often_but_for_one(
    seed: int, sensors: int, samples: int, subsets: Subsets
) -> None:
    torch.manual_seed(seed)
    here = all_here(sensors, samples)
    possible = sensors if subsets == "single" else 2**sensors - 1
    counts = Counter(choices(sample_subsets(here, list(here), subsets)))
    assert max(counts.values()) <= -(-samples // possible)
    assert len(counts) == possible or min(counts.values()) == 1
    assert len(counts) == min(samples, possible)


def test_subsets_of_very_many_sensors_keep_half_of_them() -> None:
    """Their number has more bits than an integer; drawn by number, they would not be random."""
    torch.manual_seed(0)
    here = {f"s{i}": torch.ones(2000, dtype=torch.bool) for i in range(70)}
    kept = torch.stack(list(sample_subsets(here, list(here), "any").values())).float()
    assert all(abs(float(each.mean()) - 0.5) < 0.06 for each in kept)
    assert float(kept.sum(0).std()) == pytest.approx(70**0.5 / 2, rel=0.1)


@pytest.mark.parametrize(("subsets", "possible"), [("single", 3), ("any", 7)])
@pytest.mark.parametrize("samples", [1, 5, 16])
def test_every_sample_has_every_choice_with_the_same_probability(subsets: Subsets, possible: int, samples: int) -> None:
    torch.manual_seed(0)
    here, draws = all_here(3, samples), 4000
    first = Counter(choices(sample_subsets(here, list(here), subsets))[0] for _ in range(draws))
    assert len(first) == possible
    spread = (draws * (1 / possible) * (1 - 1 / possible)) ** 0.5
    assert all(abs(count - draws / possible) < 4.5 * spread for count in first.values())


def test_a_sample_that_lacks_a_sensor_chooses_among_its_own_alike() -> None:
    torch.manual_seed(0)
    here = all_here(3, 8)
    here["a"][:4] = False
    counts = Counter(choices(sample_subsets(here, list(here), "single"))[0] for _ in range(4000))
    assert set(counts) == {"b", "c"}
    assert abs(counts["b"] - 2000) < 4.5 * 32
