"""Calls of the regulariser: tensors, sensors and models that do not fit are named."""

from typing import Any

import pytest
import torch

from helpers.sensor_models import CHANNELS, MeanFusion, make_batch, make_segmenter, mask
from sensorproof.errors import UsageError
from sensorproof.regularization import FunctionalEntropy


def spoiled(x: torch.Tensor, value: str) -> torch.Tensor:
    """The input with one value of the second sample that is not finite."""
    x = x.clone()
    x[1, 0, 2, 3] = float(value)
    return x


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, t, p: ({**i, "camera": i["camera"].to(torch.uint8)}, t, p), "camera is torch.uint8"),
        (lambda i, t, p: (i, t[:3], p), "camera has 4 samples, the target 3"),
        (lambda i, t, p: (i, t[:, None], p), r"target: is torch.int64 of shape \(4, 1, "),
        (lambda i, t, p: (i, t.float(), p), "target: is torch.float32"),
        (lambda i, t, p: (i, torch.where(t == 0, -100, t), p), "target: has label -100"),
        (lambda i, t, p: (i, t, {"lidar": torch.ones(4, dtype=torch.int64)}), "lidar is torch.int64"),
        (lambda i, t, p: (i, t, {"lidar": mask(1, 1)}), r"shape \(4,\)"),
        (lambda i, t, p: (i, t, {"radar": mask(1, 1, 1, 1)}), r"sensors: \['radar'\] are unknown"),
        (lambda i, t, p: (i, t, {name: mask(0, 0, 0, 0) for name in CHANNELS}), "no sensor is present"),
        (lambda i, t, p: ({}, t, p), "no sensor is present"),
        (lambda i, t, p: (list(i.values()), t, p), "inputs: are a list"),
        (lambda i, t, p: ({**i, "camera": i["camera"].numpy()}, t, p), "camera is a ndarray"),
        (lambda i, t, p: ({**i, "lidar": spoiled(i["lidar"], "nan")}, t, p), "lidar is not finite in 1 of 4 samples"),
        (lambda i, t, p: ({**i, "lidar": spoiled(i["lidar"], "inf")}, t, p), "lidar is not finite in 1 of 4 samples"),
        (lambda i, t, p: (i, torch.where(t == 0, 7, t), p), "target: has label 7, the model has 3 classes"),
    ],
)
def test_tensors_that_do_not_fit_are_named(change: Any, message: str) -> None:
    inputs, target, present = change(*make_batch(), None)
    with pytest.raises(UsageError, match=message) as caught:
        FunctionalEntropy(0.1)(MeanFusion(), inputs, target, present=present)
    assert isinstance(caught.value, ValueError)


def test_an_unknown_sensor_to_regularise_is_named() -> None:
    with pytest.raises(UsageError, match=r"sensors: \['radar'\] are unknown"):
        FunctionalEntropy(0.1, sensors=["radar"])(MeanFusion(), *make_batch())


def test_a_feature_scale_needs_encode_and_decode() -> None:
    with pytest.raises(UsageError, match="need encode and decode"):
        FunctionalEntropy(0.1, ("stage1",))(MeanFusion(), *make_batch())


def test_a_stage_that_the_model_lacks_is_named() -> None:
    model, (inputs, target) = make_segmenter(), make_batch(2, 32)
    features = {name: stages[:2] for name, stages in model.encode(inputs).items()}
    with pytest.raises(UsageError, match=r"scales: stage3 is not there; the model has 2 stages"):
        FunctionalEntropy(0.1, ("stage3",))(model, inputs, target, features=features)


def test_an_absent_sample_may_hold_anything() -> None:
    inputs, target = make_batch()
    present = {"lidar": mask(1, 0, 1, 1)}
    term = FunctionalEntropy(0.1)(
        MeanFusion(), {**inputs, "lidar": spoiled(inputs["lidar"], "nan")}, target, present=present
    )
    assert bool(torch.isfinite(term.value))


class Answering(MeanFusion):
    """A model whose answer is wrapped."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, inputs: Any) -> Any:
        return self.wrap(super().forward(inputs))


@pytest.mark.parametrize("variant", ["single", "paper", "gat"])
@pytest.mark.parametrize("estimator", ["first_order", "exact"])
@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda x: {"out": x, "aux": None}, r"returns a mapping with \['aux', 'out'\]; .* its entry 'out'"),
        (lambda x: [x], "returns a list"),
        (lambda x: None, "returns a NoneType"),
        (lambda x: x.argmax(1), r"returns torch.int64 of shape"),
        (lambda x: x[0], r"returns torch.float32 of shape \(3, 16, 16\)"),
        (lambda x: x[:1].repeat(9, 1, 1, 1), r"shape \(9, 3, 16, 16\) for \d samples"),
    ],
)
def test_an_answer_that_is_not_logits_is_named(variant: Any, estimator: Any, wrap: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FunctionalEntropy(0.1, variant=variant, estimator=estimator)(Answering(wrap), *make_batch())


@pytest.mark.parametrize(("variant", "estimator"), [("single", "exact"), ("paper", "exact"), ("gat", "first_order")])
def test_a_label_beyond_the_classes_is_named_in_every_variant(variant: Any, estimator: Any) -> None:
    inputs, target = make_batch()
    call = FunctionalEntropy(0.1, variant=variant, estimator=estimator)
    if variant == "gat":  # its f does not use the label
        assert bool(torch.isfinite(call(MeanFusion(), inputs, torch.where(target == 0, 7, target)).value))
        return
    with pytest.raises(UsageError, match="has label 7, the model has 3 classes"):
        call(MeanFusion(), inputs, torch.where(target == 0, 7, target))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: [f], "features: are a list"),
        (lambda f: {"camera": f["camera"]}, r"features: lack \['lidar', 'thermal'\]"),
        (lambda f: {name: [stage[:1] for stage in stages] for name, stages in f.items()}, "do not have 2 samples"),
    ],
)
def test_features_that_do_not_fit_are_named(change: Any, message: str) -> None:
    model, (inputs, target) = make_segmenter(), make_batch(2, 32)
    with pytest.raises(UsageError, match=message):
        FunctionalEntropy(0.1)(model, inputs, target, features=change(model.encode(inputs)))
