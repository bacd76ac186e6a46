"""Candidate and champion are scored and timed on the same frames by the real code."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.paths import ROOT
from helpers.project_artifacts import make_meta, write_model, write_prepared, write_run
from sensorproof.artifacts import PREPARED, run_folder
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import RunScores
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.paired import compare_sides
from sensorproof.evaluation.runs import RunFiles, score_runs
from sensorproof.experiment import score_split
from sensorproof.models import build_model, describe_model, load_model, save_model
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.serving.cost import compare_cost
from sensorproof.serving.rescore import recount, recount_silent
from sensorproof.settings import ModelSettings, MonitoringSettings, Settings, load_settings

WHOLE = load_settings(ROOT / "params.yaml")
SETTINGS = WHOLE.model_copy(update={"train": WHOLE.train.model_copy(update={"device": "cpu"})})


@pytest.fixture
def data(tmp_path: Path) -> PreparedDataset:
    write_prepared(tmp_path / "prepared")
    return PreparedDataset(tmp_path / "prepared")


def test_counts_of_frames_give_the_scores_of_the_split_to_the_digit(tmp_path: Path, data: PreparedDataset) -> None:
    write_model(tmp_path / "model", 0)
    counts = recount(tmp_path / "model", data, SETTINGS)
    model, _ = load_model(tmp_path / "model")
    assert counts.scores() == score_split(model, data, "test", "cpu", 3)
    assert counts.counts.shape == (8, 3, 3, 3)
    assert counts.sequences == tuple(f"x/test-{i // 2}" for i in range(4, 12))
    depth = counts.sensors.index("depth")
    assert not counts.counts[-1, depth].any()  # the last frame has no depth
    pixels = counts.counts[:-1, :, :, 1].sum(-1)
    assert (pixels == 32 * 40).all()


def test_a_run_and_a_champion_are_scored_in_the_same_windows(tmp_path: Path) -> None:
    write_prepared(tmp_path / PREPARED)
    data, folder = PreparedDataset(tmp_path / PREPARED), tmp_path / run_folder("baseline", 0)
    write_run(tmp_path, "baseline", 0, 50.0, 0, SETTINGS.regularizer)
    model, _ = load_model(folder / "model")
    fit_monitor(model, data, MonitoringSettings(false_alarms=0.05)).save(folder / "model")

    def shown(window: list[int] | None) -> tuple[Settings, RunScores]:
        evaluate = SETTINGS.evaluate.model_copy(update={"window": window})
        compute = SETTINGS.compute.model_copy(update={"workers": 1})
        settings = SETTINGS.model_copy(update={"evaluate": evaluate, "compute": compute})
        ((scores, _),) = score_runs([RunFiles(folder, "0" * 64, tmp_path / PREPARED)], settings, "")
        return settings, scores

    settings, parts = shown([32, 24])
    (_, whole), (_, one) = shown(None), shown([32, 40])
    assert one == whole
    for name in ("subsets", "calibration", "information", "silent", "protocols"):
        assert getattr(parts, name) != getattr(whole, name)
    assert parts.silent is not None
    assert parts.silent.full == pytest.approx(parts.full, abs=1e-9)
    assert recount(folder / "model", data, settings).scores().subsets == pytest.approx(parts.subsets)
    again = recount_silent(folder / "model", data, settings)
    assert again is not None
    assert again.mean == pytest.approx(parts.silent.mean)


def test_the_same_model_gains_nothing(tmp_path: Path, data: PreparedDataset) -> None:
    write_model(tmp_path / "model", 0)
    counts = [recount(tmp_path / "model", data, SETTINGS)]
    found = compare_sides(counts, counts, SETTINGS, fixed_models=True)
    assert (found.mean.value, found.mean.interval) == (0.0, (0.0, 0.0))
    assert set(found.sites.gains) == {"x"}


def test_two_models_differ_as_their_scores_do(tmp_path: Path, data: PreparedDataset) -> None:
    sides = []
    for seed in (0, 1):
        write_model(tmp_path / f"{seed}", seed)
        sides.append(recount(tmp_path / f"{seed}", data, SETTINGS))
    found = compare_sides([sides[0]], [sides[1]], SETTINGS, fixed_models=True)
    ours, theirs = (side.scores() for side in sides)
    assert found.mean.value == pytest.approx(ours.mean - theirs.mean)
    assert found.full.value == pytest.approx(ours.full - theirs.full)
    assert found.worst.value == pytest.approx(ours.worst)
    low, high = found.mean.interval
    assert low is not None
    assert high is not None
    assert low < found.mean.value < high


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, data: PreparedDataset) -> None:
    """Their label maps would be finite: the first class everywhere."""
    write_model(tmp_path / "model", 0)
    file = tmp_path / "model/model.safetensors"
    tensors = load_file(file)
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[0] = torch.nan
    save_file(tensors, file)
    with pytest.raises(SensorproofError, match="weights that are not finite"):
        recount(tmp_path / "model", data, SETTINGS)


def test_a_copy_costs_the_same_and_a_larger_network_more(tmp_path: Path, data: PreparedDataset) -> None:
    write_model(tmp_path / "small", 0)
    shutil.copytree(tmp_path / "small", tmp_path / "copy")
    ratio, parameters = compare_cost(tmp_path / "copy", tmp_path / "small", data, SETTINGS)
    assert parameters == 1.0
    assert ratio.interval[0] is not None
    assert ratio.interval[0] <= ratio.value
    assert 0.3 < ratio.value < 3
    description = describe_model(ModelSettings(backbone="mit_b1", decoder_channels=128, pretrained=None), make_meta())
    save_model(build_model(description), description, tmp_path / "large")
    ratio, parameters = compare_cost(tmp_path / "large", tmp_path / "small", data, SETTINGS)
    assert parameters > 10
    assert ratio.value > 1.5
    assert np.isfinite(ratio.value)


def test_silent_failures_are_scored_again_only_with_a_monitor(tmp_path: Path, data: PreparedDataset) -> None:
    write_model(tmp_path / "model", 0)
    assert recount_silent(tmp_path / "model", data, SETTINGS) is None
    model, _ = load_model(tmp_path / "model")
    fit_monitor(model, data, MonitoringSettings(false_alarms=0.05)).save(tmp_path / "model")
    silent = recount_silent(tmp_path / "model", data, SETTINGS)
    assert silent is not None
    full = recount(tmp_path / "model", data, SETTINGS).scores().full
    assert silent.full == pytest.approx(full)
    assert set(silent.sensors) == set(data.sensors)
