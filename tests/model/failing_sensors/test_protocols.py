"""EMM, RMM, NM and degradations of a model: what the cases mean, and that no sensor is encoded more than needed."""

import dataclasses
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.monitored_scenes import CHANNELS, make_model
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents.protocols import ProtocolScores
from sensorproof.evaluation import protocols
from sensorproof.evaluation.expected import expected_score
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.information import measure_information
from sensorproof.evaluation.metrics import confusion, mean_iou
from sensorproof.evaluation.protocol_average import average_protocols
from sensorproof.evaluation.protocols import MISSING_SHARES, score_protocols
from sensorproof.evaluation.subsets import all_subsets, score_subsets, subset_name
from sensorproof.models import Segmenter
from sensorproof.settings.evaluation import Protocol

SENSORS = sorted(CHANNELS)
ALL: tuple[Protocol, ...] = ("emm", "rmm", "nm", "degradations")
PROBABILITY = {"camera": 0.3, "depth": 0.0, "thermal": 0.1}
SUBSETS = [subset_name(subset) for subset in all_subsets(SENSORS)]


@pytest.fixture(scope="module")
def subsets(model: Segmenter, data: PreparedDataset) -> dict[str, float]:
    return score_subsets(model, data.ordered("val", 5), data.meta.class_names).subsets


def score(
    model: Segmenter,
    frames: PreparedFrames,
    subsets: Mapping[str, float],
    tried: tuple[Protocol, ...] = ALL,
    severities: tuple[int, ...] = (1, 5),
    seed: int = 0,
) -> ProtocolScores[float]:
    return score_protocols(model, frames, subsets, tried, PROBABILITY, severities, seed)


@pytest.fixture(scope="module")
def scores(model: Segmenter, frames: PreparedFrames, subsets: dict[str, float]) -> ProtocolScores[float]:
    return score(model, frames, subsets)


def miou(model: Segmenter, inputs: Mapping[str, Tensor], target: Tensor) -> float:
    with torch.inference_mode():
        return mean_iou(confusion(model(inputs), target, 255))


def test_emm_is_the_score_with_zeros_in_place_of_the_missing(
    model: Segmenter, data: PreparedDataset, scores: ProtocolScores[float]
) -> None:
    batch = data.batch(data.rows("val"))
    assert scores.emm is not None
    assert list(scores.emm.subsets) == SUBSETS
    for name, found in scores.emm.subsets.items():
        given = {n: x if n in name.split("+") else torch.zeros_like(x) for n, x in batch.inputs.items()}
        assert found == pytest.approx(miou(model, given, batch.target), abs=1e-9)
    assert scores.emm.mean == pytest.approx(np.mean(list(scores.emm.subsets.values())))
    assert scores.emm.worst == min(scores.emm.subsets.values())


def test_expected_scores_weigh_each_sensor_by_its_own_probability(
    scores: ProtocolScores[float], subsets: dict[str, float]
) -> None:
    assert scores.expected["params"] == pytest.approx(expected_score(subsets, SENSORS, PROBABILITY))
    assert scores.expected["0.2"] == pytest.approx(expected_score(subsets, SENSORS, 0.2))
    full, without = subsets["camera+depth+thermal"], subsets["depth+thermal"]
    certain = {"camera": 0.25, "depth": 0.0, "thermal": 0.0}
    assert expected_score(subsets, SENSORS, certain) == pytest.approx(0.75 * full + 0.25 * without)


def test_rmm_sets_a_share_of_the_missing_sensors_values_to_zero(
    model: Segmenter, frames: PreparedFrames, subsets: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "MISSING_SHARES", (0.0, 1.0))
    ends = score(model, frames, subsets, ("emm", "rmm"))
    assert ends.rmm is not None
    assert ends.emm is not None
    assert ends.rmm["1"].subsets == pytest.approx(ends.emm.subsets)
    assert len({round(value, 9) for value in ends.rmm["0"].subsets.values()}) == 1  # nothing is missing
    assert ends.rmm["0"].mean == pytest.approx(ends.emm.subsets["camera+depth+thermal"])


def test_rmm_and_nm_have_the_levels_of_the_protocol(scores: ProtocolScores[float]) -> None:
    assert scores.rmm is not None
    assert scores.nm is not None
    assert list(scores.rmm) == [f"{share:g}" for share in MISSING_SHARES] == ["0.25", "0.5", "0.75"]
    assert list(scores.nm) == ["low", "mid", "high"]
    assert all(list(level.sensors) == SENSORS for level in scores.nm.values())


def test_a_degradation_that_changes_nothing_costs_nothing(
    model: Segmenter, frames: PreparedFrames, subsets: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "degrade", lambda kind, name, image, severity, rng: image)
    monkeypatch.setattr(protocols, "degradation_names", lambda kind: ("nothing", "frozen", "delayed"))
    found = score(model, frames, subsets, ("degradations",)).degradations
    assert found is not None
    for own in found.values():
        assert set(own["nothing"].values()) == {subsets["camera+depth+thermal"]}
        assert own["frozen"]["1"] != subsets["camera+depth+thermal"]


