"""A small search: prepared frames at several sites, and settings with which a training takes a moment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.paths import ROOT
from helpers.project_artifacts import make_meta
from sensorproof.artifacts import PREPARED, QUARANTINED
from sensorproof.documents.search import Check, LossPoint, SearchResult, TaskResult, Trial, ValidationScores
from sensorproof.files import parse_yaml, write_json, write_text
from sensorproof.settings import Settings, parse_settings

SIZE = (16, 20)
SITES = {"a": "train", "b": "train", "c": "train", "d": "val", "e": "val", "f": "test", "g": "test"}
"""{site: its split}."""
FRAMES = 2
"""Of each site."""


def search_settings(**changes: Any) -> Settings:
    """params.yaml with a short search; `changes` are merged into the section `search`, one level deep."""
    document = parse_yaml((ROOT / "params.yaml").read_text())
    document["train"] |= {"device": "cpu", "batch_size": 4, "arms": ["baseline", "regularized_dropout"]}
    document["model"]["decoder_channels"] = 16
    document["promotion"] |= {"min_worst": 0.0, "min_group_frames": 2}
    document["search"] |= {"trials": 4, "steps": 4, "silent_failures": False}
    for key, value in changes.items():
        own = document["search"][key]
        document["search"][key] = own | value if isinstance(own, dict) and isinstance(value, dict) else value
    return parse_settings(document)


def write_frames(root: Path, sites: Mapping[str, str] = SITES) -> None:
    """Prepared frames of two sensors: boxes that the camera sees and the depth sees worse."""
    meta = make_meta().model_copy(update={"size": SIZE})
    rng = np.random.default_rng(0)
    names = [site for site in sites for _ in range(FRAMES)]
    label = np.zeros((len(names), *SIZE), np.uint8)
    for frame, column in enumerate(rng.integers(0, 10, len(names))):
        label[frame, 4:12, column : column + 8] = 1
    label[:, :3] = 2
    splits = [sites[site] for site in names]
    table = pd.DataFrame({"frame_id": [str(i) for i in range(len(names))], "batch": "b", "split": splits})
    table = table.assign(labelled=True, fault="", site=names, condition="day", sequence="s")
    root.mkdir(parents=True, exist_ok=True)
    for name, sensor in meta.sensors.items():
        noise = 0.1 if name == meta.reference else 0.3
        pixels = 0.3 * label[:, None] + rng.normal(0.2, noise, (len(names), sensor.channels, *SIZE))
        table[f"present_{name}"] = True
        np.save(root / f"{name}.npy", pixels.astype(np.float16))
    np.save(root / "label.npy", label)
    table.to_csv(root / "frames.csv", index=False)
    write_json(root / "meta.json", meta.model_dump(mode="json"))


def write_stage_frames(root: Path) -> None:
    """Write the frames where stages read them, none of them in quarantine."""
    write_frames(root / PREPARED)
    write_text(root / QUARANTINED, "batch,frame_id\n")


def make_scores(full: float, mean: float, worst: float = 30.0, *, seed: int = 0, fold: int = 0) -> ValidationScores:
    """Scores of a training, alike for every class, site and condition."""
    return ValidationScores(
        seed=seed,
        fold=fold,
        full=full,
        mean=mean,
        worst=worst,
        classes={"road": mean},
        sites={"d": mean},
        conditions={"day": mean},
    )


def make_result(full: float, mean: float, checks: Sequence[float] = (), **scores: Any) -> TaskResult:
    """A task that ended."""
    return TaskResult(
        outcome="complete",
        steps=4,
        seconds=1.0,
        scores=(make_scores(full, mean, **scores),),
        checks=tuple(Check(steps=k + 1, score=score) for k, score in enumerate(checks)),
    )


def make_trial(number: int, full: float, mean: float, /, **changes: Any) -> Trial:
    """A trial that ended."""
    settings = search_settings()
    return Trial(
        number=number,
        origin="sampler",
        values={"strength.prediction": 0.1},
        regularizer=settings.regularizer,
        class_balance=0.5,
        learning_rate=0.01,
        outcome="complete",
        seeds=(0,),
        steps=4,
        seconds=1.0,
        full=full,
        mean=mean,
        worst=30.0,
    ).model_copy(update=changes)


def make_search() -> SearchResult:
    """A search of six trials: two are on the front, one of them chosen; one breaks a limit, one stopped, one failed."""
    settings = search_settings()
    trials = [
        make_trial(0, 54.1, 44.0, origin="params.yaml", seeds=(0, 1)),
        make_trial(1, 53.8, 47.2, values={"strength.prediction": 0.31}, seeds=(0, 1), violations={"loss_full": -0.2}),
        make_trial(2, 52.0, 46.0, values={"strength.prediction": 0.05}),
        make_trial(3, 58.0, 50.0, values={"strength.prediction": 0.6}, violations={"site_loss": 1.5}),
        make_trial(4, 0.0, 0.0, outcome="pruned", reason="not among the best", full=None, mean=None, worst=None),
        make_trial(5, 0.0, 0.0, outcome="failed", reason="the loss is nan", full=None, mean=None, worst=None),
    ]
    curve = {"checks": (Check(steps=2, score=40.0),), "losses": (LossPoint(step=10, loss=0.7),)}
    trials[1] = trials[1].model_copy(update=curve)
    return SearchResult(
        study="search-1",
        trials=tuple(trials),
        best=trials[1].regularizer,
        chosen=1,
        front=(0, 1),
        choice=settings.search.choice,
        importance={"full": {"strength.prediction": 1.0}, "mean": {"strength.prediction": 1.0}},
        steps=4,
    )
