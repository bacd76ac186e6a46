"""Find logits or labels in what a packaged model answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorproof.auditing.models import to_array
from sensorproof.errors import ModelError

NAMES = ("logits", "labels")
"""Keys and outputs that are looked for, in this order."""
_MOST_AXES = 3


def unwrap_answer(answer: Any) -> NDArray[Any]:
    """Return logits (K, H, W) or class ids (H, W).

    Args:
        answer: an array, with or without a first axis for the one frame; or a mapping, or a list or a data frame of
            one, with the key `logits` or `labels`, or with one key alone.

    Raises:
        ModelError: a mapping has several keys, none of them known.
    """
    if hasattr(answer, "to_dict"):  # a data frame of pandas
        answer = answer.to_dict("records")
    if isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], Mapping):
        answer = answer[0]
    if isinstance(answer, Mapping):
        key = next((name for name in NAMES if name in answer), next(iter(answer)) if len(answer) == 1 else None)
        if key is None:
            fault = f"answers with {sorted(map(str, answer))}"
            raise ModelError("model", fault, f"name the answer {' or '.join(NAMES)}")
        answer = answer[key]
    return drop_batch_axis(to_array(answer))


def drop_batch_axis(answer: NDArray[Any]) -> NDArray[Any]:
    """Remove a first axis of one frame: (1, K, H, W) of logits, (1, H, W) or (1, 1, H, W) of class ids."""
    most = 2 if answer.dtype.kind in "iu" else _MOST_AXES
    while answer.ndim > most and len(answer) == 1:
        answer = np.asarray(answer[0])
    return answer
