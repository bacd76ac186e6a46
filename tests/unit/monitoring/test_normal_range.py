"""The range of a sensor's images: training images lie in it, broken ones do not."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.monitored_scenes import SEQUENCES, stream_of
from sensorproof.evaluation.failures import FAILURES, Context
from sensorproof.monitoring.image_statistics import Values, measure_images, to_gray
from sensorproof.monitoring.normal_range import MIN_SITES, PARTLY_LOST, NormalRange, upper_limit

Measured = tuple[Values, NDArray[np.bool_]]
RATE = 0.005


def measure(images: NDArray[np.floating]) -> Measured:
    return measure_images(to_gray(images))


def fit(images: NDArray[np.floating], sites: NDArray[np.str_]) -> NormalRange:
    return NormalRange.fit(*measure(images), sites, RATE)


def break_(images: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    return FAILURES[kind](images, Context(images, images, images, np.random.default_rng(0)))


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    """The camera's training images."""
    return np.concatenate([stream_of(*each)[0]["camera"] for each in SEQUENCES["train"]]).astype(np.float32)


@pytest.fixture(scope="module")
def sites(images: NDArray[np.float32]) -> NDArray[np.str_]:
    frames = len(images) // len(SEQUENCES["train"])
    return np.repeat([f"site-{site}" for site, _ in SEQUENCES["train"]], frames)


@pytest.fixture(scope="module")
def normal(images: NDArray[np.float32], sites: NDArray[np.str_]) -> NormalRange:
    return fit(images, sites)


def test_training_images_and_those_of_another_site_are_not_unusual(
    normal: NormalRange, images: NDArray[np.float32]
) -> None:
    assert normal.score(*measure(images)).max() <= 1
    other = stream_of(6, 0)[0]["camera"].astype(np.float32)
    assert normal.score(*measure(other)).max() <= 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [("black", "black"), ("bright", "over-exposed"), ("noise", "noise"), ("half_lost", PARTLY_LOST), ("dark", "dark")],
)
def test_a_broken_image_is_unusual_and_the_reason_is_said(
    normal: NormalRange, images: NDArray[np.float32], kind: str, words: str
) -> None:
    values, empty = measure(break_(images[::7], kind))
    assert normal.score(values, empty).min() > 1
    assert {normal.describe(values[i : i + 1], empty[i : i + 1]) for i in range(len(values))} == {words}


def test_an_image_of_one_medium_value_shows_nothing(normal: NormalRange) -> None:
    values, empty = measure(np.full((1, 3, 48, 64), 0.5, np.float32))
    assert normal.score(values, empty)[0] > 1
    assert normal.describe(values, empty) == "shows nothing"


def test_an_image_that_is_merely_unlike_is_said_to_be(normal: NormalRange, images: NDArray[np.float32]) -> None:
    values, empty = measure(1.5 * images[:1] + 2)
    assert normal.score(values, empty)[0] > 1
    assert normal.describe(values, empty) == "unlike the images in training"


def test_too_few_sites_give_no_thresholds_but_blank_and_noise_are_found(images: NDArray[np.float32]) -> None:
    few = np.resize([f"site-{i}" for i in range(MIN_SITES - 1)], len(images))
    normal = fit(images, few)
    assert (normal.range_threshold, normal.distance_threshold) == (None, None)
    assert normal.score(*measure(images)).max() == 0
    assert normal.score(*measure(break_(images, "dark"))).max() == 0
    for kind in ("black", "bright", "noise", "half_lost"):
        assert normal.score(*measure(break_(images, kind))).min() > 1, kind
    enough = fit(images, np.resize([f"site-{i}" for i in range(MIN_SITES)], len(images)))
    assert enough.range_threshold is not None
    assert enough.score(*measure(break_(images, "dark"))).min() > 1


def test_one_odd_training_image_does_not_widen_the_range_for_everything(
    images: NDArray[np.float32], sites: NDArray[np.str_]
) -> None:
    gains = np.random.default_rng(0).uniform(0.97, 1.03, (4, len(images), 1, 1, 1)).astype(np.float32)
    many = (gains * images).reshape(-1, *images.shape[1:])
    places = np.tile(sites, 4)
    normal = fit(many, places)
    odd = many.copy()
    odd[3] = 0.5 + 3 * odd[3]
    loose = fit(odd, places)
    assert normal.range_threshold is not None
    assert loose.range_threshold is not None
    assert loose.range_threshold < 1.5 * normal.range_threshold
    for kind in ("black", "bright", "noise", "half_lost"):
        assert loose.score(*measure(break_(images, kind))).min() > 1, kind


def test_what_training_images_lack_is_no_loss(images: NDArray[np.float32], sites: NDArray[np.str_]) -> None:
    """A sensor that sees nothing above the horizon is not partly lost for that."""
    upper = images.copy()
    upper[:, :, :24] = np.nan
    normal = fit(upper, sites)
    assert normal.empty == pytest.approx(0.5)
    assert normal.score(*measure(upper)).max() <= 1
    assert not normal.is_partly_lost(measure(upper)[1]).any()
    whole = break_(upper, "black")
    assert normal.is_partly_lost(measure(whole)[1]).all()


def test_what_cannot_be_known_of_an_image_is_no_evidence(normal: NormalRange, images: NDArray[np.float32]) -> None:
    values, empty = measure(images[:1])
    values[:, 1:] = np.nan
    assert normal.score(values, empty)[0] <= 1


def test_a_stored_range_scores_the_same(normal: NormalRange, images: NDArray[np.float32]) -> None:
    again = NormalRange.model_validate(json.loads(json.dumps(normal.model_dump(mode="json"))), strict=False)
    assert again == normal
    for kind in FAILURES:
        measured = measure(break_(images, kind))
        np.testing.assert_array_equal(again.score(*measured), normal.score(*measured))


@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.05), st.floats(0.1, 10))
def test_a_limit_of_exponential_values_is_exceeded_at_about_its_rate(seed: int, rate: float, scale: float) -> None:
    values = np.random.default_rng(seed).exponential(scale, 20_000)
    limit = upper_limit(values, rate)
    assert 0.6 * rate < np.exp(-limit / scale) < 1.6 * rate


def test_a_limit_falls_with_the_rate_and_ignores_single_outliers() -> None:
    values = np.random.default_rng(0).exponential(1.0, 1000)
    limits = [upper_limit(values, rate) for rate in (0.05, 0.01, 0.001, 0.0001)]
    assert limits == sorted(limits)
    assert limits[0] < limits[-1]
    wild = values.copy()
    wild[:3] = 1e6
    assert upper_limit(wild, 0.001) < 1.3 * limits[2]


def test_a_limit_is_above_0_whatever_the_values() -> None:
    assert upper_limit(np.full(5, -3.0), 0.01) > 0
    assert upper_limit(np.zeros(1), 0.01) > 0
    assert upper_limit(np.full(5, 2.0), 0.01) > 2


def test_a_range_of_no_image_judges_nothing_but_blank_and_noise(images: NDArray[np.float32]) -> None:
    values, empty = measure(images)
    normal = NormalRange.fit(values[:0], empty[:0], np.array([], np.str_), RATE)
    assert normal.score(values, empty).max() == 0
    for kind in ("black", "bright", "noise", "half_lost"):
        assert normal.score(*measure(break_(images, kind))).min() > 1, kind
