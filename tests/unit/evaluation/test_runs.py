"""How many processes score models: those of the CPU, or one on each GPU that they may use."""

import pytest
import torch

from helpers.search import search_settings
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.runs import score_runs, scoring_processes
from sensorproof.settings import Settings
from sensorproof.training.loop import choose_device


def make_settings(device: str, workers: int = 3, processes: int = 0) -> Settings:
    settings = search_settings()
    compute = settings.compute.model_copy(update={"workers": workers, "processes": processes})
    train = settings.train.model_copy(update={"device": device})
    return settings.model_copy(update={"compute": compute, "train": train})


@pytest.mark.parametrize(
    ("device", "processes", "expected"),
    [("cpu", 0, 3), ("auto", 0, 8), ("cuda", 0, 8), ("auto", 1, 1), ("auto", 4, 4), ("cuda:1", 0, 1)],
)
def test_processes_are_those_of_the_device(
    monkeypatch: pytest.MonkeyPatch, device: str, processes: int, expected: int
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert scoring_processes(make_settings(device, processes=processes)) == expected


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    given = []
    for rank in (0, 1, 2):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        given.append([str(choose_device(name)) for name in ("auto", "cuda", "cuda:1", "cpu")])
    assert given == [[f"cuda:{own}", f"cuda:{own}", "cuda:1", "cpu"] for own in (0, 1, 0)]


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SensorproofError, match=r"train\.device: cuda does not exist"):
        score_runs([], make_settings("cuda"), "")
