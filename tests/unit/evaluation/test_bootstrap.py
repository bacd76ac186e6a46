"""The paired bootstrap finds known answers, in the right direction, and its intervals cover."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sensorproof.evaluation.bootstrap import MIN_SEQUENCES, choose_units, draw, figures
from sensorproof.evaluation.metrics import iou_of_counts

MEAN, FULL, WORST, FIRST_CLASS = range(4)


def counts_of(iou: NDArray[np.float64], pixels: int = 100_000) -> NDArray[np.uint32]:
    """Counts (F, 1, 1, 3) of one subset and class, with about the IoU (F), 0 to 1, in each frame."""
    hits = np.round(2 * pixels * iou / (1 + iou))
    return np.stack([hits, np.full_like(hits, pixels), np.full_like(hits, pixels)], -1)[:, None, None].astype(np.uint32)


def frames(number: int) -> NDArray[np.int64]:
    return np.arange(number)


def test_the_figures_are_those_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    hits = rng.integers(1, 50, (3, 4))
    counts = np.stack([hits, hits + rng.integers(1, 50, (3, 4)), hits + rng.integers(1, 50, (3, 4))], -1)
    counts[:, 3, 0] = counts[:, 3, 1] = 0  # a class that the ground truth does not have
    import torch

    iou = [iou_of_counts(torch.from_numpy(subset)) for subset in counts]
    miou = [np.mean([value for value in subset if value is not None]) for subset in iou]
    found = figures(counts.astype(np.uint32))
    assert found[[MEAN, FULL, WORST]] == pytest.approx([np.mean(miou), miou[-1], min(miou)])
    for k in range(3):
        assert found[FIRST_CLASS + k] == pytest.approx(np.mean([subset[k] for subset in iou]))  # type: ignore[type-var]
    assert np.isnan(found[FIRST_CLASS + 3])


def test_a_subset_without_ground_truth_does_not_count() -> None:
    counts = np.full((2, 1, 3), 10, np.uint32)
    counts[0] = 0
    assert figures(counts).tolist() == [100.0, 100.0, 100.0, 100.0]
    assert np.isnan(figures(np.zeros((2, 1, 3), np.uint32))).all()


def test_sequences_are_drawn_whole_where_there_are_enough() -> None:
    names = [f"s{i % MIN_SEQUENCES}" for i in range(40)]
    kind, units = choose_units(names)
    assert kind == "sequences"
    assert units.tolist() == [i % MIN_SEQUENCES for i in range(40)]
    kind, units = choose_units(names[: MIN_SEQUENCES - 1])
    assert (kind, units.tolist()) == ("frames", list(range(MIN_SEQUENCES - 1)))


def test_equal_frames_of_a_sequence_count_as_one() -> None:
    """Ten copies of each frame say no more than the frame: the interval must not shrink."""
    iou = np.random.default_rng(1).uniform(0.3, 0.7, 12)
    once = draw([counts_of(iou)], frames(12), 2000).estimate(MEAN, 0.95, fixed_models=True)
    copies = draw([counts_of(iou.repeat(10))], frames(12).repeat(10), 2000).estimate(MEAN, 0.95, fixed_models=True)
    assert copies.interval == pytest.approx(once.interval)


def test_identical_models_differ_by_nothing() -> None:
    rng = np.random.default_rng(2)
    models = [counts_of(rng.uniform(0.2, 0.8, 10)) for _ in range(3)]
    gain = draw(models, frames(10), 500) - draw(models, frames(10), 500)
    for column in (MEAN, FULL, WORST, FIRST_CLASS):
        found = gain.estimate(column, 0.95, fixed_models=False)
        assert (found.value, found.interval) == (0.0, (0.0, 0.0))


def test_a_gain_is_ours_minus_theirs() -> None:
    rng = np.random.default_rng(3)
    iou = rng.uniform(0.3, 0.6, 30)
    better, worse = (draw([counts_of(iou + shift)], frames(30), 500) for shift in (0.1, 0.0))
    gain = (better - worse).estimate(MEAN, 0.95, fixed_models=True)
    low, high = gain.interval
    assert low is not None
    assert high is not None
    assert 9 < gain.value < 11
    assert 0 < low < gain.value < high
    assert (worse - better).estimate(MEAN, 0.95, fixed_models=True) == gain.negated()


def test_pairing_removes_what_both_find_hard() -> None:
    """Frames differ by tens of points, the two models always by one: only the paired interval can tell."""
    iou = np.random.default_rng(4).uniform(0.1, 0.9, 30)
    ours, theirs = (draw([counts_of(values)], frames(30), 500) for values in (iou + 0.01, iou))
    low, high = (ours - theirs).estimate(MEAN, 0.95, fixed_models=True).interval
    alone, alone_high = ours.estimate(MEAN, 0.95, fixed_models=True).interval
    assert None not in (low, high, alone, alone_high)
    assert high - low < (alone_high - alone) / 50  # type: ignore[operator]


def test_without_a_difference_between_frames_the_interval_is_that_of_the_t_test() -> None:
    scores = np.array([[0.50, 0.54, 0.51], [0.48, 0.49, 0.50]])
    ours, theirs = (
        draw([counts_of(np.full(10, value), 10_000_000) for value in side], frames(10), 4000) for side in scores
    )
    found = (ours - theirs).estimate(MEAN, 0.95, fixed_models=False)
    expected = stats.ttest_rel(100 * scores[0], 100 * scores[1]).confidence_interval(0.95)
    assert found.value == pytest.approx(8 / 3, abs=1e-3)
    assert found.interval == pytest.approx((expected.low, expected.high), rel=0.1)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05, 0.2])
def test_frames_never_make_the_interval_narrower_than_the_seeds_alone(noise: float) -> None:
    """With two seeds, the freedom that frames lend could."""
    rng = np.random.default_rng(7)
    sides = np.array([[0.50, 0.53], [0.49, 0.50]])[..., None] + noise * rng.uniform(-1, 1, (2, 2, 12))
    ours, theirs = (draw([counts_of(row) for row in side], frames(12), 500) for side in sides)
    gain = ours - theirs
    low, high = gain.estimate(MEAN, 0.95, fixed_models=False).interval
    expected = stats.ttest_1samp(gain.seeds[:, MEAN], 0.0).confidence_interval(0.95)
    assert low is not None
    assert high is not None
    assert low <= expected.low + 1e-9
    assert high >= expected.high - 1e-9


def test_without_a_difference_between_seeds_the_interval_is_that_of_the_frames() -> None:
    """For equal frames in size and nearly equal IoU, the score is the mean: its error is known."""
    iou = 0.5 + 0.01 * np.random.default_rng(5).standard_normal(50)
    found = draw([counts_of(iou)], frames(50), 20_000).estimate(MEAN, 0.95, fixed_models=True)
    half = stats.t.ppf(0.975, 49) * 100 * iou.std(ddof=1) / 50**0.5
    assert found.interval == pytest.approx((found.value - half, found.value + half), abs=0.05 * half)


def test_the_intervals_cover() -> None:
    """Of 95 % intervals over 3 seeds and 12 frames, whose truth is known, about 95 % contain it."""
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(200):
        by_frame, by_seed = 0.02 * rng.standard_normal(12), 0.02 * rng.standard_normal((3, 1))
        gain = 0.03 + by_frame + by_seed + 0.01 * rng.standard_normal((3, 12))
        base = np.full((3, 12), 0.5)
        ours, theirs = (draw([counts_of(row) for row in side], frames(12), 200) for side in (base + gain, base))
        low, high = (ours - theirs).estimate(MEAN, 0.95, fixed_models=False).interval
        assert low is not None
        assert high is not None
        covered += low <= 3.0 <= high
    assert 0.90 <= covered / 200 <= 1.0


def test_one_seed_of_an_arm_and_one_frame_have_no_interval() -> None:
    iou = np.linspace(0.4, 0.6, 10)
    one = draw([counts_of(iou)], frames(10), 100)
    assert one.estimate(MEAN, 0.95, fixed_models=False).interval == (None, None)
    assert None not in one.estimate(MEAN, 0.95, fixed_models=True).interval
    single = draw([counts_of(iou[:1])], frames(1), 100)
    assert single.estimate(MEAN, 0.95, fixed_models=True).interval == (None, None)


def test_draws_do_not_depend_on_chance() -> None:
    iou = np.linspace(0.4, 0.6, 10)
    first, second = (draw([counts_of(iou)], frames(10), 150).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (150, 4)
