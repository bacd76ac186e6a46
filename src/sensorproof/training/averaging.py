"""The running mean of a model's weights (EMA), which often generalises better than the last ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sensorproof.models import Segmenter


class WeightAverage:
    """The mean of weights and running statistics over the steps, recent ones counting most.

    Args:
        model: whose weights are averaged.
        decay: of the mean at each step; None for the weights as they are.
    """

    def __init__(self, model: Segmenter, decay: float | None) -> None:
        self._model = model
        self._average: AveragedModel | None = None
        if decay is not None:
            self._average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    def update(self) -> None:
        """Take in the present weights."""
        if self._average is not None:
            self._average.update_parameters(self._model)

    def apply(self) -> None:
        """Give the model the mean in place of its weights."""
        if self._average is not None:
            self._model.load_state_dict(self._average.module.state_dict())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model predict with the mean for a while."""
        if self._average is None:
            yield
            return
        own = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
        self.apply()
        try:
            yield
        finally:
            self._model.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what an interrupted training needs to continue."""
        return {} if self._average is None else dict(self._average.state_dict())

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        if self._average is not None:
            with torch.no_grad():
                self._average.load_state_dict(state)
