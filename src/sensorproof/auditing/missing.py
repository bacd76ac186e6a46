"""How a missing sensor is presented to a model: left out, as zeros, or as its mean."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sensorproof.auditing.frames import Statistics
from sensorproof.auditing.models import AuditedModel, Images, Size, describe_error
from sensorproof.data.batch import Batch
from sensorproof.errors import ModelError


def needs_every_sensor(model: AuditedModel, images: Images, size: Size) -> str:
    """Find out whether a model can do without a sensor: give it each single one.

    Args:
        model: the model.
        images: of one frame.
        size: (H, W) of its label.

    Returns:
        Why it cannot, in a few words; empty if every single sensor gets an answer, of whatever form.
    """
    for name, pixels in images.items():
        try:
            model.answer({name: pixels.copy()}, size)
        except ModelError:
            continue
        except (Exception, SystemExit) as error:  # whatever a foreign model raises, it means that it needs the others
            return f"given {name} alone, it raises {describe_error(error)}"
    return ""


def fill_missing(
    images: Images, batch: Batch, sensors: tuple[str, ...], means: Mapping[str, Statistics], size: Size
) -> dict[str, NDArray[np.float32]]:
    """Return every sensor as if it were missing: its mean where there is one, else zeros.

    A sensor keeps its own size; one that the frame lacks gets the label's, which is that of the reference sensor.

    Args:
        images: of the frame.
        batch: gives the channels of each sensor.
        sensors: those to fill in.
        means: of the sensors; empty for zeros.
        size: (H, W) of the label.
    """
    filled = {}
    for name in sensors:
        own = images[name].shape[1:] if name in images else size
        filled[name] = np.zeros((batch.sensors[name].channels, *own), np.float32)
        if name in means:
            filled[name] += means[name].mean
    return filled
