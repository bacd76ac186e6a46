"""Pixel counts give the scores of one confusion matrix to the digit, and survive their file."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sensorproof.errors import SensorproofError
from sensorproof.evaluation.metrics import class_iou, confusion, frame_counts, mean_iou
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.subsets import score_counts

CLASSES = 5


def make_counts(frames: int = 4) -> PixelCounts:
    rng = np.random.default_rng(0)
    hits = rng.integers(1, 1000, (frames, 3, CLASSES))
    counts = np.stack([hits, hits + rng.integers(0, 99, hits.shape), hits + rng.integers(0, 99, hits.shape)], -1)
    return PixelCounts(
        counts=counts.astype(np.uint32),
        frames=tuple(f"b/{i}" for i in range(frames)),
        sequences=tuple(f"yard/{i // 2}" for i in range(frames)),
        sites=("yard",) * frames,
        conditions=("", "naß, kalt") * (frames // 2),
        sensors=("camera", "depth"),
        classes=tuple(f"class {k}" for k in range(CLASSES)),
        holdout="ab" * 32,
    )


def test_counts_of_frames_add_up_to_the_confusion_matrix() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(6, CLASSES, 16, 20), torch.randint(0, CLASSES - 1, (6, 16, 20))
    target[:, :3] = 255
    matrix = confusion(logits, target, 255)
    counts = frame_counts(logits, target, 255)
    for i in range(6):
        own = confusion(logits[i : i + 1], target[i : i + 1], 255)
        assert counts[i].tolist() == torch.stack([own.diagonal(), own.sum(1), own.sum(0)], -1).tolist()
    scores = score_counts(counts[:, None].numpy().astype(np.uint32), ["camera"], list("abcde"))
    assert list(scores.per_class["camera"].values()) == class_iou(matrix)
    assert scores.full == mean_iou(matrix)
    assert scores.support == dict(zip("abcde", matrix.sum(1).tolist(), strict=True))


def test_sums_do_not_overflow() -> None:
    counts = np.full((4, 1, 1, 3), 2**31, np.uint32)
    assert score_counts(counts, ["camera"], ["road"]).support == {"road": 2**33}


def test_a_subset_without_a_frame_is_an_error() -> None:
    counts = make_counts()
    counts.counts[:, 1] = 0
    with pytest.raises(SensorproofError, match="no frame to score with depth"):
        counts.scores()


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    counts = make_counts()
    counts.save(tmp_path / "a.npz")
    counts.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = PixelCounts.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.counts, counts.counts)
    assert loaded.counts.dtype == np.uint32
    for field in fields(PixelCounts):
        if field.name != "counts":
            assert getattr(loaded, field.name) == getattr(counts, field.name)
    assert loaded.scores() == counts.scores()


@pytest.mark.parametrize("fault", ["missing", "text", "keys", "shape", "pickle", "cut"])
def test_a_broken_file_is_an_error_of_one_line(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "a.npz"
    make_counts().save(path)
    content = path.read_bytes()
    with np.load(path) as data:
        arrays = dict(data)
    if fault == "missing":
        path.unlink()
    elif fault == "text":
        path.write_text("no archive")
    elif fault == "keys":
        np.savez(path, counts=arrays["counts"])
    elif fault == "shape":
        np.savez(path, **arrays | {"counts": arrays["counts"][:, :2]})
    elif fault == "pickle":
        np.savez(path, **arrays | {"classes": np.array([{}] * CLASSES, dtype=object)})
    else:
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SensorproofError) as caught:
        PixelCounts.load(path)
    assert "a.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_counts_of_another_shape_or_type_are_refused() -> None:
    counts = make_counts()
    for wrong in (counts.counts[:2], counts.counts.astype(np.int64)):
        with pytest.raises(ValueError, match="do not fit"):
            replace(counts, counts=wrong)
    with pytest.raises(ValueError, match="do not fit"):
        replace(counts, sites=("yard",))
