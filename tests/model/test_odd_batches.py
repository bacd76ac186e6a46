"""The regulariser on batches that are not as a benchmark's: tiny, with sensors missing, unlabelled, not finite."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sensorproof.errors import SensorproofError, UsageError
from sensorproof.models import Segmenter
from sensorproof.regularization import FunctionalEntropy
from sensorproof.regularization.checks import ESTIMATORS, VARIANTS
from sensorproof.regularization.functional_entropy import partition

CHANNELS = {"camera": 3, "lidar": 2, "thermal": 1}
FEATURE_SCALES = ("stage1", "stage3")


class Foreign(nn.Module):
    """Maps named tensors to logits, and knows nothing of `present`."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({name: nn.Conv2d(c, 3, 1) for name, c in CHANNELS.items()})
        self.dropout = nn.Dropout(dropout)
        self.seen: list[list[str]] = []

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        self.seen.append(sorted(inputs))
        return torch.stack([self.dropout(self.layers[n](x).tanh() * 3) for n, x in inputs.items()]).mean(0)


def batch(b: int = 4, size: int = 16) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = {name: torch.randn(b, c, size, size, generator=generator) for name, c in CHANNELS.items()}
    return inputs, torch.randint(0, 3, (b, size, size), generator=generator)


def mask(*here: int) -> Tensor:
    return torch.tensor(here, dtype=torch.bool)


def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(CHANNELS, 3, "tiny", 16)


