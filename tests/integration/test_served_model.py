"""The registered model behind `mlflow models serve`: any of its sensors, and every bad request in one line."""

import base64
import io
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from helpers.paths import ROOT
from helpers.project import Project
from helpers.project_artifacts import write_results
from helpers.servers import BIN, answers, free_port, running
from sensorproof.evaluation.subsets import all_subsets
from sensorproof.serving.inputs import read_array
from sensorproof.serving.predictor import Predictor, load_predictor

RNG = np.random.default_rng(0)
FRAME: dict[str, NDArray[Any]] = {
    "camera": RNG.integers(0, 256, (3, 45, 51), np.uint8),
    "depth": RNG.uniform(1, 50, (1, 30, 40)).astype(np.float32),
}


@dataclass(frozen=True)
class Served:
    """A served model, and the same model in this process."""

    url: str
    predictor: Predictor
    home: Path
    """The project that registered it."""

    def post(self, body: bytes) -> tuple[int, str]:
        """Send a body; return status and text of the answer."""
        request = urllib.request.Request(f"{self.url}/invocations", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def predict(self, inputs: Any, **params: Any) -> list[dict[str, Any]]:
        """Send a request that must succeed."""
        status, text = self.post(json.dumps({"inputs": inputs, "params": params}).encode())
        assert status == 200, text
        predictions: list[dict[str, Any]] = json.loads(text)["predictions"]
        return predictions


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served")
    write_results(home, {"baseline": [50.0, 51.0], "regularized_dropout": [55.0, 56.0]})
    Project(home).run(sys.executable, str(ROOT / "pipelines/stages/register.py"))
    url = f"http://127.0.0.1:{(port := free_port())}"
    address = ["-m", "models:/sensorproof@champion", "-p", str(port), "-h", "127.0.0.1", "--env-manager", "local"]
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    command = [BIN / "mlflow", "models", "serve", *address]
    ready = lambda: answers(f"{url}/ping")  # noqa: E731
    with running(command, ready, home / "server.log", environment=environment, folder=home):
        yield Served(url, load_predictor(home / "artifacts/train/regularized_dropout/1/model", "cpu"), home)


def as_lists(frame: dict[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: image.tolist() for name, image in frame.items()}


def png(image: NDArray[np.uint8]) -> dict[str, str]:
    """Encode (3, H, W) as another program would."""
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "PNG")
    return {"png": base64.b64encode(buffer.getvalue()).decode()}


@pytest.mark.parametrize("subset", all_subsets(FRAME), ids="+".join)
def test_every_subset_is_answered_as_in_this_process(served: Served, subset: tuple[str, ...]) -> None:
    frame = {name: FRAME[name] for name in subset}
    (expected,) = served.predictor.predict([frame])
    (answer,) = served.predict([as_lists(frame)])
    np.testing.assert_array_equal(answer["labels"], expected.labels)
    assert answer["confidence"] == pytest.approx(expected.confidence.mean(), abs=1e-6)
    assert tuple(answer["used"]) == subset
    assert answer["left_out"] == dict.fromkeys(set(FRAME) - set(subset), "not given")


def test_a_missing_sensor_is_null_or_not_a_number_or_left_out_on_request(served: Served) -> None:
    camera = {"camera": FRAME["camera"].tolist()}
    (expected,) = served.predict([camera])
    gaps = {**camera, "depth": np.full((1, 5, 6), np.nan).tolist()}
    with_null, with_nan, with_nulls = served.predict(
        [{**camera, "depth": None}, gaps, {**camera, "depth": [[[None, None]]]}]
    )
    (without,) = served.predict([as_lists(FRAME)], without=["depth"])
    for answer, reason in (
        (with_null, "not given"),
        (with_nan, "has no valid pixel"),
        (with_nulls, "has no valid pixel"),
        (without, "left out on request"),
    ):
        assert answer["labels"] == expected["labels"]
        assert answer["left_out"] == {"depth": reason}


def test_one_frame_and_images_by_sensor_are_understood(served: Served) -> None:
    (expected,) = served.predict([as_lists(FRAME)])
    assert served.predict(as_lists(FRAME)) == [expected]
    by_sensor = {"camera": [FRAME["camera"].tolist()] * 2, "depth": [FRAME["depth"].tolist(), None]}
    first, second = served.predict(by_sensor)
    assert first["labels"] == expected["labels"]
    assert second["used"] == ["camera"]


def test_images_may_be_encoded_in_request_and_answer(served: Served) -> None:
    raw = {"base64": base64.b64encode(FRAME["depth"].tobytes()).decode(), "dtype": "float32", "shape": [1, 30, 40]}
    encoded = {"camera": png(FRAME["camera"]), "depth": raw}
    (plain,) = served.predict([as_lists(FRAME)], confidence="pixel")
    for encoding, tolerance in (("png", 1e-5), ("base64", 0)):
        (answer,) = served.predict([encoded], confidence="pixel", encoding=encoding)
        labels, confidence = (read_array("answer", answer[name]) for name in ("labels", "confidence_map"))
        assert labels is not None
        assert confidence is not None
        np.testing.assert_array_equal(np.squeeze(labels), plain["labels"])
        scaled = np.squeeze(confidence) / (65535 if encoding == "png" else 1)
        np.testing.assert_allclose(scaled, plain["confidence_map"], atol=tolerance)


@pytest.mark.parametrize("side", [1, 2048])
def test_images_of_any_size_are_answered(served: Served, side: int) -> None:
    image = np.full((3, side, side), 90, np.uint8)
    (answer,) = served.predict([{"camera": png(image)}], encoding="png")
    labels = read_array("labels", answer["labels"])
    assert labels is not None
    assert labels.shape[-2:] == (side, side)


SECRET = 8.765432101
"""A value that no error may repeat."""
DEPTH = np.full((1, 4, 4), SECRET).tolist()
BAD = {
    "unknown sensor": ([{"radar": DEPTH}], "sensor radar: is unknown to the model"),
    "unknown and known": ([{"depth": DEPTH, "lidar": DEPTH}], "sensor lidar: is unknown"),
    "long name": ([{"x" * 5000: DEPTH}], "is unknown to the model"),
    "wrong channels": ([{"camera": DEPTH}], "sensor camera: has the shape (1, 4, 4); give (3, height, width)"),
    "two axes": ([{"depth": DEPTH[0]}], "has the shape (4, 4)"),
    "no sensor": ([{}], "frame 0: has no sensor with a valid pixel"),
    "all missing": ([{"depth": None, "camera": [[[None]]] * 3}], "has no sensor"),
    "no frame": ([], "has no frame"),
    "text": ([{"depth": f"{SECRET}"}], "sensor depth: is text"),
    "only text": (f"{SECRET}", "not a list of frames"),
    "a number": (5, "not a list of frames"),
    "text in an array": ([{"depth": [[["a", "b"]]]}], "holds values that are not numbers"),
    "ragged": ([{"depth": [[[SECRET, 1.0], [2.0]]]}], "is ragged"),
    "list of lists": ([[SECRET]], "frame 0: is list"),
    "numbers of frames": ({"camera": [None, None, None], "depth": [DEPTH, DEPTH]}, "differ in their number of frames"),
    "no PNG": ([{"depth": {"png": "AAAA"}}], "is no PNG"),
    "no base64": ([{"depth": {"png": "%"}}], "no base64"),
    "wrong length": ([{"depth": {"base64": "AAAA", "dtype": "float32", "shape": [1, 1, 2]}}], "has 3 bytes"),
    "objects": ([{"depth": {"base64": "AAAA", "dtype": "O", "shape": [1]}}], "dtype or shape"),
    "unknown encoding": ([{"depth": {"jpeg": "AAAA"}}], "encoding that is unknown"),
    "too many frames": ([{}] * 300, "has 300 frames"),
}


def assert_short(status: int, text: str, fault: str) -> None:
    """The answer is one line that names the fault, without data and stack trace."""
    assert 400 <= status < 600, text
    answer = json.loads(text)
    message = answer["message"]
    assert fault in message
    assert len(message) <= 300
    assert "\n" not in message
    assert str(SECRET) not in text
    assert "Traceback" not in text
    assert set(answer) <= {"error_code", "message", "sqlstate", "error_class"}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_gets_one_line(served: Served, case: str) -> None:
    inputs, fault = BAD[case]
    assert_short(*served.post(json.dumps({"inputs": inputs}).encode()), fault)


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"without": ["radar"]}, "sensors ['radar'] are unknown"),
        ({"without": ["camera", "depth"]}, "leaves no sensor"),
        ({"without": 5}, "without"),
        ({"confidence": "all"}, "confidence: 'all' is unknown"),
        ({"encoding": "jpeg"}, "encoding: 'jpeg' is unknown"),
    ],
)
def test_a_bad_parameter_gets_one_line(served: Served, params: dict[str, Any], fault: str) -> None:
    body = {"inputs": [{"depth": DEPTH, "camera": None}], "params": params}
    assert_short(*served.post(json.dumps(body).encode()), fault)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (f'{{"inputs": [{SECRET}', "valid JSON"),
        (f'{{"instances": [{SECRET}]}}', "'inputs' key"),
        (f"[{SECRET}]", "JSON"),
    ],
)
def test_a_body_that_is_no_request_gets_one_line(served: Served, body: str, fault: str) -> None:
    assert_short(*served.post(body.encode()), fault)


@pytest.mark.parametrize("kind", ["float64", "int64", "float32", "uint8", "bool"])
def test_numbers_of_any_type_are_understood(served: Served, kind: str) -> None:
    image = np.ones((1, 6, 7), kind)
    raw = {"base64": base64.b64encode(image.tobytes()).decode(), "dtype": kind, "shape": [1, 6, 7]}
    (answer,) = served.predict([{"depth": raw}])
    assert answer["used"] == ["depth"]


def test_the_packaged_model_holds_no_pickle(served: Served) -> None:
    """Neither by name nor by content: a pickle of protocol 2 or later begins with 0x80."""
    files = [path for path in (served.home / "mlruns").rglob("*") if path.is_file()]
    assert {"model.safetensors", "model.json", "MLmodel", "python_model.py"} & {path.name for path in files}
    for path in files:
        assert path.suffix not in {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib"}
        assert path.read_bytes()[:1] != b"\x80"
