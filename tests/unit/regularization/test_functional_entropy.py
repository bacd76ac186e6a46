"""The regulariser's face: any model, any scale, an `nn.Module` with a state of its own."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helpers.sensor_models import MeanFusion, Pixelwise, make_batch, make_regularizer, make_segmenter
from sensorproof.errors import SensorproofError
from sensorproof.regularization import FunctionalEntropy
from sensorproof.regularization.fisher_penalty import FisherInformationPenalty
from sensorproof.regularization.options import ESTIMATORS, SCALES, VARIANTS
from sensorproof.regularization.subset_log_loss import SubsetLogLoss

CHANNELS = {"camera": 3, "lidar": 2}


def batch(samples: int = 4, size: int = 16) -> tuple[dict[str, Tensor], Tensor]:
    return make_batch(samples, size, CHANNELS)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_a_finite_term_with_gradients_in_a_foreign_model(variant: str, estimator: str) -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), batch()
    term = make_regularizer(variant, estimator)(model, inputs, target)
    term.value.backward()
    assert torch.isfinite(term.value)
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())
    assert set(term.information["prediction"]) == set(CHANNELS)
    assert all(float(value) > 0 and not value.requires_grad for value in term.information["prediction"].values())


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_and_estimator_choose_the_loss(variant: str, estimator: str) -> None:
    product = variant == "single" and estimator == "first_order"
    assert isinstance(make_regularizer(variant, estimator).loss, SubsetLogLoss if product else FisherInformationPenalty)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_strength_means_the_same_at_any_resolution_and_batch_size(variant: str) -> None:
    """On a pixelwise model the information depends on neither, except for the noise that is drawn."""
    model = Pixelwise(CHANNELS)
    information = []
    for samples, size in ((1, 1024), (1, 128), (64, 32), (64, 16)):
        torch.manual_seed(1)
        regularizer = make_regularizer(variant, "exact", sensors=["camera"])
        information.append(float(regularizer(model, *batch(samples, size)).information["prediction"]["camera"]))
    assert information[1:] == pytest.approx([information[0]] * 3, rel=0.1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_scale_works_on_the_segmenter_with_exact_second_derivatives(variant: str) -> None:
    model, (inputs, target) = make_segmenter(CHANNELS), batch(2, 32)
    term = FunctionalEntropy(0.1, SCALES, variant=variant, estimator="exact")(model, inputs, target)  # type: ignore[arg-type]
    term.value.backward()
    assert set(term.information) == set(SCALES)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert float(model.stems["lidar"].weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_scale_has_its_own_strength(estimator: str) -> None:
    model, (inputs, target) = make_segmenter().eval(), make_batch(2, 32)

    def value(**strengths: float) -> float:
        torch.manual_seed(2)
        regularizer = FunctionalEntropy(strengths, tuple(strengths), variant="paper", estimator=estimator)  # type: ignore[arg-type]
        return float(regularizer(model, inputs, target).value.detach())

    assert value(stage1=0.6) == pytest.approx(3 * value(stage1=0.2), rel=1e-4)
    both, first = value(stage1=0.2, stage3=0.5), value(stage1=0.2, stage3=0.0)
    assert first == pytest.approx(value(stage1=0.2), rel=1e-4)
    assert value(stage1=0.2, stage3=1.0) - first == pytest.approx(2 * (both - first), rel=1e-3)


def test_sensors_may_differ_in_size_and_sizes_may_be_odd() -> None:
    inputs = {"camera": torch.randn(2, 3, 37, 51), "lidar": torch.randn(2, 2, 19, 26)}
    target = torch.randint(0, 3, (2, 37, 51))
    term = FunctionalEntropy(0.1, ("prediction", "stage2"))(make_segmenter(CHANNELS), inputs, target)
    term.value.backward()
    assert torch.isfinite(term.value)


def test_mixed_precision_and_compilation() -> None:
    model, (inputs, target) = make_segmenter(CHANNELS), batch(2, 32)
    with torch.autocast("cpu", torch.bfloat16):
        term = FunctionalEntropy(0.1)(model, inputs, target)
    assert term.value.dtype == torch.float32
    compiled = torch.compile(Pixelwise(CHANNELS), backend="aot_eager")
    inputs, target = batch()
    for estimator in ESTIMATORS:
        term = make_regularizer("paper", estimator)(compiled, inputs, target)
        (nn.functional.cross_entropy(compiled(inputs), target) + term.value).backward()
        assert torch.isfinite(term.value)


def test_a_model_that_was_compiled_in_place() -> None:
    model, (inputs, target) = MeanFusion(), make_batch()
    model.compile(backend="aot_eager")
    for estimator in ESTIMATORS:  # the plain step comes first: a later one is compiled for any batch size
        nn.functional.cross_entropy(model(inputs), target).backward()
        term = make_regularizer("single", estimator)(model, inputs, target)
        (nn.functional.cross_entropy(model(inputs), target) + term.value).backward()
        assert torch.isfinite(term.value)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_term_can_be_computed_without_gradients(variant: str, estimator: str) -> None:
    model, (inputs, target) = make_segmenter(), make_batch(2, 32)
    with torch.no_grad():
        term = make_regularizer(variant, estimator, ("prediction", "stage1"))(model, inputs, target)
    assert torch.isfinite(term.value)


def test_running_statistics_and_training_mode_are_left_as_they_were() -> None:
    model, (inputs, target) = make_segmenter(CHANNELS).train(), batch(4, 32)
    before = copy.deepcopy({k: v for k, v in model.state_dict().items() if "running" in k})
    for variant in ("paper", "gat"):
        FunctionalEntropy(0.1, variant=variant)(model, inputs, target)  # type: ignore[arg-type]
    for name, tensor in before.items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_fraction_of_the_batch_is_all_that_passes(variant: str) -> None:
    """At least one sample passes, of those that have a label."""
    model, (inputs, target) = MeanFusion(), make_batch(8)
    target[:6] = 255
    samples: list[int] = []
    model.register_forward_pre_hook(lambda _, arguments: samples.append(len(next(iter(arguments[0].values())))))
    for batch_fraction, most in ((1.0, 2), (0.25, 2), (0.01, 1)):
        samples.clear()
        term = make_regularizer(variant, "exact", batch_fraction=batch_fraction)(model, inputs, target)
        assert torch.isfinite(term.value)
        assert max(samples) <= most


def test_every_nth_call_weighs_n_times() -> None:
    model, (inputs, target) = Pixelwise(CHANNELS).eval(), batch()
    lazy, plain = (FunctionalEntropy(0.1, every_n_steps=n, relevance_weighting=False) for n in (3, 1))
    torch.manual_seed(0)
    values = [float(lazy(model, inputs, target).value.detach()) for _ in range(4)]
    torch.manual_seed(0)
    assert values[0] == pytest.approx(3 * float(plain(model, inputs, target).value.detach()), rel=1e-5)
    assert values[1] == values[2] == 0.0 != values[3]


def test_measuring_does_not_wait_for_a_call_with_the_term() -> None:
    regularizer, (inputs, target) = FunctionalEntropy(0.1, every_n_steps=2), make_batch()
    assert set(regularizer(MeanFusion(), inputs, target).information["prediction"]) == set(inputs)
    lazy = regularizer(MeanFusion(), inputs, target)
    assert float(lazy.value) == 0
    assert set(lazy.information["prediction"]) == set(inputs)


def test_a_call_without_the_term_measures_no_feature_scale() -> None:
    model = make_segmenter(CHANNELS)
    regularizer = FunctionalEntropy(0.1, ("stage1",), every_n_steps=2)
    scales = [set(regularizer(model, *batch(size=32)).information) for _ in range(3)]
    assert scales == [{"stage1"}, set(), {"stage1"}]


@pytest.mark.parametrize(
    "options", [{"estimator": "exact"}, {"variant": "paper"}, {"scales": ("stage1",)}], ids=["exact", "paper", "stage"]
)
def test_where_relevance_is_not_measured_no_weights_are_shown(options: dict) -> None:
    regularizer = FunctionalEntropy(0.1, **options)
    assert regularizer.relevance is None
    assert regularizer(make_segmenter(CHANNELS), *batch(size=32)).weights == {}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_that_are_not_finite_are_named(variant: str, estimator: str) -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), batch()
    with torch.no_grad():
        model.layers["camera"].bias.fill_(torch.nan)
    with pytest.raises(SensorproofError, match="not finite"):
        make_regularizer(variant, estimator)(model, inputs, target, return_information=False)


def trained(calls: int = 3) -> FunctionalEntropy:
    """Return a regulariser that has measured the relevance of two sensors."""
    torch.manual_seed(0)
    regularizer, model = FunctionalEntropy(0.1), Pixelwise(CHANNELS)
    for _ in range(calls):
        regularizer(model, *batch(), return_information=False)
    return regularizer


def test_it_is_a_module_without_parameters_that_never_holds_the_model() -> None:
    regularizer = trained()
    assert isinstance(regularizer, nn.Module)
    assert list(regularizer.parameters()) == list(regularizer.buffers()) == []
    assert not any(isinstance(module, Pixelwise) for module in regularizer.modules())
    assert "strength={'prediction': 0.1}" in repr(regularizer)


def test_its_state_is_the_calls_and_the_relevance_as_scalars(tmp_path: Path) -> None:
    regularizer = trained()
    state = regularizer.state_dict()
    assert set(state) == {"calls", *(f"{kind}/{name}" for kind in ("own", "other", "times") for name in CHANNELS)}
    assert state["calls"].dtype == torch.int64
    assert all(value.dtype == torch.float64 and value.ndim == 0 for key, value in state.items() if key != "calls")
    save_file(dict(state), tmp_path / "state.safetensors")
    restored = FunctionalEntropy(0.1)
    restored.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert restored.state_dict() == state
    assert restored.calls == 3


def test_its_state_travels_with_a_module_that_holds_it() -> None:
    outer, restored = (nn.ModuleDict({"head": nn.Linear(2, 2), "regularizer": r}) for r in (trained(), trained(0)))
    state = outer.state_dict()
    assert {"regularizer.calls", "regularizer.own/camera", "head.weight"} <= set(state)
    restored.load_state_dict(state)
    assert restored["regularizer"].state_dict() == outer["regularizer"].state_dict()


def test_a_state_that_does_not_fit_is_named() -> None:
    with pytest.raises(RuntimeError, match=r'Missing key.* "calls"'):
        FunctionalEntropy(0.1).load_state_dict({})
    with pytest.raises(RuntimeError, match=r'Unexpected key.* "momentum"'):
        FunctionalEntropy(0.1).load_state_dict({"calls": torch.tensor(1), "momentum": torch.tensor(0.9)})


def test_a_state_without_relevance_clears_it() -> None:
    regularizer = trained()
    regularizer.load_state_dict(FunctionalEntropy(0.1).state_dict())
    assert set(regularizer.state_dict()) == {"calls"}


def test_copies_have_the_same_state() -> None:
    regularizer = trained()
    for copied in (copy.deepcopy(regularizer), copy.copy(regularizer)):
        assert copied.state_dict() == regularizer.state_dict()
        assert torch.isfinite(copied(Pixelwise(CHANNELS), *batch()).value)
