"""What the stages before `report` write: small and made by hand, but scored by the real code."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from helpers.evaluations import PROMOTION, same_gains
from helpers.measured import with_measures
from helpers.paths import ROOT
from sensorproof.data.batch import Class
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.metadata import IGNORE, PreparedMeta, SensorInput
from sensorproof.documents import (
    BatchRecord,
    DataSummary,
    Evaluation,
    FrameCounts,
    Gain,
    PairRecord,
    RunScores,
    SearchSummary,
    ValidationRecord,
    VerdictFrames,
)
from sensorproof.evaluation.comparison import compute_gains, summarize_arm
from sensorproof.evaluation.subsets import score_subsets
from sensorproof.files import write_json, write_text
from sensorproof.models import build_model, describe_model, load_model, save_model
from sensorproof.reporting.checklist import Thresholds
from sensorproof.reporting.html_report import Options, render_report
from sensorproof.settings import ModelSettings, load_settings

SENSORS = {"camera": ("camera", 3), "depth": ("depth", 1), "thermal": ("thermal", 1)}
CLASSES = ("road", "vehicle", "sky", "unicorn")
"""No frame shows the last one."""
LIMITS = Thresholds(
    load_settings(ROOT / "params.yaml").report.pilot, PROMOTION, load_settings(ROOT / "params.yaml").validation
)
OPTIONS = Options(LIMITS, confidence=0.95, examples=2, device="cpu")


def make_data(
    root: Path, sensors: Mapping[str, tuple[str, int]] = SENSORS, classes: Sequence[str] = CLASSES, **names: str
) -> PreparedDataset:
    """10 frames of 32 x 40, 6 of them for testing. Every depth image has a hole; frame 5 has no thermal one.

    `names` override frames.csv columns (batch, site, sequence, condition) and the prefix of frame ids.
    """
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    label = rng.integers(0, len(classes) - 1, (10, 4, 5)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    label[:, :2] = IGNORE
    np.save(root / "label.npy", label)
    table = pd.DataFrame({"frame_id": [f"{names.get('frame_id', 'frame')}-{i}" for i in range(10)]})
    for column in ("batch", "site", "sequence", "condition"):
        table[column] = names.get(column, f"{column}-1")
    table = table.assign(split=["train"] * 2 + ["val"] * 2 + ["test"] * 6, labelled=True, fault="")
    for name, (_, channels) in sensors.items():
        pixels = rng.random((10, channels, 32, 40)).astype(np.float16)
        if name == "depth":
            pixels[:, :, 4:8, 8:20] = np.nan
        table[f"present_{name}"] = [not (name == "thermal" and i == 5) for i in range(10)]
        pixels[~table[f"present_{name}"].to_numpy()] = np.nan
        np.save(root / f"{name}.npy", pixels)
    table.to_csv(root / "frames.csv", index=False)
    meta = PreparedMeta(
        sensors={
            name: SensorInput(
                kind=kind,
                channels=channels,
                range=(0, 1),
                nodata=None,
                mean=(0.5,) * channels,
                std=(0.3,) * channels,
            )
            for name, (kind, channels) in sensors.items()
        },
        reference=next(iter(sensors)),
        classes=tuple(Class(id=i, name=name) for i, name in enumerate(classes)),
        size=(32, 40),
        batches=(names.get("batch", "batch-1"),),
        frames={"train": 2, "val": 2, "test": 6},
    )
    write_json(root / "meta.json", meta.model_dump(mode="json"))
    return PreparedDataset(root)


def make_runs(
    data: PreparedDataset, root: Path, arms: Sequence[str], seeds: Sequence[int]
) -> dict[str, dict[int, Path]]:
    """Untrained models, no two alike, each with a history."""
    description = describe_model(ModelSettings(backbone="tiny", decoder_channels=8, pretrained=None), data.meta)
    runs: dict[str, dict[int, Path]] = {arm: {} for arm in arms}
    for number, arm in enumerate(arms):
        for seed in seeds:
            torch.manual_seed(100 * number + seed)
            folder = root / arm / str(seed)
            save_model(build_model(description), description, folder / "model")
            rows = "".join(f"{s},{9 - s / 20},{2 / (1 + s / 20) + seed / 10}\n" for s in range(10, 101, 10))
            write_text(folder / "history.csv", "step,loss,cross_entropy\n" + rows)
            runs[arm][seed] = folder
    return runs


def make_evaluation(data: PreparedDataset, runs: Mapping[str, Mapping[int, Path]]) -> Evaluation:
    """Score the runs as stage evaluate does; without a pair of arms the gains are NaN."""
    scored: dict[str, list[RunScores]] = {arm: [] for arm in runs}
    for arm, folders in runs.items():
        for seed, folder in folders.items():
            model, _ = load_model(folder / "model")
            scores = score_subsets(model, data.ordered("test", 3), data.meta.class_names).to_document()
            cost = {"parameters": sum(p.numel() for p in model.parameters()), "train_seconds": 10.0 + 5 * len(arm)}
            own = {"arm": arm, "seed": seed, "validation_mean": 50.0, "model_sha256": "ef" * 32}
            scored[arm].append(RunScores(**scores.model_dump(), **cost, **own))
    pair = scored.get("regularized"), scored.get("baseline")
    unknown = Gain(value=math.nan, ci95=(None, None))
    return Evaluation(
        data=DataSummary(
            batches=data.meta.batches,
            hash="0123abcd.dir",
            frames=FrameCounts(train=2, val=2, test=6, quarantined=0),
            classes=tuple(data.meta.class_names),
            sensors={name: sensor.kind for name, sensor in data.meta.sensors.items()},
        ),
        params_hash="ab" * 32,
        git_commit="cd" * 20,
        arms={arm: summarize_arm(each) for arm, each in scored.items()},
        gain=compute_gains(pair[0], pair[1], 0.95) if pair[0] and pair[1] else same_gains(unknown),
        search=SearchSummary(trials=3, best={"strength": 0.12345, "scales": ["prediction"], "variant": "single"}),
    )


def make_verdict(pairs: Mapping[str, tuple[Any, str, float | None]], batch: str = "batch-1") -> ValidationRecord:
    """Build the verdict on one batch; pairs are {sensor: (state, reason, corner in pixels)}."""
    record = BatchRecord(
        batch=batch,
        suite="suite",
        decision="accepted",
        reasons=(),
        warnings=(),
        frames=VerdictFrames(total=12, quarantined=2, released=0),
        pairs={
            sensor: PairRecord(state=state, reason=reason, frames=12, measured=10, corner_px=corner)
            for sensor, (state, reason, corner) in pairs.items()
        },
        by_measure={},
        drift=None,
    )
    return ValidationRecord.of([record])


VERDICT = make_verdict(
    {"depth": ("aligned", "0.3 px at the corners", 0.31), "thermal": ("unmeasurable", "no reliable tile", None)}
)


def make_page(
    root: Path,
    arms: Sequence[str] = ("baseline", "regularized"),
    seeds: Sequence[int] = (0, 1),
    options: Options = OPTIONS,
    verdict: ValidationRecord = VERDICT,
    data: PreparedDataset | None = None,
    *,
    measured: bool = False,
) -> tuple[str, Evaluation]:
    """Return the page, and the evaluation that it shows; `measured` adds what `with_measures` makes up."""
    data = data or make_data(root / "prepared")
    runs = make_runs(data, root / "train", arms, seeds)
    evaluation = make_evaluation(data, runs)
    if measured:
        evaluation = with_measures(evaluation)
    return render_report(evaluation, verdict, data, runs, options), evaluation
