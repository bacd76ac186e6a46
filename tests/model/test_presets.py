"""The settings in examples/ are valid, fit what the importers write, and train."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers.muses_miniature import write_muses
from helpers.paths import ROOT
from helpers.public_datasets import WRITERS
from sensorproof.cli import app
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.prepare import prepare
from sensorproof.errors import UsageError
from sensorproof.experiment import RunSpec, fit, make_sampler
from sensorproof.models import build_model, describe_model
from sensorproof.models.windows import Windows
from sensorproof.settings import Settings, load_settings

PRESETS = sorted(path.parent.name for path in (ROOT / "examples").glob("*/params.yaml"))
SIZE = [32, 48]
FRAMES = {
    "deliver": [1042, 1042],
    "muses": [1080, 1920],
    "mcubes": [1024, 1032],
    "mfnet": [480, 640],
    "fmb": [600, 800],
    "nyudepthv2": [480, 640],
}
"""{public data set: height and width of its frames}. They are trained on as crops."""
CROP = [20, 30]
"""Of the miniatures, whose frames have at least 24 x 40 pixels."""


def write_public(name: str, write: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    def arguments(source: Path) -> list[str]:
        write(source)
        return [name, str(source), "--partial", "--workers", "1"]

    return arguments


def write_ombria(source: Path) -> list[str]:
    """Tiles of the real shape, with a flood that both sensors see, at names of every rule of the mapping."""
    rng = np.random.default_rng(0)
    names = [f"early/block{block:02d}/{k}" for block in (0, 1, 2, 7, 14) for k in range(2)] + [
        "2021/timor/7",
        "2021/x/8",
    ]
    label = (rng.random((len(names), 6, 6)) < 0.4).repeat(16, 1).repeat(16, 2).astype(np.uint8)
    light = 60 + 120 * label[..., None] + rng.integers(0, 60, (*label.shape, 8))
    source.mkdir()
    np.savez(
        source / "tiles.npz",
        sar=light[..., :2].astype(np.uint8),
        optical=light[..., 2:].astype(np.uint8),
        label=label,
        name=np.array(names),
    )
    return ["arrays", str(source / "tiles.npz"), "--mapping", str(ROOT / "examples/ombria/mapping.yaml")]


SOURCES: dict[str, Callable[[Path], list[str]]] = {
    **{name: write_public(name, write) for name, write in WRITERS.items()},
    "muses": write_public("muses", lambda root: write_muses(root, 8)),
    "ombria": write_ombria,
}
"""{preset: writes a miniature and returns the arguments of `sensorproof import`}."""


def configured(name: str, folder: Path) -> Settings:
    """params.yaml with a preset, merged by the real command."""
    params = folder / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text())
    command = ["configure", str(ROOT / f"examples/{name}/params.yaml"), "--params", str(params)]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    return load_settings(params)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_and_names_no_default(name: str, tmp_path: Path) -> None:
    settings = configured(name, tmp_path)
    assert settings.data.raw.startswith("data/")
    assert settings.data.raw != "data/raw"
    assert settings != load_settings(ROOT / "params.yaml")


def test_every_data_set_has_a_preset() -> None:
    assert {*SOURCES, "stereo_potholes"} == set(PRESETS)


@pytest.mark.parametrize("name", FRAMES)
def test_a_preset_of_a_public_data_set_fits_its_frames(name: str, tmp_path: Path) -> None:
    settings = configured(name, tmp_path)
    assert settings.data.full_resolution
    assert settings.train.crop is not None
    for side, frame, scored in zip(settings.train.crop, FRAMES[name], settings.data.size, strict=True):
        assert side <= frame
        assert side <= scored <= frame
    if settings.evaluate.window is not None:
        Windows((settings.evaluate.window[0], settings.evaluate.window[1])).places(tuple(settings.data.size))


@pytest.mark.parametrize("name", SOURCES)
def test_a_preset_trains_on_what_the_importer_writes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = configured(name, tmp_path)
    kind, source, *options = SOURCES[name](tmp_path / "source")
    command = ["import", kind, source, f"{settings.data.raw}/{name}", *options]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    # Smaller and shorter than the preset; all else is the preset's.
    data = settings.data.model_copy(update={"size": SIZE})
    model = settings.model.model_copy(update={"backbone": "tiny", "decoder_channels": 16})
    meta, _, _ = prepare(data, tmp_path / "prepared")
    assert min(meta.frames.values()) > 0
    if model.pretrained:
        build_model(describe_model(model, meta)).encoder.save_pretrained(tmp_path / model.pretrained)
    prepared = PreparedDataset(tmp_path / "prepared")
    crop = CROP if settings.train.crop else None
    train = settings.train.model_copy(update={"device": "cpu", "steps": 3, "crop": crop})
    assert set(train.photometric) <= set(meta.sensors)
    if crop:
        batch = make_sampler(prepared, train, 0)(0)
        assert batch.target.shape == (train.batch_size, *crop)
        assert set(batch.inputs) == set(meta.sensors)
    for arm in ("baseline", settings.promotion.candidate):
        spec = RunSpec(arm, train.seeds[0], train.steps, model, train, settings.regularizer)
        result = fit(spec, prepared, readers=min(settings.compute.readers, 1))
        assert result.run.history
        assert all(np.isfinite(row["loss"]) for row in result.run.history)
        assert len(result.description.classes) == len(meta.classes)
        assert np.isfinite(result.validation.to_document().full)


def test_a_missing_folder_of_weights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = configured("mfnet", tmp_path)
    kind, source, *options = SOURCES["mfnet"](tmp_path / "source")
    CliRunner().invoke(app, ["import", kind, source, f"{settings.data.raw}/mfnet", *options], catch_exceptions=False)
    prepare(settings.data.model_copy(update={"size": SIZE}), tmp_path / "prepared")
    model = settings.model.model_copy(update={"backbone": "tiny"})
    spec = RunSpec("baseline", 0, 1, model, settings.train, settings.regularizer)
    with pytest.raises(UsageError, match="pretrained/mit_b0: cannot be loaded"):
        fit(spec, PreparedDataset(tmp_path / "prepared"))
