"""How sensors are taken away: found out without a trace, left out where possible, and zeros where not."""

import copy
import gc
import warnings
from collections.abc import Iterator, Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn

from helpers.sensor_models import (
    CHANNELS,
    Concatenation,
    MeanFusion,
    make_batch,
    make_regularizer,
    make_segmenter,
    mask,
)
from sensorproof.regularization import FunctionalEntropy, Term
from sensorproof.regularization.missing_sensors import MissingSensors
from sensorproof.regularization.options import ESTIMATORS, VARIANTS

ALL_FORMS = [(variant, estimator) for variant in VARIANTS for estimator in ESTIMATORS]


@pytest.fixture
def strict_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class CameraRequired(MeanFusion):
    """Accepts subsets that contain the camera."""

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        assert "camera" in inputs
        return super().forward(inputs)


class StiffDecoder(MeanFusion):
    """`decode` needs every sensor, `forward` does not."""

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
        return {name: [self.layers[name](x)] for name, x in inputs.items()}

    def decode(self, features: Mapping[str, Sequence[Tensor]]) -> Tensor:
        return torch.stack([features[name][0] for name in CHANNELS]).mean(0)


def value_and_gradient(term: Term, model: nn.Module) -> list[Tensor]:
    parameters = list(model.parameters())
    return [
        term.value.detach(),
        *torch.autograd.grad(term.value, parameters, allow_unused=True, materialize_grads=True),
    ]


@pytest.mark.parametrize(("variant", "estimator"), ALL_FORMS)
def test_a_model_that_needs_every_input_works_by_default_and_equals_zero(variant: str, estimator: str) -> None:
    inputs, target = make_batch()
    present = {"lidar": mask(1, 1, 0, 0)}
    results = []
    for missing in ("auto", "zero"):
        model = Concatenation()
        torch.manual_seed(1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            term = make_regularizer(variant, estimator, missing=missing)(model, inputs, target, present=present)
        assert len(caught) == (missing == "auto")
        results.append(value_and_gradient(term, model))
    for ours, zero in zip(*results, strict=True):
        torch.testing.assert_close(ours, zero, rtol=0, atol=0)


def test_the_warning_comes_once_per_model_and_names_the_fix() -> None:
    regularizer, (inputs, target) = FunctionalEntropy(0.1), make_batch()
    models = [Concatenation(), Concatenation()]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            for model in models:
                regularizer(model, inputs, target)
    assert len(caught) == 2
    message = str(caught[0].message)
    assert "Concatenation cannot do without one of its inputs (KeyError('lidar'))" in message
    assert 'set missing="zero"' in message


@pytest.mark.usefixtures("strict_warnings")
@pytest.mark.parametrize(("variant", "estimator"), ALL_FORMS)
def test_a_model_that_accepts_subsets_never_warns_and_equals_drop(variant: str, estimator: str) -> None:
    inputs, target = make_batch()
    present = {"lidar": mask(1, 1, 0, 0)}
    results = []
    for missing in ("auto", "drop"):
        model = MeanFusion(dropout=0.2)
        torch.manual_seed(1)
        term = make_regularizer(variant, estimator, missing=missing)(model, inputs, target, present=present)
        results.append([*value_and_gradient(term, model), torch.get_rng_state()])
    for ours, drop in zip(*results, strict=True):
        torch.testing.assert_close(ours, drop, rtol=0, atol=0)


def test_finding_out_changes_neither_random_numbers_nor_the_model() -> None:
    model, (inputs, _) = Concatenation().train(), make_batch()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with pytest.warns(UserWarning, match="Concatenation"):
        assert MissingSensors().as_zeros(model, inputs, inputs)
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_one_sample_of_each_sensor_is_tried_once() -> None:
    model, (inputs, _) = MeanFusion(), make_batch()
    samples: list[int] = []
    model.register_forward_pre_hook(lambda _, arguments: samples.append(len(next(iter(arguments[0].values())))))
    missing = MissingSensors()
    for _ in range(2):
        assert not missing.as_zeros(model, inputs, inputs)
    assert samples == [1, 1, 1]
    assert model.calls == [[name] for name in inputs]


def test_a_model_that_needs_one_sensor_only_gets_zeros_too() -> None:
    with pytest.warns(UserWarning, match="CameraRequired cannot do without"):
        term = FunctionalEntropy(0.1)(CameraRequired(), *make_batch())
    assert torch.isfinite(term.value)


@pytest.mark.usefixtures("strict_warnings")
def test_the_error_of_a_broken_model_is_its_own() -> None:
    class Broken(MeanFusion):
        def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
            raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        FunctionalEntropy(0.1)(Broken(), *make_batch())


@pytest.mark.usefixtures("strict_warnings")
def test_features_and_a_decoder_that_knows_present_need_no_trial() -> None:
    model, (inputs, target) = make_segmenter(), make_batch(2, 32)
    calls: list[None] = []
    model.register_forward_pre_hook(lambda _, arguments: calls.append(None))
    FunctionalEntropy(0.1)(model, inputs, target, features=model.encode(inputs), return_information=False)
    assert calls == []


@pytest.mark.parametrize("missing", ["auto", "zero"])
@pytest.mark.filterwarnings("ignore:StiffDecoder")
def test_a_decoder_that_needs_every_sensor_is_passed_by(missing: str) -> None:
    model, (inputs, target) = StiffDecoder(), make_batch()
    regularizer = FunctionalEntropy(0.5, missing=missing)  # type: ignore[arg-type]
    term = regularizer(model, inputs, target, features=model.encode(inputs), return_information=False)
    assert torch.isfinite(term.value)
    assert model.calls[-1] == sorted(CHANNELS)


@pytest.mark.parametrize(("variant", "estimator"), ALL_FORMS)
def test_zeros_are_given_in_every_pass(variant: str, estimator: str) -> None:
    model, (inputs, target) = MeanFusion(), make_batch()
    present = {"lidar": mask(1, 1, 0, 0), "thermal": mask(0, 0, 0, 0)}
    term = make_regularizer(variant, estimator, missing="zero")(model, inputs, target, present=present)
    assert torch.isfinite(term.value)
    assert all(names == sorted(CHANNELS) for names in model.calls)


def test_models_are_remembered_weakly() -> None:
    missing, model = MissingSensors(), MeanFusion()
    missing.as_zeros(model, make_batch()[0], CHANNELS)
    assert len(missing._needs_all) == 1
    del model
    gc.collect()
    assert len(missing._needs_all) == 0


def test_a_copy_keeps_the_rule_and_tries_its_models_again() -> None:
    for rule in ("auto", "drop", "zero"):
        missing = MissingSensors(rule)  # type: ignore[arg-type]
        missing.as_zeros(MeanFusion(), make_batch()[0], CHANNELS)
        for copied in (copy.deepcopy(missing), copy.copy(missing)):
            assert copied.missing == rule
            assert len(copied._needs_all) == 0
