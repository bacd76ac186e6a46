"""Protocols, silent failures and information of a model that is shown windows: they measure what is scored."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.monitored_scenes import CHANNELS, FRAMES, SETTINGS, SIZE, make_model
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents.protocols import ProtocolScores
from sensorproof.documents.silent import SilentScores
from sensorproof.evaluation import protocols
from sensorproof.evaluation.failures import FAILURES
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.information import measure_information
from sensorproof.evaluation.metrics import confusion, mean_iou
from sensorproof.evaluation.protocols import score_protocols
from sensorproof.evaluation.silent import score_silent_failures
from sensorproof.evaluation.subsets import score_subsets
from sensorproof.models import Segmenter
from sensorproof.models.windows import AnySegmenter, WindowedSegmenter, Windows
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.monitoring.monitor import Monitor
from sensorproof.serving.predictor import Predictor
from sensorproof.settings.evaluation import Protocol

SENSORS = sorted(CHANNELS)
FULL = "+".join(SENSORS)
PROBABILITY = dict.fromkeys(SENSORS, 0.1)
WINDOWS = Windows((32, 32), 0.25)


@pytest.fixture(scope="module")
def shown(model: Segmenter) -> WindowedSegmenter:
    """The model in six windows of each image."""
    assert len(WINDOWS.places(SIZE)) == 6
    return WindowedSegmenter(model, WINDOWS)


@pytest.fixture(scope="module")
def subsets(shown: WindowedSegmenter, data: PreparedDataset) -> dict[str, float]:
    return score_subsets(shown, data.ordered("val", 5), data.meta.class_names).subsets


@pytest.fixture(scope="module")
def silent(shown: WindowedSegmenter, monitor: Monitor, frames: PreparedFrames) -> SilentScores:
    return score_silent_failures(shown, monitor, frames, FAILURES)


def try_protocols(
    model: AnySegmenter, frames: PreparedFrames, subsets: Mapping[str, float], *tried: Protocol
) -> ProtocolScores[float]:
    return score_protocols(model, frames, subsets, tried, PROBABILITY, [1, 5])


def test_one_window_as_large_as_the_image_changes_no_score(
    model: Segmenter, monitor: Monitor, data: PreparedDataset, frames: PreparedFrames, subsets: dict[str, float]
) -> None:
    one = WindowedSegmenter(model, Windows(SIZE))
    tried: tuple[Protocol, ...] = ("emm", "rmm", "nm", "degradations")
    assert try_protocols(one, frames, subsets, *tried) == try_protocols(model, frames, subsets, *tried)
    assert score_silent_failures(one, monitor, frames, FAILURES) == score_silent_failures(
        model, monitor, frames, FAILURES
    )
    informed = (measure_information(each, data.ordered("val", 5), 0.3, 0.5) for each in (one, model))
    assert next(informed) == next(informed)


def test_what_is_not_spoiled_has_the_score_of_the_subset(
    model: Segmenter,
    shown: WindowedSegmenter,
    data: PreparedDataset,
    frames: PreparedFrames,
    subsets: dict[str, float],
    silent: SilentScores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = score_subsets(model, data.ordered("val", 5), data.meta.class_names).subsets
    assert abs(whole[FULL] - subsets[FULL]) > 0.1
    monkeypatch.setattr(protocols, "add_noise", lambda image, level, rng: image)
    monkeypatch.setattr(protocols, "degrade", lambda kind, name, image, severity, rng: image)
    monkeypatch.setattr(protocols, "degradation_names", lambda kind: ("nothing", "delayed"))
    scores = try_protocols(shown, frames, subsets, "nm", "degradations")
    assert scores.nm is not None
    assert scores.degradations is not None
    for level in scores.nm.values():
        assert [level.all, *level.sensors.values()] == pytest.approx([subsets[FULL]] * 4, abs=1e-9)
    for own in scores.degradations.values():
        assert list(own["nothing"].values()) == pytest.approx([subsets[FULL]] * 2, abs=1e-9)
        assert own["delayed"]["5"] != own["nothing"]["5"]
    assert silent.full == pytest.approx(subsets[FULL], abs=1e-9)
    for name, sensor in silent.sensors.items():
        rest = "+".join(other for other in SENSORS if other != name)
        assert sensor.absent == pytest.approx(subsets[rest], abs=1e-9)


def test_missing_sensors_are_zero_in_every_window(
    shown: WindowedSegmenter, data: PreparedDataset, frames: PreparedFrames, subsets: dict[str, float]
) -> None:
    batch = data.batch(data.rows("val"))
    found = try_protocols(shown, frames, subsets, "emm").emm
    assert found is not None
    for name, score in found.subsets.items():
        given = {n: x if n in name.split("+") else torch.zeros_like(x) for n, x in batch.inputs.items()}
        with torch.inference_mode():
            expected = mean_iou(confusion(shown(given), batch.target, 255))
        assert score == pytest.approx(expected, abs=1e-9)


def test_the_monitor_is_shown_whole_images(
    model: Segmenter, monitor: Monitor, frames: PreparedFrames, silent: SilentScores
) -> None:
    whole = score_silent_failures(model, monitor, frames, FAILURES)
    assert silent.conditions == whole.conditions
    assert silent.full != whole.full
    for name, sensor in silent.sensors.items():
        for kind, own in sensor.failures.items():
            assert own.noticed == whole.sensors[name].failures[kind].noticed


@pytest.mark.parametrize("kind", ["black", "half_lost"])
def test_what_is_scored_is_what_serving_answers(
    model: Segmenter,
    monitor: Monitor,
    data: PreparedDataset,
    frames: PreparedFrames,
    silent: SilentScores,
    kind: str,
) -> None:
    """Also where a part of an image is lost: its rest is used."""
    rows, context = np.arange(len(frames.sequences)), None
    pixels = {name: frames.images(name, rows).astype(np.float32) for name in SENSORS}
    pixels["camera"] = FAILURES[kind](pixels["camera"], context)  # type: ignore[arg-type]
    given = [{name: images[row] for name, images in pixels.items()} for row in rows]
    predictor = Predictor(model, make_model()[1], "cpu", monitor)
    streams = [predictor.open_stream() for _ in range(2)]
    own = [streams[row // FRAMES] for row in rows]
    predictions = predictor.predict(given, SIZE, stream=own, own_size=WINDOWS)
    assert all("camera" in each.failing for each in predictions)
    assert all(("camera" in each.used) == (kind == "half_lost") for each in predictions)
    places = torch.from_numpy(np.stack([each.labels for each in predictions]).astype(np.int64))
    logits = nn.functional.one_hot(places, len(data.meta.classes)).movedim(-1, 1)
    target = torch.from_numpy(frames.labels(rows).astype(np.int64))
    expected = mean_iou(confusion(logits, target, 255))
    assert silent.sensors["camera"].failures[kind].monitored == pytest.approx(expected, abs=1e-9)


def test_frames_at_the_size_of_training_are_answered_alike_at_their_own_size(
    model: Segmenter, monitor: Monitor, frames: PreparedFrames
) -> None:
    images = {name: frames.images(name, np.arange(1))[0].astype(np.float32) for name in SENSORS}
    images["camera"][:, SIZE[0] // 2 :] = 0
    predictor = Predictor(model, make_model()[1], "cpu", monitor)
    (usual,), (own,) = (predictor.predict([images], SIZE, own_size=each) for each in (False, True))
    assert usual.used == own.used == ("camera", "depth", "thermal")
    assert usual.failing == own.failing == {"camera": "partly lost"}
    np.testing.assert_allclose(own.confidence, usual.confidence, atol=1e-5)
    np.testing.assert_array_equal(own.labels, usual.labels)


def test_a_pass_takes_fewer_frames_the_larger_they_are(
    model: Segmenter,
    monitor: Monitor,
    data: PreparedDataset,
    frames: PreparedFrames,
    subsets: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sensorproof.models.passes._MOST_PIXELS", 2 * SIZE[0] * SIZE[1])
    samples: list[int] = []
    encode = model.encode

    def counting(inputs: Mapping[str, Tensor]) -> object:
        samples.extend(len(x) for x in inputs.values())
        return encode(inputs)

    monkeypatch.setattr(model, "encode", counting)
    again = fit_monitor(model, data, SETTINGS)
    assert again.description.frames == monitor.description.frames
    assert again.description.mismatch_threshold == pytest.approx(monitor.description.mismatch_threshold, rel=1e-3)
    score_silent_failures(model, monitor, frames, {})
    try_protocols(model, frames, subsets, "rmm")
    assert set(samples) == {2}


class Plain(nn.Module):
    """The model in windows without recomputation."""

    def __init__(self, shown: WindowedSegmenter) -> None:
        super().__init__()
        self.shown, self.sensors = shown, shown.sensors

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.shown.decode(self.shown.encode(inputs), None, SIZE)


def test_information_is_that_of_the_prediction_in_windows(
    model: Segmenter, shown: WindowedSegmenter, data: PreparedDataset
) -> None:
    found, expected, whole = (
        measure_information(each, data.ordered("val", 12), 0.3, 0.5)  # type: ignore[arg-type]
        for each in (shown, Plain(shown), model)
    )
    for name in SENSORS:
        assert found[name].information == pytest.approx(expected[name].information, rel=1e-4)
        assert found[name].relevance == pytest.approx(expected[name].relevance, abs=1e-5)
        assert found[name].information != pytest.approx(whole[name].information, rel=1e-2)
