"""A small project folder as it is before stage register: prepared frames, trained runs and their scores."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image

from helpers.evaluations import make_silent
from helpers.paths import ROOT
from sensorproof.artifacts import EVALUATE, EVALUATION, PREPARED, QUARANTINED, REPORT, REPORT_FOLDER, SEARCH, run_folder
from sensorproof.cli import main
from sensorproof.data.batch import Batch, Class, read_batch, write_batch
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.holdout import frame_names, hash_holdout
from sensorproof.data.metadata import PreparedMeta, SensorInput
from sensorproof.documents import DataSummary, FrameCounts, RunScores, Scores, SearchResult, TrainingRecord
from sensorproof.documents.history import write_history
from sensorproof.evaluation.comparison import build_evaluation, compare_arms
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.files import write_json, write_text
from sensorproof.models import ModelDescription, build_model, describe_model, load_model, save_model
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.serving.package import hash_model
from sensorproof.serving.rescore import recount as _recount
from sensorproof.settings import ModelSettings, MonitoringSettings, RegularizerSettings, Settings, load_settings

MODEL = ModelSettings(backbone="tiny", decoder_channels=16, pretrained=None)
CLASSES = ("ground", "box", "wall")
SENSORS = {"camera": 3, "depth": 1}
SIZE = (32, 40)
SPLITS = ("train", "train", "train", "val", "test")
OPTIONS: dict[str, dict[str, Any]] = {
    "compute": {"workers": 1},  # models so small are scored before another process has begun
    "train": {"seeds": [0, 1], "device": "cpu"},
    "evaluate": {"batch_size": 4},
    "promotion": {"resamples": 200, "max_time_ratio": 5.0},  # a busy machine refuses no candidate
}
Means = Mapping[str, Sequence[float]]
"""{arm: mean mIoU of each seed, in points}."""
LEVELS: dict[str, float] = {}
"""{hash of a model: the mean mIoU in points that `write_run` invented for it}."""


def command(*arguments: str | Path) -> int:
    """Run `sensorproof …` in this process and return its exit code."""
    before = sys.argv
    sys.argv = ["sensorproof", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def make_meta(sensors: Mapping[str, int] = SENSORS) -> PreparedMeta:
    """Sensors with statistics unlike 0 and 1, so that a wrong scaling shows."""
    described = {
        name: SensorInput(
            kind="camera" if channels == 3 else "depth",
            channels=channels,
            range=(0.0, 255.0) if channels == 3 else (0.0, 50.0),
            nodata=None if channels == 3 else 0.0,
            mean=(0.4,) * channels,
            std=(0.25,) * channels,
        )
        for name, channels in sensors.items()
    }
    return PreparedMeta(
        sensors=described,
        reference="camera",
        classes=tuple(Class(id=10 * i + 3, name=name) for i, name in enumerate(CLASSES)),
        size=SIZE,
        batches=("b",),
        frames={"train": 2, "val": 2, "test": 8},
    )


def write_model(folder: Path, seed: int, meta: PreparedMeta | None = None) -> ModelDescription:
    """An untrained model whose label maps show more than one class."""
    torch.manual_seed(seed)
    description = describe_model(MODEL, meta or make_meta())
    model = build_model(description)
    with torch.no_grad():
        for parameter in model.decoder.classifier.parameters():
            parameter.normal_(0, 1)
    save_model(model, description, folder)
    return description


def write_prepared(root: Path, meta: PreparedMeta | None = None) -> None:
    """Prepared frames: noise over boxes, the depth of one test frame missing."""
    meta = meta or make_meta()
    rng = np.random.default_rng(0)
    splits = [split for split, number in meta.frames.items() for _ in range(number)]
    label = np.zeros((len(splits), *SIZE), np.uint8)
    label[:, 8:24, 10:30] = 1
    label[:, :4] = 2
    table = pd.DataFrame({"frame_id": [str(i) for i in range(len(splits))], "batch": "b", "split": splits})
    table = table.assign(labelled=True, fault="", site="x", condition="day")
    table["sequence"] = [f"{split}-{i // 2}" for i, split in enumerate(splits)]
    root.mkdir(parents=True, exist_ok=True)
    for name, sensor in meta.sensors.items():
        shape = (len(splits), sensor.channels, *SIZE)
        pixels = (0.3 * label[:, None] + rng.normal(0.2, 0.1, shape)).astype(np.float16)
        present = np.ones(len(splits), bool)
        if name != meta.reference:
            present[-1], pixels[-1] = False, np.nan
        table[f"present_{name}"] = present
        np.save(root / f"{name}.npy", pixels)
    np.save(root / "label.npy", label)
    table.to_csv(root / "frames.csv", index=False)
    write_json(root / "meta.json", meta.model_dump(mode="json"))


def write_monitor(folder: Path, prepared: Path) -> None:
    """A monitor of the model in a folder, fitted on the frames of `write_prepared`, which are written too."""
    write_prepared(prepared)
    model, _ = load_model(folder)
    fit_monitor(model, PreparedDataset(prepared), MonitoringSettings(false_alarms=0.001)).save(folder)


def write_raw(root: Path, splits: Sequence[str] = SPLITS) -> Batch:
    """A batch of odd sizes: camera PNG 50 x 61, depth NPY 37 x 45 with gaps; frame 1 has no depth, 2 no camera."""
    rng = np.random.default_rng(1)
    for folder in ("camera", "depth", "label"):
        (root / folder).mkdir(parents=True)
    ids = [each.id for each in make_meta().classes]
    rows = []
    for i, split in enumerate(splits):
        row: dict[str, object] = {"frame_id": f"f{i}", "sequence": f"s{split}", "site": "x", "condition": "day"}
        label = np.full((50, 61), ids[0], np.uint8)
        label[10:30, 5 + i : 40] = ids[1]
        label[40:] = ids[2]
        camera = np.clip(label[..., None] * 6 + rng.normal(60, 20, (50, 61, 3)), 0, 255).astype(np.uint8)
        depth = rng.uniform(1, 50, (37, 45)).astype(np.float32)
        depth[:5], depth[6, 7] = 0, np.nan
        Image.fromarray(label).save(root / f"label/f{i}.png")
        Image.fromarray(camera).save(root / f"camera/f{i}.png")
        np.save(root / f"depth/f{i}.npy", depth)
        row |= {"label": f"label/f{i}.png", "camera": f"camera/f{i}.png", "depth": f"depth/f{i}.npy"}
        row |= {"camera_time": float(i), "depth_time": float(i), "split": split}
        for absent in {1: ["depth"], 2: ["camera"]}.get(i, []):
            row |= {absent: "", f"{absent}_time": np.nan}
        rows.append(row)
    sensors = {
        name: {
            **{"kind": each.kind, "channels": each.channels, "range": list(each.range), "nodata": each.nodata},
            **{"max_time_offset_s": 0.1, "calibration": None},
        }
        for name, each in make_meta().sensors.items()
    }
    classes = [{"id": i, "name": name} for i, name in zip(ids, CLASSES, strict=True)]
    info = {"name": root.name, "classes": classes, "ignore_index": 255, "reference": "camera", "sensors": sensors}
    write_batch(root, info, pd.DataFrame(rows))
    return read_batch(root)


def write_results(root: Path, means: Means, *, first_seed: int = 0, data_hash: str = f"{'0' * 31}1.dir") -> None:
    """Write all that stage register reads into root; the scores are given, the models are untrained.

    Args:
        root: the project's folder.
        means: {arm: scores}; the seed with the highest mean is also best on validation data.
        first_seed: other numbers make other models.
        data_hash: as DVC would name the raw data.
    """
    seeds = range(len(next(iter(means.values()))))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in OPTIONS.items():
        params[section] |= values
    params["train"] |= {"seeds": list(seeds), "arms": list(means)}
    write_text(root / "params.yaml", yaml.safe_dump(params))
    settings = load_settings(root / "params.yaml")
    write_prepared(root / PREPARED)
    write_text(root / QUARANTINED, "batch,frame_id\n")
    write_text(root / REPORT, "<!doctype html><title>report</title>\n")
    (root / REPORT_FOLDER).mkdir(exist_ok=True)
    write_text(root / REPORT_FOLDER / "scores.csv", "arm,figure,mean\n")
    scored = [
        write_run(root, arm, seed, mean, first_seed, settings.regularizer)
        for arm, scores in means.items()
        for seed, mean in zip(seeds, scores, strict=True)
    ]
    frames = FrameCounts(train=2, val=2, test=8, quarantined=0)
    data = DataSummary(batches=("b",), hash=data_hash, frames=frames)
    search = SearchResult(trials=(), best=settings.regularizer)
    search.write(root / SEARCH / "trials.json")
    comparison = compare_arms(scored, settings)
    runs = [run for run, _ in scored]
    build_evaluation(runs, data, search, settings, "0" * 40, comparison).write(root / EVALUATION)
    prepared = {"cmd": "prepare", "deps": [{"path": settings.data.raw, "hash": "md5", "md5": data_hash}]}
    write_text(root / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": {"prepare": prepared}}))


def write_run(
    root: Path, arm: str, seed: int, mean: float, first_seed: int, regularizer: RegularizerSettings
) -> tuple[RunScores, PixelCounts]:
    """Write one run of stage train and its scores by stage evaluate; every subset and class has the score `mean`."""
    folder = root / run_folder(arm, seed)
    write_model(folder / "model", first_seed + seed + 100 * (arm == "baseline"))
    columns = ("loss", "cross_entropy", "information/prediction/camera")
    rows = [dict(zip(columns, (1 / step, 1 / step, 0.1 * step), strict=True)) for step in (10, 20, 30)]
    write_history(folder / "history.csv", [{"step": 10 * (i + 1), **row} for i, row in enumerate(rows)])
    subsets = {subset_name(subset): mean for subset in all_subsets(SENSORS)}
    scores = Scores(
        full=mean,
        mean=mean,
        worst=mean,
        spread=0.0,
        subsets=subsets,
        per_class={name: dict.fromkeys(CLASSES, mean) for name in subsets},
        support=dict.fromkeys(CLASSES, 100),
    )
    cost = {"train_seconds": 1.0, "parameters": 1000}
    training = TrainingRecord(arm=arm, seed=seed, regularizer=regularizer, val=scores, **cost)
    training.write(folder / "train.json")
    run = RunScores(
        **dict(scores),
        arm=arm,
        seed=seed,
        **cost,
        validation_mean=mean,
        model_sha256=hash_model(folder / "model"),
        silent=make_silent(),
    )
    run.write(root / EVALUATE / f"{arm}-{seed}.json")
    counts = invent_counts(mean, PreparedDataset(root / PREPARED))
    counts.save(root / EVALUATE / f"{arm}-{seed}.npz")
    LEVELS[run.model_sha256] = mean
    return run, counts


def loosen_gates(root: Path) -> None:
    """Let any model with finite scores become champion."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["promotion"] |= {"min_gain_baseline": -1000.0, "min_gain_champion": -1000.0, "min_worst": 0.0}
    params["promotion"] |= {f"max_loss_{part}": 1000.0 for part in ("full", "class", "site", "condition")}
    params["promotion"]["max_time_ratio"] = 1000.0
    write_text(root / "params.yaml", yaml.safe_dump(params))


def invent_counts(level: float, data: PreparedDataset, pixels: int = 10_000_000) -> PixelCounts:
    """Counts of which every frame, subset and class has an IoU of `level` points."""
    share = level / 100
    shape = len(data.rows("test")), len(all_subsets(data.sensors)), len(data.meta.classes)
    counts = np.full((*shape, 3), pixels, np.uint32)
    counts[..., 0] = round(2 * pixels * share / (1 + share))
    frames = data.frames.loc[data.rows("test")]
    return PixelCounts(
        counts=counts,
        frames=frame_names(data),
        sequences=tuple(frames.site + "/" + frames.sequence),
        sites=tuple(frames.site),
        conditions=tuple(frames.condition),
        sensors=tuple(data.sensors),
        classes=tuple(data.meta.class_names),
        holdout=hash_holdout(data),
    )


def recount_as_invented(folder: Path, data: PreparedDataset, settings: Settings, holdout: str = "") -> PixelCounts:
    """Score a model as `write_run` invented it, in place of `rescore.recount`; others are scored indeed."""
    level = LEVELS.get(hash_model(folder))
    counts = _recount(folder, data, settings, holdout)
    return counts if level is None else invent_counts(level, data)
