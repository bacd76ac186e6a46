"""Requests and answers as plain values."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.project_artifacts import write_model
from sensorproof.errors import SensorproofError
from sensorproof.serving.inputs import read_array
from sensorproof.serving.predictor import Predictor, load_predictor
from sensorproof.serving.requests import encode, predict_request, read_frames

CAMERA = np.arange(3 * 8 * 10, dtype=np.uint8).reshape(3, 8, 10)
DEPTH = np.linspace(1, 50, 30, dtype=np.float32).reshape(1, 5, 6)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("served") / "model"
    write_model(folder, 3)
    return load_predictor(folder, "cpu")


@pytest.mark.parametrize(
    "request_",
    [
        [{"camera": CAMERA, "depth": DEPTH}],
        {"camera": CAMERA.tolist(), "depth": DEPTH.tolist()},
        {"camera": CAMERA[None], "depth": [DEPTH.tolist()]},
        [{"camera": encode(CAMERA, "base64"), "depth": encode(DEPTH, "base64")}],
    ],
)
def test_every_form_of_a_request_gives_the_same_answer(predictor: Predictor, request_: Any) -> None:
    (expected,) = predictor.predict([{"camera": CAMERA, "depth": DEPTH}])
    (answer,) = predict_request(predictor, request_)
    np.testing.assert_array_equal(answer["labels"], expected.labels)
    assert answer["confidence"] == pytest.approx(float(expected.confidence.mean()), abs=1e-6)
    assert (answer["used"], answer["left_out"]) == (["camera", "depth"], {})


def test_a_sensor_may_be_missing_in_some_frames() -> None:
    frames = read_frames({"camera": [CAMERA.tolist(), None], "depth": None})
    assert [frame["camera"] is None for frame in frames] == [False, True]
    assert [frame["depth"] for frame in frames] == [None, None]


@pytest.mark.parametrize("encoding", ["array", "base64", "png"])
def test_answers_are_read_again_as_they_were(predictor: Predictor, encoding: str) -> None:
    (expected,) = predictor.predict([{"camera": CAMERA}])
    params = {"confidence": "pixel", "encoding": encoding, "without": ["depth"]}
    (answer,) = predict_request(predictor, [{"camera": CAMERA, "depth": DEPTH}], params)
    labels, confidence = (read_array("answer", answer[name]) for name in ("labels", "confidence_map"))
    assert labels is not None
    assert confidence is not None
    np.testing.assert_array_equal(np.squeeze(labels), expected.labels)
    scale = 65535 if encoding == "png" else 1
    np.testing.assert_allclose(np.squeeze(confidence) / scale, expected.confidence, atol=1e-5)
    assert answer["left_out"] == {"depth": "left out on request"}


@pytest.mark.parametrize(
    ("request_", "params", "fault"),
    [
        ("text", {}, "not a list of frames"),
        ([], {}, "has no frame"),
        ([{}] * 257, {}, "has 257 frames"),
        ([1], {}, "frame 0: is int"),
        ([{"camera": "text"}], {}, "is text"),
        ([{"depth": [[[1.0, 2.0], [3.0]]]}], {}, "is ragged"),
        ([{"depth": [[["a"]]]}], {}, "holds values that are not numbers"),
        ([{"radar": DEPTH}], {}, "sensor radar: is unknown"),
        ({"camera": CAMERA[None], "depth": DEPTH}, {}, "is one image, the others are several"),
        ({"camera": [None, None], "depth": [DEPTH.tolist(), None, None]}, {}, "differ in their number of frames"),
        ([{"depth": {"png": base64.b64encode(b"no picture").decode()}}], {}, "is no PNG"),
        ([{"depth": {"png": "%"}}], {}, "no base64 text"),
        ([{"depth": {"webp": ""}}], {}, "an encoding that is unknown"),
        ([{"depth": {"base64": "AAAA", "dtype": "O", "shape": [1]}}], {}, "its dtype or shape"),
        ([{"depth": {"base64": "AAAA", "dtype": "uint8", "shape": [2]}}], {}, "has 3 bytes"),
        ([{"depth": DEPTH}], {"confidence": "all"}, "confidence: 'all' is unknown"),
        ([{"depth": DEPTH}], {"encoding": "jpeg"}, "encoding: 'jpeg' is unknown"),
        ([{"depth": DEPTH}], {"without": ["radar"]}, "are unknown"),
    ],
)
def test_a_request_that_cannot_be_answered_is_one_line(
    predictor: Predictor, request_: Any, params: dict[str, Any], fault: str
) -> None:
    with pytest.raises(SensorproofError) as caught:
        predict_request(predictor, request_, params)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


def test_a_png_that_is_cut_off_is_named(tmp_path: Path) -> None:
    whole = base64.b64decode(encode(CAMERA[0], "png")["png"])
    with pytest.raises(SensorproofError, match="is no whole PNG"):
        read_array("camera", {"png": base64.b64encode(whole[:45]).decode()})
