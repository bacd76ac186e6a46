"""The regulariser on any model: scale-free, silent on what does not count, and clear about what it cannot do."""

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from sensorproof.errors import SensorproofError, UsageError
from sensorproof.models import Segmenter
from sensorproof.regularization import FunctionalEntropy
from sensorproof.regularization.checks import ESTIMATORS, VARIANTS
from sensorproof.regularization.feature_terms import feature_cross_entropy


class Pixelwise(nn.Module):
    """A foreign model without encode or decode: each pixel's logits are the sum of the sensors' own."""

    def __init__(self, channels: Mapping[str, int], classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({name: nn.Conv2d(c, classes, 1) for name, c in channels.items()})

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        total: Tensor | float = 0.0
        for name, x in inputs.items():
            logits = self.layers[name](x).tanh() * 3
            total = total + (logits if present is None else logits * present[name].reshape(-1, 1, 1, 1))
        assert isinstance(total, Tensor)
        return total


CHANNELS = {"camera": 3, "lidar": 2}


def batch(b: int = 4, size: int = 16, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = {name: torch.randn(b, c, size, size, generator=generator) for name, c in CHANNELS.items()}
    return inputs, torch.randint(0, 3, (b, size, size), generator=generator)


def options(variant: str, estimator: str, **more: object) -> FunctionalEntropy:
    return FunctionalEntropy(0.5, variant=variant, estimator=estimator, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_form_gives_a_finite_term_with_gradients_in_a_foreign_model(variant: str, estimator: str) -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), batch()
    term = options(variant, estimator)(model, inputs, target)
    term.value.backward()
    assert torch.isfinite(term.value)
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())
    assert set(term.information["prediction"]) == set(CHANNELS)
    assert all(float(each) > 0 for each in term.information["prediction"].values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_strength_means_the_same_at_any_resolution_and_batch_size(variant: str) -> None:
    """On a pixelwise model the information depends on neither, but for the noise that is drawn."""
    model = Pixelwise(CHANNELS)
    found = []
    for b, size in ((1, 1024), (1, 128), (64, 32), (64, 16)):
        torch.manual_seed(1)
        regularizer = options(variant, "exact", sensors=["camera"])
        found.append(regularizer(model, *batch(b, size)).information["prediction"]["camera"])
    for each in found[1:]:
        assert float(each) == pytest.approx(float(found[0]), rel=0.1)


def test_the_first_order_estimate_of_the_information_agrees_with_the_exact_one() -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), batch(64, 8)
    exact, first = ([] for _ in range(2))
    for seed in range(24):
        torch.manual_seed(seed)
        exact.append(options("paper", "exact")(model, inputs, target).information["prediction"]["lidar"])
        torch.manual_seed(seed)
        first.append(options("paper", "first_order")(model, inputs, target).information["prediction"]["lidar"])
    exact, first = torch.stack(exact), torch.stack(first)
    error = float((first - exact).std()) / len(first) ** 0.5
    # The step of the difference is finite: its second-order part adds a few per cent.
    assert float(first.mean()) == pytest.approx(float(exact.mean()), abs=3 * error + 0.1 * float(exact.mean()))


def test_the_exact_penalty_pushes_a_neglected_sensor_up() -> None:
    """Direction: a few steps on the term alone raise the information of the sensor that has least."""
    model, (inputs, target) = Pixelwise(CHANNELS), batch()
    with torch.no_grad():
        model.layers["lidar"].weight.mul_(0.05)
    regularizer = FunctionalEntropy(1.0, variant="paper", estimator="exact")
    before = regularizer(model, inputs, target).information["prediction"]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        regularizer(model, inputs, target).value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    after = regularizer(model, inputs, target).information["prediction"]
    assert before["lidar"] < before["camera"]
    assert after["lidar"] > 1.5 * before["lidar"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_ignored_pixels_and_absent_samples_change_nothing(variant: str) -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), batch(4, 16)
    present = {"camera": torch.ones(4, dtype=torch.bool), "lidar": torch.tensor([True, True, True, False])}
    target[:, :4] = 255

    def value(changed: dict[str, Tensor]) -> Tensor:
        torch.manual_seed(3)
        found = options(variant, "exact", sigma=1e-3)(model, changed, target, present=present).information
        return torch.stack(list(found["prediction"].values()))

    changed = {name: x.clone() for name, x in inputs.items()}
    changed["lidar"][3] = 0.5 * changed["lidar"][3].flip(-1)
    changed["camera"][:, :, :4] = changed["camera"][:, :, :4].flip(-1)
    torch.testing.assert_close(value(changed), value(inputs), rtol=1e-2, atol=0)
    changed["camera"][:, :, 4:] = 3 * changed["camera"][:, :, 4:]
    assert not torch.allclose(value(changed), value(inputs), rtol=0.1, atol=0)


def test_running_statistics_and_training_mode_are_left_as_they_were() -> None:
    torch.manual_seed(0)
    model = Segmenter(CHANNELS, 3, "tiny", 16).train()
    inputs, target = batch(4, 32)
    before = copy.deepcopy({k: v for k, v in model.state_dict().items() if "running" in k})
    for variant in ("paper", "gat"):
        FunctionalEntropy(0.1, variant=variant)(model, inputs, target)  # type: ignore[arg-type]
    for name, tensor in before.items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_scale_works_on_the_segmenter_with_exact_second_derivatives(variant: str) -> None:
    torch.manual_seed(0)
    model = Segmenter(CHANNELS, 3, "tiny", 16)
    inputs, target = batch(2, 32)
    scales = ("prediction", "stage1", "stage2", "stage3", "stage4")
    term = FunctionalEntropy(0.1, scales, variant=variant, estimator="exact")(model, inputs, target)  # type: ignore[arg-type]
    term.value.backward()
    assert set(term.information) == set(scales)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert float(model.stems["lidar"].weight.grad.abs().sum()) > 0


def test_features_that_are_at_hand_give_the_same_term() -> None:
    torch.manual_seed(0)
    model = Segmenter(CHANNELS, 3, "tiny", 16).eval()
    inputs, target = batch(4, 32)
    values = []
    for features in (None, model.encode(inputs)):
        torch.manual_seed(5)
        values.append(FunctionalEntropy(0.1)(model, inputs, target, features=features, return_information=False).value)
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=1e-5)


