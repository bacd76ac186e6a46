"""The examples in the docstrings run."""

import doctest
from types import ModuleType

import pytest

from sensorproof.evaluation import expected, metric_names, metrics, statistics, subsets


@pytest.mark.parametrize(
    "module", [expected, metric_names, metrics, statistics, subsets], ids=lambda module: module.__name__
)
def test_the_examples_of_a_module_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
