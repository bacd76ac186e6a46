"""A training whose code torch.compile makes into a program of the machine, which takes minutes the first time."""

from pathlib import Path

import pytest
import torch
from torch._inductor import config, cpp_builder

from helpers.small_training import run_small, write_small_data
from sensorproof.data.dataset import PreparedDataset
from sensorproof.errors import SensorproofError

COMPILED = {"compile": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return write_small_data(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(autouse=True)
def _nothing_is_compiled() -> None:
    torch.compiler.reset()


def test_without_a_compiler_a_training_stops_with_one_line(data: PreparedDataset, tmp_path: Path) -> None:
    cpp_builder.cpp_compiler_search.cache_clear()
    missing = config.patch({"cpp.cxx": (str(tmp_path / "none"),), "force_disable_caches": True})
    with missing, pytest.raises(SensorproofError, match=r"train\.compile: there is no C\+\+ compiler.*; install"):
        run_small(data, "regularized_dropout", 1, changes=COMPILED)
    cpp_builder.cpp_compiler_search.cache_clear()


def test_a_compiled_training_has_the_losses_of_the_plain_one(data: PreparedDataset) -> None:
    _, expected = run_small(data, "regularized_dropout", 10)
    _, history = run_small(data, "regularized_dropout", 10, changes=COMPILED)
    assert history[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=1e-5)
    assert history[-1]["cross_entropy"] == pytest.approx(expected[-1]["cross_entropy"], rel=1e-5)
