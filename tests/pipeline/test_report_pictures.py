"""The pictures of the page: what the models predict, what the sensors saw, and which frames are shown."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.report_fixtures import make_data, make_runs
from sensorproof.models import load_model
from sensorproof.reporting.examples import choose_rows, draw_examples
from sensorproof.reporting.palette import class_colors, rgb_table
from sensorproof.reporting.thumbnails import BUDGET, label_picture, picture_size, sensor_picture


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_predictions_are_those_of_the_first_seed_without_that_sensor(tmp_path: Path) -> None:
    root = tmp_path
    data = make_data(root / "prepared")
    make_runs(data, root / "train", ("baseline", "regularized"), (0, 1))
    runs = {arm: (0, root / f"train/{arm}/0/model") for arm in ("baseline", "regularized")}
    examples, size = draw_examples(data, runs, 2, "cpu")
    assert size == (32, 40)
    assert [e.frame_id for e in examples] == ["frame-5", "frame-8"]
    table = rgb_table(class_colors(data.meta.class_names))
    batch = data.batch(np.array([8]))
    for arm in examples[1].arms:
        model, _ = load_model(root / f"train/{'baseline' if arm.title == 'baseline' else 'regularized'}/0/model")
        for picture in arm.predictions:
            kept = {name: x for name, x in batch.inputs.items() if picture.caption != f"without {name}"}
            with torch.inference_mode():
                expected = model(kept).argmax(1)[0].numpy()
            np.testing.assert_array_equal(np.asarray(decode(picture.uri).convert("RGB")), table[expected])
    lacking = examples[0]
    assert {each.caption: each.uri is None for each in lacking.seen} == {
        "camera": False,
        "depth": False,
        "thermal": True,
    }
    whole, without = lacking.arms[0].predictions[0], lacking.arms[0].predictions[3]
    assert without.caption == "without thermal"
    assert (whole.uri, whole.score) == (without.uri, without.score)


def test_a_frame_whose_only_sensor_goes_missing_has_no_prediction(tmp_path: Path) -> None:
    data = make_data(tmp_path / "prepared", {"camera": ("camera", 3), "thermal": ("thermal", 1)})
    runs = make_runs(data, tmp_path / "train", ("baseline",), (0,))
    examples, _ = draw_examples(data, {"baseline": (0, runs["baseline"][0] / "model")}, 2, "cpu")
    predictions = {each.caption: each for each in examples[0].arms[0].predictions}
    assert predictions["without camera"].uri is None
    assert predictions["without camera"].score is None
    assert predictions["without thermal"].uri is not None


def test_pixels_without_a_value_are_transparent_and_others_are_not(tmp_path: Path) -> None:
    data = make_data(tmp_path / "prepared")
    pixels = np.asarray(data.images["depth"][4], np.float32)
    for name, values in {"depth": pixels, "thermal": pixels, "camera": pixels.repeat(3, 0)}.items():
        picture = decode(sensor_picture(values, data.meta.sensors[name], (0, 1), (32, 40))).convert("RGBA")
        np.testing.assert_array_equal(np.asarray(picture)[..., 3] == 255, np.isfinite(pixels[0]))
    truth = decode(label_picture(data.labels[4], class_colors(data.meta.class_names), (32, 40))).convert("RGBA")
    np.testing.assert_array_equal(np.asarray(truth)[..., 3] == 0, data.labels[4] == 255)


def test_a_camera_keeps_its_colours(tmp_path: Path) -> None:
    data = make_data(tmp_path / "prepared")
    pixels = np.asarray(data.images["camera"][4], np.float32)
    picture = np.asarray(decode(sensor_picture(pixels, data.meta.sensors["camera"], (0.4, 0.5), (32, 40))))
    np.testing.assert_allclose(picture / 255, pixels.transpose(1, 2, 0), atol=0.003)


@pytest.mark.parametrize("examples", [1, 24])
def test_the_pictures_of_pure_noise_fit(examples: int, tmp_path: Path) -> None:
    kinds = {"camera": ("camera", 3), "depth": ("depth", 1), "event": ("event", 2), "lidar": ("lidar", 1)}
    meta = make_data(tmp_path / "prepared", kinds, [f"class {i}" for i in range(25)]).meta
    meta = meta.model_copy(update={"size": (512, 640)})
    predictions = 8 * 5
    size = picture_size(meta, examples, predictions)
    rng = np.random.default_rng(0)
    spent = sum(
        len(sensor_picture(rng.random((s.channels, 512, 640)).astype(np.float32), s, (0, 1), size))
        for s in meta.sensors.values()
    )
    label = rng.integers(0, 25, (512, 640)).astype(np.uint8)
    spent += (1 + predictions) * len(label_picture(label, class_colors(meta.class_names), size))
    assert examples * spent < 4 / 3 * BUDGET * 1.15 < 4_500_000
    assert size[1] / size[0] == pytest.approx(640 / 512, rel=0.05)


@pytest.mark.parametrize(("frames", "count"), [(6, 2), (100, 4), (3, 24), (24, 24), (1, 1), (5, 0)])
def test_examples_are_spread_evenly_and_chosen_by_place_alone(frames: int, count: int) -> None:
    rows = np.arange(1000, 1000 + frames)
    chosen = choose_rows(rows, count)
    assert len(set(chosen.tolist())) == len(chosen) == min(frames, count)
    edges = np.concatenate([[999], chosen, [1000 + frames]])
    if len(chosen):
        assert np.diff(chosen).size == 0 or np.ptp(np.diff(chosen)) <= 1
        assert abs((chosen[0] - edges[0]) - (edges[-1] - chosen[-1])) <= 1
