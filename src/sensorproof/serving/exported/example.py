"""Run an exported model with any of its sensors missing. Needs numpy, and onnxruntime or torch.

`python example.py` predicts random frames, once with all sensors and then with each missing in turn. In your own
code: `Model(folder).predict({sensor: array})`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Size = tuple[int, int]
LARGEST = 65504.0
"""Scaled pixels beyond this, in either direction, are invalid."""


class Model:
    """An exported model.

    Args:
        folder: holds model.json and model.onnx or model.pt2.
    """

    def __init__(self, folder: Path) -> None:
        self.about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.sensors: dict[str, dict[str, Any]] = self.about["sensors"]
        self.run = _load(folder / self.about["graph"])

    def predict(
        self, frame: Mapping[str, Image | None], shape: Size | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Segment one frame.

        Args:
            frame: {sensor: (C, h, w) in its own units}. A sensor that is None, not named, or without a valid pixel
                is absent.
            shape: (H, W) of the answer; by default that of the reference sensor, or of the largest where it is absent.

        Returns:
            Class ids and their confidence, 0 to 1, both (H, W).

        Raises:
            ValueError: no sensor has a valid pixel, or one is unknown or has another number of channels.
        """
        given = {name: image for name, image in frame.items() if image is not None}
        for name, image in given.items():
            if name not in self.sensors or image.ndim != 3 or len(image) != self.sensors[name]["channels"]:
                wanted = {name: sensor["channels"] for name, sensor in self.sensors.items()}
                raise ValueError(f"{name} has the shape {image.shape}; the model takes these channels: {wanted}")
        usable = {name: mark_invalid(image, self.sensors[name]["nodata"]) for name, image in given.items()}
        usable = {name: image for name, image in usable.items() if np.isfinite(image).any()}
        if not usable:
            raise ValueError(f"no sensor has a valid pixel; give one or more of {list(self.sensors)}")
        size = tuple(self.about["size"])
        inputs = [
            fit(usable[name], sensor, size) if name in usable else np.zeros((sensor["channels"], *size), np.float32)
            for name, sensor in self.sensors.items()
        ]
        present = np.array([[name in usable for name in self.sensors]])
        _, coarse = self.run([*(image[None] for image in inputs), present])
        chosen = usable.get(self.about["reference"], max(usable.values(), key=lambda image: image[0].size))
        logits = blend(coarse[0], shape or (chosen.shape[1], chosen.shape[2]), linear_weights)
        ids = np.array([each["id"] for each in self.about["classes"]], np.uint8)
        share = np.exp(logits - logits.max(0))
        return ids[logits.argmax(0)], share.max(0) / share.sum(0)


def _load(path: Path) -> Callable[[list[Image]], list[Image]]:
    """Return a function from the graph's inputs to its outputs."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        names = [each.name for each in session.get_inputs()]
        return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))
    import torch

    graph = torch.export.load(path).module()

    def run(inputs: list[Image]) -> list[Image]:
        with torch.inference_mode():
            return [output.numpy() for output in graph(*map(torch.from_numpy, inputs))]

    return run


def mark_invalid(image: Image, nodata: float | None) -> NDArray[np.float32]:
    """Copy (C, h, w) as float32, NaN where it is not finite and where every channel is `nodata`."""
    with np.errstate(over="ignore"):
        values = np.array(image, np.float32)
    invalid = ~np.isfinite(values)
    if nodata is not None:
        invalid |= (values == np.float32(nodata)).all(axis=0)
    values[invalid] = np.nan
    return values


def fit(image: NDArray[np.float32], sensor: Mapping[str, Any], size: Size) -> NDArray[np.float32]:
    """Resize (C, h, w), NaN where invalid, to `size`: by area or bilinearly if all pixels are valid, else the nearest.

    The graph scales, rounds and standardises.
    """
    low, high = sensor["range"]
    with np.errstate(over="ignore"):
        image = np.where(np.abs((image - low) / (high - low)) <= LARGEST, image, np.nan).astype(np.float32)
    old = image.shape[1:]
    if old == size:
        return image
    if sensor["nodata"] is not None or np.isnan(image).any():
        rows, columns = (nearest(old[i], size[i]) for i in (0, 1))
        return image[:, rows][:, :, columns]
    shrinks = old[0] >= size[0] and old[1] >= size[1]
    return blend(image, size, area_weights if shrinks else linear_weights)


def blend(image: Image, size: Size, weights: Callable[[int, int], Image]) -> NDArray[np.float32]:
    """Resize (C, h, w) by weights along each side."""
    rows, columns = (weights(image.shape[i + 1], size[i]) for i in (0, 1))
    return (rows @ image.astype(np.float64) @ columns.T).astype(np.float32)


def nearest(old: int, new: int) -> NDArray[np.int64]:
    """Find the pixel under each new pixel's centre; centres add up as in OpenCV 5, whose rounding decides ties."""
    steps = np.full(new, old / new)
    steps[0] /= 2
    return np.minimum(np.floor(np.cumsum(steps)).astype(np.int64), old - 1)


def linear_weights(old: int, new: int) -> NDArray[np.float64]:
    """Return bilinear weights (new, old) between pixels' centres."""
    places = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)[:, None]
    return np.clip(1 - np.abs(places - np.arange(old)), 0, None)


def area_weights(old: int, new: int) -> NDArray[np.float64]:
    """Return weights (new, old) by the overlap of pixels; OpenCV leaves out overlaps below a thousandth."""
    step = old / new
    low = np.arange(new)[:, None] * step
    overlap = np.minimum(np.arange(old) + 1, low + step) - np.maximum(np.arange(old), low)
    return np.where(overlap > 1e-3, overlap, 0) / step


def main() -> None:
    """Predict a random frame, with all sensors and then with each missing in turn."""
    model = Model(Path(__file__).parent)
    names = {each["id"]: each["name"] for each in model.about["classes"]}
    rng = np.random.default_rng(0)
    frame = {}
    for name, sensor in model.sensors.items():
        low, high = sensor["range"]
        frame[name] = rng.uniform(low, high, (sensor["channels"], *model.about["size"]))
    print_shares("all sensors", *model.predict(frame), names)
    for missing in frame if len(frame) > 1 else ():
        print_shares(f"without {missing}", *model.predict({**frame, missing: None}), names)


def print_shares(title: str, labels: NDArray[np.uint8], confidence: NDArray[np.float32], names: dict[int, str]) -> None:
    """Print which share of the pixels each class has."""
    shares = ", ".join(f"{names[i]} {(labels == i).mean():.0%}" for i in np.unique(labels).tolist())
    print(f"{title}: {shares}; mean confidence {confidence.mean():.2f}")


if __name__ == "__main__":
    main()
