"""Images that are mirrored or turned, and labels of one class, are named as the cause that nothing registers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.fault_batches import FRAMES, validated


def change_images(batch: Path, sensor: str, rows: range, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for row in rows:
        path = batch / sensor / f"{row}.png"
        Image.fromarray(np.ascontiguousarray(change(np.asarray(Image.open(path))))).save(path)


TURNS = {
    "mirrored left to right": np.fliplr,
    "mirrored top to bottom": np.flipud,
    "turned by 180 degrees": lambda image: np.rot90(image, 2),
}


@pytest.mark.parametrize("cause", TURNS)
@pytest.mark.parametrize("rows", [range(FRAMES), range(3, 6)], ids=["all", "some"])
def test_a_turned_sensor_is_named(batch: Path, cause: str, rows: range) -> None:
    change_images(batch, "other", rows, TURNS[cause])
    lines = [w for w in validated(batch).warnings if w.startswith("other: looks ")]
    assert len(lines) == 1
    assert f"other: looks {cause} in " in lines[0]


def test_a_label_of_one_class_is_named(batch: Path) -> None:
    change_images(batch, "label", range(FRAMES), np.zeros_like)
    warnings = validated(batch).warnings
    assert any(w.startswith("label: looks without edges: a single class in 8 of 8 ") for w in warnings)


def test_a_sound_batch_has_no_cause(batch: Path) -> None:
    assert not [w for w in validated(batch).warnings if " looks " in w]


def test_noise_looks_like_no_turn(batch: Path) -> None:
    rng = np.random.default_rng(0)
    change_images(batch, "other", range(FRAMES), lambda image: rng.integers(1, 255, image.shape).astype(np.uint8))
    assert not [w for w in validated(batch).warnings if " looks " in w]
