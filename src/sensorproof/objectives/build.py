"""From the name of an arm to what it minimises. Each arm has one number to tune, its strength."""

from collections.abc import Mapping

from torch import Tensor

from sensorproof.data.metadata import IGNORE
from sensorproof.errors import UsageError
from sensorproof.models import Segmenter
from sensorproof.objectives.base import CrossEntropyObjective, CrossEntropyOnly, Loss, Objective
from sensorproof.objectives.baselines import ModalityDropout, RandomSubset, SingleModality
from sensorproof.objectives.gradient_modulation import AGM, OGMGE
from sensorproof.regularization.functional_entropy import FunctionalEntropy
from sensorproof.regularization.subset_sampling import Subsets
from sensorproof.settings import Arm, RegularizerSettings

REGULARIZED: tuple[Arm, ...] = ("regularized", "regularized_dropout")
"""Arms that carry the term. The others read nothing of its settings but the strength."""
NO_REGULARIZATION = RegularizerSettings(
    strength=0.0,
    scales=["prediction"],
    variant="single",
    estimator="first_order",
    sigma=1.0,
    batch_fraction=1.0,
    every_n_steps=1,
    relevance_weighting=False,
)
"""The settings of arms without the term."""
OBJECTIVE_VERSION = 4
"""Rises when an arm trains otherwise than it did, so that no result of before is taken for one of now."""
MEASURE_EVERY = 50
"""Steps between two measurements of what each sensor contributes, which cost passes of their own."""
FIRST_MEASURED = 9
"""The first of them, counted from 0: of the rows that a training records, the first."""


class Regularized(CrossEntropyObjective):
    """The plain loss plus functional entropy regularisation, of single sensors or of any subset of them.

    The encoder's work is shared.
    """

    def __init__(self, settings: RegularizerSettings, subsets: Subsets, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.term = FunctionalEntropy(
            settings.strengths,
            list(settings.strengths),
            variant=settings.variant,
            estimator=settings.estimator,
            subsets=subsets,
            sigma=settings.sigma,
            batch_fraction=settings.batch_fraction,
            every_n_steps=settings.every_n_steps,
            relevance_weighting=settings.relevance_weighting,
            class_balance=class_balance,
            ignore_index=IGNORE,
        )

    def __call__(
        self,
        model: Segmenter,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        present: Mapping[str, Tensor] | None,
        step: int,
    ) -> Loss:
        features, plain = self.plain_pass(model, inputs, target, present)
        measure = step % MEASURE_EVERY == FIRST_MEASURED
        term = self.term(model, inputs, target, present=present, features=features, return_information=measure)
        parts = {"cross_entropy": plain.detach(), "regularizer": term.value.detach()}
        for scale, each in term.information.items():
            parts |= {f"information/{scale}/{name}": value for name, value in each.items()}
        return Loss(plain + term.value, parts)

    def state_dict(self) -> dict[str, Tensor]:
        return self.term.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.term.load_state_dict(state)


def build_objective(arm: Arm, settings: RegularizerSettings, class_balance: float = 0.0) -> Objective:
    """The objective of an arm at the strength that settings give; `class_balance` is of all its cross-entropies."""
    strength = settings.strength
    match arm:
        case "baseline":
            return CrossEntropyOnly(class_balance)
        case "regularized":
            return Regularized(settings, "single", class_balance)
        case "regularized_dropout":
            if settings.variant != "single" or settings.estimator != "first_order":
                fault = f"has form {settings.variant} and estimator {settings.estimator}, which the arm regularized_dropout is not"
                fix = "set form: single and estimator: first_order, or train the arm regularized"
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
