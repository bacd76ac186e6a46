"""Sliding windows: each sensor encoded once in each, probabilities averaged, and one large window changes nothing."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from helpers.project_artifacts import command, write_model, write_monitor, write_prepared, write_raw
from helpers.sensor_models import CHANNELS, make_batch, make_segmenter, mask
from sensorproof import evaluate
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.frame_checks import load_frame
from sensorproof.errors import UsageError
from sensorproof.evaluation.subsets import all_subsets, count_subsets, score_counts
from sensorproof.files import read_json
from sensorproof.models import Segmenter
from sensorproof.models.windows import WindowedSegmenter, Windows, in_windows
from sensorproof.serving.predictor import load_predictor

SUBSETS = all_subsets(CHANNELS)
SIDE = st.integers(1, 40)


@pytest.fixture(scope="module")
def model() -> Segmenter:
    torch.manual_seed(1)
    segmenter = make_segmenter().eval()
    with torch.no_grad():
        for parameter in segmenter.decoder.classifier.parameters():
            parameter.normal_(0, 1)
    return segmenter


def predictions(
    model: Segmenter, inputs: Mapping[str, Tensor], windows: Windows | None, subsets: list[tuple[str, ...]] = SUBSETS
) -> list[Tensor]:
    samples, _, *size = next(iter(inputs.values())).shape
    present = {name: torch.ones(samples, dtype=torch.bool) for name in inputs}
    shown = in_windows(model, windows)
    with torch.inference_mode():
        return list(shown.decode_subsets(shown.encode(inputs), present, subsets, (size[0], size[1])))


@given(SIDE, SIDE, SIDE, SIDE, st.floats(0, 0.95))
def test_windows_cover_the_image_and_overlap(height: int, width: int, rows: int, columns: int, overlap: float) -> None:
    rows, columns = min(rows, height), min(columns, width)
    places = Windows((rows, columns), overlap).places((height, width))
    covered = np.zeros((height, width), int)
    for top, left in places:
        assert 0 <= top <= height - rows
        assert 0 <= left <= width - columns
        covered[top : top + rows, left : left + columns] += 1
    assert covered.min() >= 1
    assert len(set(places)) == len(places)
    tops = sorted({top for top, _ in places})
    step = max(1, int(rows * (1 - overlap)))
    assert all(later - earlier <= step for earlier, later in pairwise(tops))


def test_one_window_as_large_as_the_image_is_the_whole_image(model: Segmenter) -> None:
    inputs, _ = make_batch(2, 48)
    whole, one = predictions(model, inputs, None), predictions(model, inputs, Windows((48, 48), 0.5))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(one, whole, strict=True))


def test_probabilities_are_averaged_where_windows_overlap(model: Segmenter) -> None:
    inputs, _ = make_batch(2, 48)
    inputs = {name: x[..., :32, :] for name, x in inputs.items()}
    windows = Windows((32, 32), 0.25)
    assert windows.places((32, 48)) == [(0, 0), (0, 16)]
    for subset, logits in zip(SUBSETS, predictions(model, inputs, windows), strict=True):
        expected = torch.zeros(2, 3, 32, 48)
        for left in (0, 16):
            with torch.inference_mode():
                part = model({name: inputs[name][..., left : left + 32] for name in subset}).softmax(1)
            expected[..., left : left + 32] += part
        expected[..., 16:32] /= 2
        torch.testing.assert_close(logits.softmax(1), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(logits.exp(), expected, atol=1e-5, rtol=1e-4)


def test_windows_without_overlap_are_images_of_their_own(model: Segmenter) -> None:
    """Also where a sensor is usable in a part of the image alone: each window gets its part of that."""
    inputs, _ = make_batch(2, 64)
    usable = torch.zeros(2, 8, 8)
    usable[0, :, :6], usable[1, 3:] = 1, 1
    present = {"camera": usable, "lidar": mask(1, False), "thermal": mask(1, True)}
    shown = WindowedSegmenter(model, Windows((32, 32), 0))
    with torch.inference_mode():
        logits = shown.decode(shown.encode(inputs), present, (64, 64))
        for top, left in ((0, 0), (0, 32), (32, 0), (32, 32)):
            y, x = slice(top, top + 32), slice(left, left + 32)
            own = model.encode({name: images[..., y, x] for name, images in inputs.items()})
            part = usable[:, top // 8 : top // 8 + 4, left // 8 : left // 8 + 4]
            expected = model.decode(own, {**present, "camera": part}, (32, 32))
            torch.testing.assert_close(logits[..., y, x], expected.log_softmax(1), atol=1e-4, rtol=1e-4)


def test_gradients_in_windows_are_those_without_recomputation(model: Segmenter) -> None:
    inputs, _ = make_batch(2, 48)
    shown = WindowedSegmenter(model, Windows((32, 32)))
    points = [inputs["camera"].clone().requires_grad_() for _ in range(2)]
    again = shown({**inputs, "camera": points[0]})
    kept = shown.decode(shown.encode({**inputs, "camera": points[1]}), None, (48, 48))
    torch.testing.assert_close(again, kept, atol=1e-5, rtol=1e-4)
    ours, theirs = (
        torch.autograd.grad(logits.square().sum(), point)[0]
        for logits, point in zip((again, kept), points, strict=True)
    )
    assert ours.abs().max() > 0
    torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()), rtol=1e-3)


def test_each_sensor_is_encoded_once_in_each_window(model: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: Counter[str] = Counter()
    encode = model.encode

    def counting(inputs: Mapping[str, Tensor]) -> object:
        encoded.update(list(inputs))
        return encode(inputs)

    monkeypatch.setattr(model, "encode", counting)
    inputs, _ = make_batch(1, 64)
    windows = Windows((32, 32), 0.25)
    predictions(model, inputs, windows)
    assert len(SUBSETS) == 7
    assert encoded == dict.fromkeys(CHANNELS, len(windows.places((64, 64)))) == dict.fromkeys(CHANNELS, 9)


def test_an_absent_sensor_is_as_if_it_had_never_been_there_in_windows(model: Segmenter) -> None:
    inputs, _ = make_batch(2, 48)
    present = {name: mask(1, name != "lidar") for name in CHANNELS}
    shown = WindowedSegmenter(model, Windows((32, 32)))
    with torch.inference_mode():
        logits = shown.decode(shown.encode(inputs), present, (48, 48))
    (lacking,) = predictions(model, {n: x[1:] for n, x in inputs.items()}, Windows((32, 32)), [("camera", "thermal")])
    torch.testing.assert_close(logits[1:], lacking, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("size", "overlap", "fault"),
    [
        ((49, 32), 0.25, "49 x 32 is larger than the image, 48 x 48"),
        ((32, 64), 0.25, "32 x 64 is larger than the image"),
        ((32, 32), 1.0, "overlap: is 1; give a share of the window"),
        ((32, 32), 1.5, "overlap: is 1.5"),
        ((32, 32), -0.1, "overlap: is -0.1"),
        ((0, 32), 0.25, "window: is 0 x 32"),
    ],
)
def test_windows_that_make_no_sense_are_named(
    model: Segmenter, size: tuple[int, int], overlap: float, fault: str
) -> None:
    inputs, _ = make_batch(1, 48)
    with pytest.raises(UsageError, match=fault):
        predictions(model, inputs, Windows(size, overlap))


def test_the_hold_out_is_counted_in_windows(tmp_path: Path) -> None:
    write_model(tmp_path / "model", 5)
    write_prepared(tmp_path / "prepared")
    data, model = PreparedDataset(tmp_path / "prepared"), load_predictor(tmp_path / "model", "cpu").model
    whole = count_subsets(model, data.ordered("test", 3))
    one = count_subsets(WindowedSegmenter(model, Windows((32, 40))), data.ordered("test", 3))
    parts = count_subsets(WindowedSegmenter(model, Windows((32, 32))), data.ordered("test", 3))
    assert np.array_equal(one, whole)
    assert not np.array_equal(parts, whole)
    assert np.array_equal(parts[..., 1], whole[..., 1])  # the pixels of each class in the ground truth
    assert score_counts(parts, data.sensors, data.meta.class_names).subsets.keys() == {
        "camera",
        "depth",
        "camera+depth",
    }


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("watched")
    write_model(root / "model", 3)
    write_monitor(root / "model", root / "prepared")
    return root / "model"


def test_frames_are_predicted_at_their_own_size(watched: Path, tmp_path: Path) -> None:
    """As the network alone gives it for the frame's own pixels, and not for those of the size of training."""
    predictor = load_predictor(watched, "cpu")
    frame = load_frame(write_raw(tmp_path / "b"), 0)[0].images
    inputs, _ = predictor.tensors([predictor.present(frame)], (50, 61))
    assert inputs["camera"].shape == (1, 3, 50, 61)
    with torch.inference_mode():
        expected = predictor.model(inputs).softmax(1).max(1)
    (own,) = predictor.predict([frame], own_size=True, monitor="off")
    np.testing.assert_allclose(own.confidence, expected.values[0].numpy(), rtol=1e-4)
    np.testing.assert_array_equal(own.labels, predictor.ids[expected.indices[0].numpy()])
    (one,) = predictor.predict([frame], own_size=Windows((50, 61)), monitor="off")
    np.testing.assert_array_equal(one.confidence, own.confidence)
    (usual,) = predictor.predict([frame], monitor="off")
    assert usual.labels.shape == own.labels.shape
    assert np.abs(usual.confidence - own.confidence).max() > 0.01
    with pytest.raises(UsageError, match="window: 64 x 64 is larger than the image, 50 x 61"):
        predictor.predict([frame], own_size=Windows((64, 64)))


