"""The README's figure."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.evaluations import evaluation_of_gain, make_arm, same_gains
from sensorproof.documents import Gain
from sensorproof.errors import SensorproofError
from sensorproof.reporting.figure import OURS, compared_arm, draw_figure
from sensorproof.reporting.palette import rgb_table


@pytest.mark.parametrize(("low", "high", "seeds"), [(None, None, 1), (1.0, 5.0, 3)])
def test_the_figure_is_drawn(low: float | None, high: float | None, seeds: int, tmp_path: Path) -> None:
    evaluation = evaluation_of_gain(3.0, low, high, 3.0, seeds)
    draw_figure(evaluation, tmp_path / "first.png")
    picture = np.asarray(Image.open(tmp_path / "first.png").convert("RGB"))
    assert picture.shape[1] == 1600
    assert (picture == rgb_table([OURS])).all(2).sum() > 300
    draw_figure(evaluation, tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_the_figure_knows_whose_gain_it_is() -> None:
    evaluation = evaluation_of_gain(3.0, 1.0, 5.0)
    evaluation = evaluation.model_copy(update={"arms": {"agm": make_arm(1.0), **evaluation.arms}})
    assert compared_arm(evaluation) == "regularized"
    other = same_gains(Gain(value=9.0, ci95=(8.0, 10.0)))
    for change, fault in (({"arms": {}}, "no baseline"), ({"gain": other}, "any arm")):
        with pytest.raises(SensorproofError, match=fault):
            compared_arm(evaluation.model_copy(update=change))
