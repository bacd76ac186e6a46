"""Two sides are compared on the same frames: over all, and for each class, site and condition."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.evaluations import PROMOTION
from helpers.paths import ROOT
from sensorproof.documents.comparison import OTHERS
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.paired import compare_sides
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.settings import load_settings

SETTINGS = load_settings(ROOT / "params.yaml").model_copy(
    update={"promotion": PROMOTION.model_copy(update={"min_group_frames": 3})}
)
SITES = ("east",) * 4 + ("west",) * 4 + ("ford", "gate", "hill")
CONDITIONS = ("day",) * 10 + ("fog",)


def make_side(shift: float = 0.0, seed: int = 0) -> PixelCounts:
    """11 frames with 2 subsets' worth of sensors; site west, and class sky, are better by `shift` points."""
    frames = len(SITES)
    rng = np.random.default_rng(seed)
    iou = rng.uniform(0.4, 0.6, (frames, 3, 3))
    iou[4:8, :, 1] += shift / 100
    pixels = 1_000_000
    hits = np.round(2 * pixels * iou / (1 + iou))
    counts = np.stack([hits, np.full_like(hits, pixels), np.full_like(hits, pixels)], -1)
    counts[2:, :, 2] = 0  # class rare is in two frames only
    return PixelCounts(
        counts=counts.astype(np.uint32),
        frames=tuple(f"b/{i}" for i in range(frames)),
        sequences=tuple(f"{site}/1" for site in SITES),
        sites=SITES,
        conditions=("",) * 2 + CONDITIONS[2:],
        sensors=("camera", "depth"),
        classes=("road", "sky", "rare"),
        holdout="ab" * 32,
    )


def test_a_gain_in_one_group_is_found_there() -> None:
    found = compare_sides([make_side(10.0)], [make_side()], SETTINGS, fixed_models=True)
    assert (found.holdout.frames, found.holdout.hash) == (11, "ab" * 32)
    assert (found.units, found.drawn) == ("frames", 11)
    gains = {name: gain.value for name, gain in found.sites.gains.items()}
    assert gains["west"] == pytest.approx(5.0, abs=0.3)  # of one of the two classes there
    assert (gains["east"], gains[OTHERS]) == (0.0, 0.0)
    assert found.classes.gains["road"].value == 0.0
    assert found.classes.gains["sky"].value > 3
    assert found.mean.value > 0


def test_small_groups_are_judged_together_or_named() -> None:
    found = compare_sides([make_side(1.0)], [make_side()], SETTINGS, fixed_models=True)
    assert (set(found.sites.gains), found.sites.small) == ({"east", "west", OTHERS}, ("ford", "gate", "hill"))
    assert (set(found.classes.gains), found.classes.small) == ({"road", "sky"}, ("rare",))
    assert set(found.conditions.gains) == {"day", OTHERS}
    assert found.conditions.small == ("(none)", "fog")


def test_an_absent_class_is_not_judged() -> None:
    sides = [make_side(1.0), make_side()]
    for side in sides:
        side.counts[:, :, 0] = 0
    found = compare_sides([sides[0]], [sides[1]], SETTINGS, fixed_models=True)
    assert found.classes.small == ("road", "rare")


def test_the_worst_subset_is_our_score_not_a_gain() -> None:
    side = make_side()
    worst = compare_sides([side], [side], SETTINGS, fixed_models=True).worst
    assert worst.value == pytest.approx(side.scores().worst)
    assert None not in worst.interval


def test_arms_are_compared_over_their_seeds() -> None:
    ours, theirs = ([make_side(shift, seed) for seed in range(3)] for shift in (10.0, 0.0))
    found = compare_sides(ours, theirs, SETTINGS, fixed_models=False)
    gains = [a.scores().mean - b.scores().mean for a, b in zip(ours, theirs, strict=True)]
    assert found.mean.value == pytest.approx(np.mean(gains))
    assert None not in found.mean.interval
    one = compare_sides(ours[:1], theirs[:1], SETTINGS, fixed_models=False)
    assert one.mean.interval == (None, None)


@pytest.mark.parametrize("part", ["holdout", "frames", "classes", "seeds"])
def test_only_what_was_scored_on_the_same_frames_is_compared(part: str) -> None:
    side = make_side()
    other = {
        "holdout": [replace(side, holdout="cd" * 32)],
        "frames": [replace(side, frames=side.frames[::-1])],
        "classes": [replace(side, classes=("a", "b", "c"))],
        "seeds": [side, side],
    }
    with pytest.raises(SensorproofError, match="hold-out"):
        compare_sides([side], other[part], SETTINGS, fixed_models=True)
