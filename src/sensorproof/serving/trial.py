"""Try a model in a process of its own: does it load, and predict with each sensor missing?

Its command is `python -m sensorproof.serving.trial FOLDER`.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from sensorproof.errors import RejectedError, SensorproofError

_SIZES = ((48, 64), (33, 47))
"""Heights and widths of the images: any size must do."""
_PATIENCE_S = 300.0


def try_model(folder: Path, name: str) -> None:
    """Load a model folder in a fresh process and predict there with each sensor missing.

    Args:
        folder: the model folder.
        name: of the model, for messages.

    Raises:
        RejectedError: it does not load, or a prediction fails.
    """
    command = [sys.executable, "-m", __spec__.name, str(folder)]
    fix = "do not serve it; train and register another one"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise RejectedError(name, f"gave no prediction within {_PATIENCE_S:.0f} s", fix) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise RejectedError(name, f"cannot predict in a fresh process ({lines[-1]})", fix)


def predict_each_missing(folder: Path) -> None:
    """Predict with all sensors and with each one missing; check labels and confidence.

    Raises:
        SensorproofError: the model does not load, or an answer is no answer.
    """
    from sensorproof.serving.predictor import load_predictor

    predictor = load_predictor(folder, "cpu")
    random = np.random.default_rng(0)
    for size in _SIZES:
        frame = {
            name: random.uniform(*sensor.range, (sensor.channels, *size))
            for name, sensor in predictor.description.sensors.items()
        }
        kept = [set(frame), *({*frame} - {name} for name in frame if len(frame) > 1)]
        for names in kept:
            # The images are noise, which a monitor rightly leaves out; it runs, but only reports.
            (prediction,) = predictor.predict([{name: frame[name] for name in names}], monitor="report")
            known = np.isin(prediction.labels, predictor.ids).all()
            sure = np.isfinite(prediction.confidence).all()
            if prediction.labels.shape != size or not known or not sure or set(prediction.used) != names:
                raise SensorproofError(folder, f"gives no proper answer with {sorted(names)}", "train another model")


if __name__ == "__main__":
    try:
        predict_each_missing(Path(sys.argv[1]))
    except SensorproofError as error:
        raise SystemExit(str(error)) from None
