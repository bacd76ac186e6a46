"""From the name of an arm to what it minimises. Each arm has one number to tune, its strength."""

from sensorproof.errors import UsageError
from sensorproof.objectives.base import CrossEntropyOnly, Objective
from sensorproof.objectives.baselines import ModalityDropout, RandomSubset, SingleModality
from sensorproof.objectives.gradient_modulation import AGM, OGMGE
from sensorproof.objectives.regularized import Regularized
from sensorproof.settings import Arm, RegularizerSettings

REGULARIZED: tuple[Arm, ...] = ("regularized", "regularized_dropout")
"""Arms with the term. The others read only the strength of its settings."""
NO_REGULARIZATION = RegularizerSettings(
    strength=0.0,
    scales=["prediction"],
    variant="single",
    estimator="first_order",
    sigma=1.0,
    batch_fraction=1.0,
    every_n_steps=1,
    relevance_weighting=False,
    modality_dropout=0.0,
)
"""Settings of arms without the term."""
OBJECTIVE_VERSION = 4
"""Raised when an arm trains differently from before, so that results of the two are never mixed."""


def build_objective(arm: Arm, settings: RegularizerSettings, class_balance: float = 0.0) -> Objective:
    """Build the objective of an arm.

    Args:
        arm: name of the arm.
        settings: the strength, and for the arms of REGULARIZED the term's other settings.
        class_balance: of all its cross-entropies; see `regularization.losses.pixel_weights`.

    Raises:
        UsageError: the settings do not fit the arm.
    """
    strength = settings.strength
    match arm:
        case "baseline":
            return CrossEntropyOnly(class_balance)
        case "regularized":
            return Regularized(settings, "single", class_balance)
        case "regularized_dropout":
            if settings.variant != "single" or settings.estimator != "first_order":
                fault = f"has variant {settings.variant} and estimator {settings.estimator}"
                fix = "set variant: single and estimator: first_order for the arm regularized_dropout, or leave it out"
                raise UsageError("params.yaml: regularizer", fault, fix)
            return Regularized(settings, "any", class_balance)
        case "modality_dropout":
            return ModalityDropout(strength, class_balance)
        case "random_subset":
            return RandomSubset(strength, class_balance)
        case "single_modality":
            return SingleModality(strength, class_balance)
        case "ogm_ge":
            return OGMGE(strength, class_balance)
        case "agm":
            return AGM(strength, class_balance)