def test_sensors_of_different_sizes_and_odd_ones() -> None:
    model = Segmenter(CHANNELS, 3, "tiny", 16)
    inputs = {"camera": torch.randn(2, 3, 37, 51), "lidar": torch.randn(2, 2, 19, 26)}
    target = torch.randint(0, 3, (2, 37, 51))
    term = FunctionalEntropy(0.1, ("prediction", "stage2"))(model, inputs, target)
    term.value.backward()
    assert torch.isfinite(term.value)


def test_mixed_precision_and_compilation() -> None:
    torch.manual_seed(0)
    model = Segmenter(CHANNELS, 3, "tiny", 16)
    inputs, target = batch(2, 32)
    with torch.autocast("cpu", torch.bfloat16):
        term = FunctionalEntropy(0.1)(model, inputs, target)
    assert term.value.dtype == torch.float32
    compiled = torch.compile(Pixelwise(CHANNELS), backend="aot_eager")
    inputs, target = batch()
    for estimator in ESTIMATORS:
        term = options("paper", estimator)(compiled, inputs, target)
        (nn.functional.cross_entropy(compiled(inputs), target) + term.value).backward()
        assert torch.isfinite(term.value)


def test_absent_sensors_can_be_zeros_for_models_that_need_every_input() -> None:
    class NeedsAll(Pixelwise):
        def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
            assert set(inputs) == set(CHANNELS)
            return super().forward(inputs, present)

    inputs, target = batch()
    assert torch.isfinite(FunctionalEntropy(0.1, missing="zero")(NeedsAll(CHANNELS), inputs, target).value)


