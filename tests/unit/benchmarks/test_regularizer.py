"""`sensorproof bench regularizer`: every method is measured. The figures themselves are not tested."""

import math

from helpers.paths import ROOT
from sensorproof.benchmarks.regularizer import METHODS, TrainingSteps, inference, step_times
from sensorproof.regularization.fisher_penalty import FisherInformationPenalty
from sensorproof.settings import load_settings


def small_steps() -> TrainingSteps:
    settings = load_settings(ROOT / "params.yaml")
    return TrainingSteps(settings.regularizer, settings.train.class_balance, samples=2, sensors=2, size=(32, 32))


def test_every_method_is_timed() -> None:
    results = step_times(small_steps(), 1)
    assert {f"time/{method}" for method in METHODS[1:]} < set(results)
    assert all(0 < value < math.inf for value in results.values())


def test_a_regularised_model_is_the_plain_one_at_inference() -> None:
    assert inference(small_steps(), 1)["inference/parameters"] == 1.0


def test_the_exact_methods_are_their_variants() -> None:
    for method, variant in (("exact", "single"), ("paper", "paper"), ("gat", "gat")):
        loss = small_steps()._make_objective(method).regularizer.loss
        assert isinstance(loss, FisherInformationPenalty)
        assert (loss.variant, loss.exact) == (variant, True)