def test_a_delayed_sensor_shows_the_frame_before(
    model: Segmenter, data: PreparedDataset, scores: ProtocolScores[float]
) -> None:
    """At severity 1 by one frame; the first frame of a stream shows itself, and depth is never there in the last."""
    batch = data.batch(data.rows("val"))
    number = len(batch.target)
    before = [i if i in (0, number // 2) else i - 1 for i in range(number)]
    given = {**batch.inputs, "camera": batch.inputs["camera"][before]}
    with torch.inference_mode():
        expected = mean_iou(confusion(model(given, batch.present), batch.target, 255))
    assert scores.degradations is not None
    assert scores.degradations["camera"]["delayed"]["1"] == pytest.approx(expected, abs=1e-9)


def test_scores_depend_on_the_seed_alone(
    model: Segmenter,
    frames: PreparedFrames,
    subsets: dict[str, float],
    scores: ProtocolScores[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocols, "_AT_ONCE", 3)
    again = score(model, frames, subsets)
    assert np.allclose(*(flatten(each.to_json()) for each in (scores, again)))
    other = score(model, frames, subsets, ("nm", "degradations"), seed=1)
    assert other.nm != scores.nm
    assert other.degradations != scores.degradations


def flatten(document: object) -> list[float]:
    if isinstance(document, dict):
        return [value for part in document.values() for value in flatten(part)]
    return [float(document)]  # type: ignore[arg-type]


def test_each_sensor_is_encoded_once_for_each_way_and_never_for_each_subset(
    model: Segmenter, frames: PreparedFrames, subsets: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: Counter[str] = Counter()
    encode = model.encode

    def counting(inputs: Mapping[str, Tensor]) -> object:
        encoded.update(name for name, x in inputs.items() if len(x) > 1)  # not the one image of zeros
        return encode(inputs)

    monkeypatch.setattr(model, "encode", counting)
    score(model, frames, subsets, severities=(1, 3))
    degraded = {"camera": 4, "depth": 2, "thermal": 3}  # frozen and delayed images are encoded already
    sound, rmm, nm = 1, len(MISSING_SHARES), 3
    assert encoded == {name: sound + rmm + nm + 2 * ways for name, ways in degraded.items()}


def test_what_is_not_asked_for_is_not_in_the_document(
    model: Segmenter, frames: PreparedFrames, subsets: dict[str, float]
) -> None:
    document = score(model, frames, subsets, ("emm",)).to_json()
    assert set(document) == {"failure_probability", "expected", "emm", "seed"}
    assert ProtocolScores[float].parse(document, "x").rmm is None


def test_seeds_are_averaged_with_their_spread(scores: ProtocolScores[float]) -> None:
    shifted = dict(scores)
    assert scores.nm is not None
    low = scores.nm["low"]
    shifted["nm"] = {**scores.nm, "low": low.model_copy(update={"all": low.all + 2.0})}
    average = average_protocols([scores, ProtocolScores[float](**shifted)])
    assert average is not None
    assert average.nm is not None
    assert average.emm is not None
    assert average.nm["low"].all.mean == pytest.approx(low.all + 1)
    assert average.nm["low"].all.std == pytest.approx(2**0.5)
    assert average.emm.mean.std == 0
    assert average.failure_probability == PROBABILITY
    assert average_protocols([scores, None]) is None
    assert average_protocols([]) is None


def test_information_is_that_of_all_frames_and_does_not_touch_the_random_state(
    model: Segmenter, data: PreparedDataset
) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    whole = measure_information(model, data.ordered("val", 12), sigma=0.3, class_balance=0.5)
    assert torch.equal(torch.get_rng_state(), before)
    assert whole == measure_information(model, data.ordered("val", 12), sigma=0.3, class_balance=0.5)
    assert list(whole) == SENSORS
    assert all(own.information > 0 and 0 <= own.relevance <= 1 for own in whole.values())
    stronger = measure_information(model, data.ordered("val", 12), sigma=0.6, class_balance=0.5)
    assert stronger != whole


def test_a_sensor_that_no_frame_has_tells_nothing(model: Segmenter, data: PreparedDataset) -> None:
    batch = data.batch(data.rows("val"))
    absent = torch.zeros(len(batch.target), dtype=torch.bool)
    lacking = dataclasses.replace(batch, present={**batch.present, "depth": absent})
    assert list(measure_information(model, [lacking], 0.3, 0.0)) == ["camera", "thermal"]


def test_a_model_that_looks_at_no_sensor_gets_no_information(data: PreparedDataset) -> None:
    blind = make_model()[0]
    with torch.no_grad():
        blind.decoder.classifier.weight.zero_()
    found = measure_information(blind, data.ordered("val", 6), 0.3, 0.0)
    assert all(own.information == pytest.approx(0, abs=1e-9) for own in found.values())
    assert all(own.relevance < 0.2 for own in found.values())