def build(variant: str, estimator: str, scales: Sequence[str] = ("prediction",), **more: Any) -> FunctionalEntropy:
    return FunctionalEntropy(0.5, scales, variant=variant, estimator=estimator, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", ["paper", "gat"])
def test_dropout_does_not_pass_for_information(variant: str) -> None:
    """Passes whose difference estimates a gradient draw the same masks; else dropout would be all that it saw."""
    inputs, target = batch(16)
    plain, dropped = [], []
    for seed in range(12):
        for found, dropout in ((plain, 0.0), (dropped, 0.3)):
            torch.manual_seed(seed)
            model = Foreign(dropout)
            torch.manual_seed(seed)
            found.append(build(variant, "first_order")(model, inputs, target).information["prediction"]["camera"])
    ratio = float(torch.stack(dropped).mean() / torch.stack(plain).mean())
    assert 0.3 < ratio < 3, f"information with dropout is {ratio:.1f} times that without"


def test_a_batch_of_one_deals_its_sample_to_every_sensor_in_turn() -> None:
    here = {name: mask(1) for name in CHANNELS}
    torch.manual_seed(0)
    dealt = [next(iter(partition(torch.tensor([0]), here))) for _ in range(300)]
    assert {name: dealt.count(name) >= 60 for name in CHANNELS} == dict.fromkeys(CHANNELS, True)


def test_a_batch_of_one_asks_as_much_as_a_large_one() -> None:
    """The exact term of a lone sample stands for all sensors, though one is drawn."""
    model, (inputs, target) = Foreign(), batch(1)
    torch.manual_seed(0)
    lone = torch.stack([build("single", "exact")(model, inputs, target).value.detach() for _ in range(60)])
    large = {name: x.repeat(30, 1, 1, 1) for name, x in inputs.items()}
    value = build("single", "exact")(model, large, target.repeat(30, 1, 1)).value
    assert float(lone.mean()) == pytest.approx(float(value.detach()), rel=0.1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_foreign_model_never_sees_a_sensor_that_a_sample_lacks(variant: str, estimator: str) -> None:
    """Samples that lack a sensor pass without it; what stands in for the image may be anything, even NaN."""
    model, (inputs, target) = Foreign(), batch()
    present = {"lidar": mask(1, 1, 0, 0), "thermal": mask(0, 0, 0, 0)}
    inputs["lidar"][2:] = torch.nan
    inputs["thermal"][:] = torch.nan
    term = build(variant, estimator)(model, inputs, target, present=present)
    term.value.backward()
    assert torch.isfinite(term.value)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert set(term.information["prediction"]) == {"camera", "lidar"}
    assert not any("thermal" in names for names in model.seen)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_that_needs_every_input_gets_zeros(variant: str, estimator: str) -> None:
    model, (inputs, target) = Foreign(), batch()
    present = {"lidar": mask(1, 1, 0, 0), "thermal": mask(0, 0, 0, 0)}
    term = build(variant, estimator, missing="zero")(model, inputs, target, present=present)
    assert torch.isfinite(term.value)
    assert all(names == sorted(CHANNELS) for names in model.seen)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_features_of_absent_samples_are_not_read(variant: str, estimator: str) -> None:
    """NaN in them, or other values, change neither the term nor the scale of the perturbation."""
    model, (inputs, target) = segmenter().eval(), batch(4, 32)
    present = {"lidar": mask(1, 1, 0, 0)}
    values = []
    for standing_in in (0.0, torch.nan):
        features = model.encode(inputs)
        here = present["lidar"].reshape(-1, 1, 1, 1)
        features["lidar"] = [torch.where(here, stage, standing_in) for stage in features["lidar"]]
        torch.manual_seed(1)
        term = build(variant, estimator, FEATURE_SCALES)(model, inputs, target, present=present, features=features)
        values.append(term.value)
    assert torch.isfinite(values[0])
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_ignored_pixels_leave_the_feature_scales(variant: str) -> None:
    """What features are where no pixel has a label changes nothing."""
    model, (inputs, target) = segmenter().eval(), batch(4, 32)
    target[:, :16] = 255

    def information(turned: slice | None) -> Tensor:
        """Without the mean and the deviation being changed: features are turned round, sensor by sensor."""
        features = model.encode(inputs)
        for stages in features.values():
            stages[0] = stages[0].clone()
            if turned is not None:
                stages[0][:, :, turned] = stages[0][:, :, turned].flip(1)
        torch.manual_seed(1)
        found = build(variant, "exact", ("stage1",), sigma=1e-2)(model, inputs, target, features=features).information
        return torch.stack(list(found["stage1"].values()))

    torch.testing.assert_close(information(slice(0, 4)), information(None), rtol=1e-6, atol=0)
    assert not torch.allclose(information(slice(4, 8)), information(None), rtol=1e-5, atol=0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scales", [("stage1",), ("prediction", "stage1")])
def test_absent_images_that_are_not_finite_leave_the_gradients_finite(
    variant: str, estimator: str, scales: tuple[str, ...]
) -> None:
    model, (inputs, target) = segmenter(), batch(4, 32)
    inputs["lidar"][2:] = torch.nan
    term = build(variant, estimator, scales)(model, inputs, target, present={"lidar": mask(1, 1, 0, 0)})
    term.value.backward()
    assert torch.isfinite(term.value)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_sensor_that_only_unlabelled_samples_have_is_not_asked() -> None:
    model, (inputs, target) = Foreign(), batch()
    target[3] = 255
    rare = {"lidar": mask(0, 0, 0, 1), "thermal": mask(0, 0, 0, 0)}
    torch.manual_seed(0)
    asked = build("single", "exact")(model, inputs, target, present=rare).value
    torch.manual_seed(0)
    unimodal = build("single", "exact", sensors=["camera"])(model, inputs, target, present=rare).value
    torch.testing.assert_close(asked, unimodal, rtol=0.2, atol=0.1)


def test_a_sample_with_a_choice_serves_the_sensor_that_others_lack() -> None:
    here = {"camera": mask(1, 1), "lidar": mask(0, 1)}
    for seed in range(20):
        torch.manual_seed(seed)
        dealt = partition(torch.tensor([1, 0]), here)
        assert {name: rows.tolist() for name, rows in dealt.items()} == {"camera": [0], "lidar": [1]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_feature_scales_of_a_frozen_encoder(variant: str) -> None:
    model, (inputs, target) = segmenter().requires_grad_(False), batch(2, 32)
    assert torch.isfinite(build(variant, "exact", ("stage1",))(model, inputs, target).value)


def test_zeros_go_through_the_model_where_decode_needs_every_sensor() -> None:
    class Stiff(Foreign):
        def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
            return {name: [self.layers[name](x)] for name, x in inputs.items()}

        def decode(self, features: Mapping[str, Sequence[Tensor]]) -> Tensor:
            return torch.stack([features[name][0] for name in CHANNELS]).mean(0)

    model, (inputs, target) = Stiff(), batch()
    regularizer = FunctionalEntropy(0.5, missing="zero")
    assert torch.isfinite(regularizer(model, inputs, target, features=model.encode(inputs)).value)


def test_measuring_does_not_wait_for_a_step_with_the_term() -> None:
    regularizer, (inputs, target) = FunctionalEntropy(0.1, every_n_steps=2), batch()
    assert set(regularizer(Foreign(), inputs, target).information["prediction"]) == set(CHANNELS)
    lazy = regularizer(Foreign(), inputs, target)
    assert float(lazy.value) == 0
    assert set(lazy.information["prediction"]) == set(CHANNELS)


def test_a_rare_sensor_does_not_raise_the_strength() -> None:
    """A sample without a sensor counts the sensors that it has: less is asked of it, and no more of the others."""
    model = Foreign().eval()
    with torch.no_grad():
        for layer in model.layers.values():
            layer.weight.zero_(), layer.bias.zero_()  # f is log 3 whatever is kept
    inputs, target = batch()
    regularizer = FunctionalEntropy(1.0, relevance_weighting=False)
    unimodal = {"lidar": mask(0, 0, 0, 0), "thermal": mask(0, 0, 0, 0)}
    rare = {"lidar": mask(0, 0, 0, 1), "thermal": mask(0, 0, 0, 0)}
    one, some, all_three = (
        float(regularizer(model, inputs, target, present=p, return_information=False).value.detach())
        for p in (unimodal, rare, None)
    )
    assert some == pytest.approx(1.25 * one, rel=1e-5)
    assert all_three == pytest.approx(3 * one, rel=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_without_a_label_asks_nothing(variant: str, estimator: str) -> None:
    model, (inputs, target) = segmenter(), batch(2, 32)
    term = build(variant, estimator, ("prediction", *FEATURE_SCALES))(model, inputs, torch.full_like(target, 255))
    assert float(term.value) == 0.0
    assert term.information == {}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_regularised_sensors_that_nobody_has_ask_nothing(variant: str, estimator: str) -> None:
    model, (inputs, target) = segmenter(), batch(2, 32)
    regularizer = build(variant, estimator, ("prediction", *FEATURE_SCALES), sensors=["lidar"])
    term = regularizer(model, inputs, target, present={"lidar": mask(0, 0)})
    assert float(term.value) == 0.0
    half = regularizer(model, inputs, target, present={"lidar": mask(0, 1)})
    assert torch.isfinite(half.value)
    assert set(half.information["prediction"]) == {"lidar"}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_features_that_are_not_finite_are_named(variant: str, estimator: str) -> None:
    model, (inputs, target) = segmenter(), batch(2, 32)
    features = model.encode(inputs)
    features["camera"][0] = features["camera"][0] * torch.nan
    with pytest.raises(SensorproofError, match="not finite"):
        build(variant, estimator, ("stage1",))(model, inputs, target, features=features)


def test_a_model_that_was_compiled_in_place() -> None:
    model, (inputs, target) = Foreign(), batch()
    model.compile(backend="aot_eager")
    for estimator in ESTIMATORS:  # the plain step first: a later one is compiled for any batch size
        nn.functional.cross_entropy(model(inputs), target).backward()
        term = build("single", estimator)(model, inputs, target)
        (nn.functional.cross_entropy(model(inputs), target) + term.value).backward()
        assert torch.isfinite(term.value)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_term_can_be_looked_at_without_gradients(variant: str, estimator: str) -> None:
    model, (inputs, target) = segmenter(), batch(2, 32)
    with torch.no_grad():
        term = build(variant, estimator, ("prediction", "stage1"))(model, inputs, target)
    assert torch.isfinite(term.value)


def test_measuring_holds_no_graph_and_names_every_sensor() -> None:
    model, (inputs, target) = Foreign(), batch(2)
    term = FunctionalEntropy(0.1)(model, inputs, target)
    assert set(term.information["prediction"]) == set(CHANNELS)
    assert not any(each.requires_grad for each in term.information["prediction"].values())


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
    ],
)
def test_tensors_that_do_not_fit_are_named(change: Any, message: str) -> None:
    inputs, target, present = change(*batch(), None)
    with pytest.raises(UsageError, match=message):
        FunctionalEntropy(0.1)(Foreign(), inputs, target, present=present)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subsets": "most"}, "subsets: is 'most'"),
        ({"subsets": "any", "variant": "paper"}, "subsets"),
        ({"missing": "guess"}, "missing: is 'guess'"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"every_n_steps": 1.5}, "every_n_steps"),
        ({"sigma": float("inf")}, "sigma"),
    ],
)
def test_more_bad_options_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FunctionalEntropy(**arguments)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_fraction_of_the_batch_is_all_that_passes(variant: str) -> None:
    """At least one sample, of those that have a label."""
    model, (inputs, target) = Foreign(), batch(8)
    target[:6] = 255
    rows: list[int] = []
    model.register_forward_pre_hook(lambda _, arguments: rows.append(len(next(iter(arguments[0].values())))))
    for batch_fraction, most in ((1.0, 2), (0.25, 2), (0.01, 1)):
        rows.clear()
        term = build(variant, "exact", batch_fraction=batch_fraction)(model, inputs, target)
        assert torch.isfinite(term.value)
        assert max(rows) <= most


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_scale_has_its_own_strength(estimator: str) -> None:
    model, (inputs, target) = segmenter().eval(), batch(2, 32)

    def value(**strengths: float) -> float:
        torch.manual_seed(2)
        scales = tuple(strengths)
        regularizer = FunctionalEntropy(strengths, scales, variant="paper", estimator=estimator)  # type: ignore[arg-type]
        return float(regularizer(model, inputs, target).value.detach())

    assert value(stage1=0.6) == pytest.approx(3 * value(stage1=0.2), rel=1e-4)
    whole, without = value(stage1=0.2, stage3=0.5), value(stage1=0.2, stage3=0.0)
    assert without == pytest.approx(value(stage1=0.2), rel=1e-4)
    assert value(stage1=0.2, stage3=1.0) - without == pytest.approx(2 * (whole - without), rel=1e-3)
