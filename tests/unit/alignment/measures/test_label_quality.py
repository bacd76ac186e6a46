"""Quality of labels: unknown ids, ignored pixels, classes."""

import numpy as np

from helpers.synthetic_scenes import batch_info
from sensorproof.alignment.measures.label_quality import measure_label


def test_unknown_ignored_and_known_pixels_are_counted() -> None:
    """Classes are 0 to 6, the ignore index is 255."""
    label = np.array([[0, 1, 1, 255], [255, 9, 300, -1]])
    quality = measure_label(label, batch_info())
    assert quality.label_unknown_share == 3 / 8
    assert quality.label_coverage == 6 / 8
    assert quality.label_classes == 2