def test_every_kth_step_weighs_k_times_and_state_survives() -> None:
    model, (inputs, target) = Pixelwise(CHANNELS).eval(), batch()
    lazy, plain = (
        FunctionalEntropy(0.1, every_n_steps=3, relevance_weighting=False),
        FunctionalEntropy(0.1, relevance_weighting=False),
    )
    torch.manual_seed(0)
    values = [float(lazy(model, inputs, target).value.detach()) for _ in range(4)]
    torch.manual_seed(0)
    assert values[0] == pytest.approx(3 * float(plain(model, inputs, target).value.detach()), rel=1e-5)
    assert values[1] == values[2] == 0.0 != values[3]
    again = FunctionalEntropy(0.1, every_n_steps=3)
    again.load_state_dict(lazy.state_dict())
    assert again.calls == 4


def test_a_step_without_the_term_measures_no_scale_that_it_has_not() -> None:
    model = Segmenter(CHANNELS, 3, "tiny", 16)
    regularizer = FunctionalEntropy(0.1, ("stage1",), every_n_steps=2)
    found = [regularizer(model, *batch(size=32)).information for _ in range(3)]
    assert [set(each) for each in found] == [{"stage1"}, set(), {"stage1"}]


def test_a_sensor_that_tells_little_counts_little_at_feature_scales_too() -> None:
    model, (inputs, target) = Segmenter(CHANNELS, 3, "tiny", 16), batch(size=32)
    both, prediction = (FunctionalEntropy(0.1, scales) for scales in (("prediction", "stage1"), ("prediction",)))
    for regularizer in (both, prediction):
        assert regularizer.relevance is not None
        for name, own in (("camera", 0.5), ("lidar", 1.0)):
            regularizer.relevance.times[name] = 1000
            regularizer.relevance.own[name], regularizer.relevance.other[name] = own, 1.0

    def stage(relevance_weighting: bool) -> float:
        values = []
        for regularizer in (both, prediction):
            torch.manual_seed(0)
            regularizer.relevance = regularizer.relevance if relevance_weighting else None
            values.append(float(regularizer(model, inputs, target, return_information=False).value.detach()))
        return values[0] - values[1]

    assert 0 < stage(True) < 0.7 * stage(False)


@pytest.mark.parametrize(
    "options", [{"estimator": "exact"}, {"variant": "paper"}, {"scales": ("stage1",)}], ids=["exact", "paper", "stage"]
)
def test_where_usefulness_is_not_measured_no_weights_are_shown(options: dict) -> None:
    term = FunctionalEntropy(0.1, **options)(Segmenter(CHANNELS, 3, "tiny", 16), *batch(size=32))
    assert term.weights == {}


def test_sensors_are_weighed_by_what_they_tell() -> None:
    """Noise and a constant lose their weight, a sensor that is broken half of the time keeps a part of it."""
    torch.manual_seed(0)
    target = torch.randint(0, 2, (64, 8, 8))
    label, noise = target[:, None].float(), torch.randn(64, 1, 8, 8)
    half = torch.where((torch.arange(64) % 2 == 0).reshape(-1, 1, 1, 1), label, noise + 0.5)
    inputs = {"good": label, "broken": half, "noise": noise, "stuck": torch.full_like(label, 0.5)}
    model = Pixelwise(dict.fromkeys(inputs, 1), 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    regularizer = FunctionalEntropy(0.1)
    for _ in range(200):
        optimizer.zero_grad()
        term = regularizer(model, inputs, target, return_information=False)
        (nn.functional.cross_entropy(model(inputs), target) + term.value).backward()
        optimizer.step()
    assert term.weights["good"] == 1.0
    assert 0.1 < term.weights["broken"] < 0.85
    assert max(term.weights["noise"], term.weights["stuck"]) < 0.07
    restored = FunctionalEntropy(0.1)
    restored.load_state_dict(regularizer.state_dict())
    assert restored.relevance is not None
    assert restored.relevance.weights(list(inputs)) == pytest.approx(term.weights)


def test_feature_cross_entropy_is_torchs_on_soft_targets() -> None:
    feature, fused = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 3, 4)
    expected = nn.functional.cross_entropy(feature, fused.softmax(1), reduction="none")
    torch.testing.assert_close(feature_cross_entropy(feature, fused), expected)


