"""The arms of this project: cross-entropy plus functional entropy regularisation."""

from typing import Any

from torch import Tensor

from sensorproof.batch_share import active_share
from sensorproof.data.metadata import IGNORE
from sensorproof.models import Segmenter
from sensorproof.objectives.base import CrossEntropyObjective, Inputs, Loss, Present
from sensorproof.regularization.functional_entropy import FunctionalEntropy
from sensorproof.regularization.options import Subsets, applicable_options
from sensorproof.regularization.presence import presence_masks
from sensorproof.regularization.subset_sampling import modality_dropout
from sensorproof.settings import RegularizerSettings

MEASURE_EVERY = 50
"""Steps between two measurements of what each sensor contributes, which cost passes of their own."""
FIRST_MEASURED = 9
"""The first measured step, counted from 0: the first that a training records."""


class Regularized(CrossEntropyObjective):
    """Cross-entropy plus the term, of single sensors or of any subsets; both share the encoder's work.

    Args:
        settings: the section `regularizer`. Settings that do not apply to its variant, estimator and scales are not
            passed on.
        subsets: of the sensors that are regularised.
        class_balance: of the cross-entropies; see `regularization.losses.pixel_weights`.

    Attributes:
        measures: whether to measure what each sensor contributes, every MEASURE_EVERY steps.
    """

    def __init__(self, settings: RegularizerSettings, subsets: Subsets, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.measures = True
        self.modality_dropout = settings.modality_dropout
        wanted: dict[str, Any] = {
            "subsets": subsets,
            "relevance_weighting": settings.relevance_weighting,
            "class_balance": class_balance,
        }
        applicable = applicable_options(settings.variant, settings.estimator, settings.strengths)
        self.regularizer = FunctionalEntropy(
            settings.strengths,
            list(settings.strengths),
            variant=settings.variant,
            estimator=settings.estimator,
            sigma=settings.sigma,
            batch_fraction=settings.batch_fraction,
            every_n_steps=settings.every_n_steps,
            ignore_index=IGNORE,
            **{name: value for name, value in wanted.items() if name in applicable},
        )

    def __call__(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present, step: int) -> Loss:
        """Return the loss of a step; see `Objective`."""
        fused = present
        if self.modality_dropout:
            fused = modality_dropout(presence_masks(sorted(inputs), present, target), self.modality_dropout)
        features, plain = self.plain_pass(model, inputs, target, fused)
        measured = self.measures and step % MEASURE_EVERY == FIRST_MEASURED
        term = self.regularizer(model, inputs, target, present=present, features=features, return_information=measured)
        share = active_share()
        value = term.value if share is None else term.value * share.sample_weight
        parts = {"cross_entropy": plain.detach(), "regularizer": value.detach()}
        for scale, information in term.information.items():
            parts |= {f"information/{scale}/{name}": value for name, value in information.items()}
        return Loss(plain + value, parts)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the number of calls and the measured relevance of the sensors."""
        return dict(self.regularizer.state_dict())

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        self.regularizer.load_state_dict(state)