def test_a_failing_sensor_is_left_out_at_the_frames_own_size(watched: Path) -> None:
    predictor, data = load_predictor(watched, "cpu"), PreparedDataset(watched.parent / "prepared")
    frame = {}
    for name, sensor in data.meta.sensors.items():
        low, high = sensor.range
        frame[name] = low + np.asarray(data.images[name][0], np.float32) * (high - low)
    black = {**frame, "camera": np.zeros_like(frame["camera"])}
    (broken,) = predictor.predict([black], (48, 60), own_size=True)
    (alone,) = predictor.predict([{"depth": frame["depth"]}], (48, 60), own_size=True)
    assert broken.left_out == {"camera": "failing: black"}
    np.testing.assert_array_equal(broken.confidence, alone.confidence)


def test_a_batch_is_scored_and_predicted_at_its_own_size(watched: Path, tmp_path: Path) -> None:
    raw, predictor = write_raw(tmp_path / "b"), load_predictor(watched, "cpu")
    own, one = evaluate(predictor, raw, own_size=True), evaluate(predictor, raw, window=(50, 61))
    assert own.subsets == one.subsets != evaluate(predictor, raw).subsets
    out = tmp_path / "out"
    assert command("predict", watched, raw.root, out, "--window", "32", "32", "--monitor", "off") == 0
    assert read_json(out / "predictions.json")["resolution"] == "own, in windows of 32 x 32 with an overlap of 0.25"
    frame = load_frame(raw, 0)[0].images
    (expected,) = predictor.predict([frame], own_size=Windows((32, 32)), monitor="off")
    np.testing.assert_array_equal(np.asarray(Image.open(out / "labels/f0.png")), expected.labels)


def test_predictions_of_another_resolution_are_not_gone_on_with(
    watched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, out = write_raw(tmp_path / "b"), tmp_path / "out"
    assert command("predict", watched, raw.root, out, "--shard", "1/2") == 0
    assert command("predict", watched, raw.root, out, "--shard", "1/2", "--own-size") == 2
    assert "at their own size" in capsys.readouterr().err
    assert command("predict", watched, raw.root, tmp_path / "new", "--window", "32", "32", "--overlap", "1") == 2
    assert "overlap: is 1; give a share of the window" in capsys.readouterr().err