def test_class_balance_lifts_the_pull_on_a_rare_class() -> None:
    """Ten pixels of 256 are of class 1: the more the term balances, the harder it pulls that class's logit up."""
    model, (inputs, target) = Pixelwise(CHANNELS), batch()
    target = torch.zeros_like(target)
    target[:, 0, :10] = 1
    pull = {}
    for balance in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        term = FunctionalEntropy(1.0, relevance_weighting=False, class_balance=balance)(model, inputs, target)
        bias = model.layers["camera"].bias
        pull[balance] = -float(torch.autograd.grad(term.value, bias)[0][1])
    assert pull[0.0] < pull[0.5] < pull[1.0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_class_balance_is_of_the_form_single_alone(variant: str) -> None:
    """Both estimators of it have one f; the other forms are as their papers have them."""
    model, (inputs, target) = Pixelwise(CHANNELS), batch()
    target = torch.zeros_like(target)
    target[:, 0, :10] = 1
    found = []
    for balance in (0.0, 1.0):
        torch.manual_seed(0)
        term = FunctionalEntropy(0.1, variant=variant, estimator="exact", class_balance=balance)(model, inputs, target)  # type: ignore[arg-type]
        found.append(float(term.value.detach()))
    assert (found[0] != found[1]) == (variant == "single")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": -0.1}, "strength: is -0.1"),
        ({"strength": float("nan")}, "strength: is nan"),
        ({"scales": ("stage9",)}, "stage9"),
        ({"strength": {"stage1": 0.1}}, "strength"),
        ({"variant": "magic"}, "variant: is 'magic'"),
        ({"estimator": "magic"}, "estimator"),
        ({"sigma": 0.0}, "sigma"),
        ({"batch_fraction": 0.0}, "batch_fraction"),
        ({"every_n_steps": 0}, "every_n_steps"),
        ({"class_balance": -0.1}, "class_balance"),
        ({"class_balance": 1.5}, "class_balance"),
        ({"class_balance": float("nan")}, "class_balance"),
        ({"strength": "0.1"}, "strength: is '0.1'"),
        ({"scales": "prediction"}, "scales: is the string"),
        ({"scales": ()}, "scales: is empty"),
        ({"sensors": "camera"}, "sensors: is the string"),
        ({"sensors": []}, "sensors: is empty"),
    ],
)
def test_bad_options_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FunctionalEntropy(**arguments)


def test_bad_calls_are_named() -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), batch()
    with pytest.raises(UsageError, match=r"radar.*are unknown"):
        FunctionalEntropy(0.1, sensors=["radar"])(model, inputs, target)
    with pytest.raises(UsageError, match="no sensor is present"):
        FunctionalEntropy(0.1)(model, inputs, target, present={n: torch.zeros(4, dtype=torch.bool) for n in CHANNELS})
    with pytest.raises(UsageError, match="no sensor is present"):
        FunctionalEntropy(0.1)(model, {}, target)
    with pytest.raises(UsageError, match="need encode and decode"):
        FunctionalEntropy(0.1, ("stage1",))(model, inputs, target)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_that_are_not_finite_are_named(variant: str, estimator: str) -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), batch()
    with torch.no_grad():
        model.layers["camera"].bias.fill_(torch.nan)
    with pytest.raises(SensorproofError, match="not finite"):
        options(variant, estimator)(model, inputs, target, return_information=False)
