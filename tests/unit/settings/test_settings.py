"""params.yaml: every key is checked, and all faults come in one message that names each key."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from helpers.paths import ROOT
from sensorproof.errors import EXIT_USAGE, SettingsError
from sensorproof.files import parse_yaml
from sensorproof.settings import Settings, load_settings, name_scales, parse_settings

DOCUMENT: dict[str, Any] = parse_yaml((ROOT / "params.yaml").read_text())
NAN, INFINITY = float("nan"), float("inf")
COMPARED = DOCUMENT["compare"]["datasets"][0]
STRENGTHS = DOCUMENT["compare"]["strengths"]

OUT_OF_RANGE: dict[str, list[Any]] = {
    "data.size": [[0, 80], [64], [64, 80, 3], [64, 9000]],
    "data.standardize": ["batch", {"camera": "none"}],
    "data.split.val": [-0.1, 1.5, NAN],
    "data.split.test": [-0.1, 1.5],
    "data.split.seed": [-1],
    "compute.workers": [-1, 1.5],
    "compute.processes": [-1, 1.5],
    "compute.readers": [-1, 0.5],
    "compute.engine": ["ray"],
    "compute.address": ["scheduler:8786", 5],
    "ingestion.s3": ["bucket/folder", 5],
    "ingestion.max_hours": [0.0, INFINITY],
    "ingestion.archives.max_files": [0],
    "ingestion.archives.max_gib": [0.0],
    "ingestion.archives.max_ratio": [0.5],
    "model.backbone": ["mit_b9"],
    "model.decoder_channels": [0],
    "train.arms": [[], ["baseline", "magic"]],
    "train.seeds": [[], [-1]],
    "train.device": ["gpu", "cuda:x"],
    "train.steps": [0],
    "train.batch_size": [0],
    "train.learning_rate": [0.0, -1.0, INFINITY],
    "train.weight_decay": [-0.1],
    "train.warmup_fraction": [1.1],
    "train.precision": ["float8", 16],
    "train.accumulate": [0],
    "train.max_gradient_norm": [0.0, NAN],
    "train.hard_pixels": [0.0, 1.0],
    "train.average_decay": [-0.1, 1.0],
    "train.crop": [[0, 8], [8], [8, 8, 8]],
    "train.crop_scale": [[1.0], [0.0, 1.0]],
    "train.photometric": [{"camera": 1.1}],
    "train.checkpoint_every": [0],
    "train.class_balance": [-0.1, 1.1, NAN],
    "regularizer.strength": [-0.1, INFINITY],
    "regularizer.scales": [[], ["stage5"], {}, {"stage5": 1.0}, {"stage1": 0.0}],
    "regularizer.variant": ["square"],
    "regularizer.estimator": ["guess"],
    "regularizer.sigma": [0.0, NAN],
    "regularizer.batch_fraction": [0.0, 1.1],
    "regularizer.every_n_steps": [0],
    "validation.time.warn": [0.0, 1.5],
    "validation.calibration.max_age_days": [0.0],
    "validation.calibration.rigid_error": [0.0],
    "validation.content.grid": [2, 5],
    "validation.content.tile": [16, 5000],
    "validation.content.reliability": [0.0, 100.0],
    "validation.content.min_coverage": [-0.1, 1.1],
    "validation.content.warn_px": [0.0],
    "validation.content.critical_px": [0.0],
    "validation.content.margin_px": [-0.1],
    "validation.health.blank_contrast": [1.1],
    "validation.health.blank_tiles": [1.1],
    "validation.health.saturated_warn": [1.1],
    "validation.health.saturated": [1.1],
    "validation.health.invalid": [1.1],
    "validation.health.invalid_excess": [1.1],
    "validation.health.dead_lines": [1.1],
    "validation.health.frozen_change": [-0.1],
    "validation.health.moved_change": [0.0],
    "validation.labels.min_coverage": [1.1],
    "validation.drift.auc": [0.5, 1.1],
    "validation.drift.severity": ["fatal"],
    "validation.drift.max_frames": [9],
    "validation.max_quarantined": [1.1],
    "validation.contact_sheet_frames": [-1, 101],
    "regularizer.modality_dropout": [-0.1, 1.1],
    "search.trials": [-1, 0],
    "search.minutes": [0.0, -1.0],
    "search.steps": [0],
    "search.space.strength": [
        {},
        {"stage9": [0.1, 1.0]},
        *({"prediction": v} for v in ([0.1], [0.0, 1.0], [1.0, 0.1])),
    ],
    "search.space.scales": [[], [[]], [["stage9"]], [["prediction", "prediction"]]],
    "search.space.variant": [[], ["square"], ["single", "single"]],
    "search.space.estimator": [[], ["guess"]],
    "search.space.modality_dropout": [[0.1], [0.5, 0.1], [0.0, 1.1]],
    "search.space.class_balance": [[0.5, 0.5], [-0.1, 1.0]],
    "search.space.learning_rate": [[0.0, 0.1], [0.1, 0.01]],
    "search.space.standardize": [{}, {"camera": []}, {"camera": ["frame", "frame"]}, {"camera": ["field"]}],
    "search.folds": [0, 21],
    "search.seeds": [[], [-1]],
    "search.close": [-0.1],
    "search.choice.maximize": ["worst"],
    "search.choice.tolerance": [-0.1],
    "search.pruning.first": [0.0, 1.1],
    "search.pruning.reduction": [1],
    "search.warm_start": [["friends"], ["studies", "studies"]],
    "search.workers": [0],
    "search.storage": ["redis://host", "nowhere"],
    "retraining.mode": ["nothing"],
    "retraining.fine_tune.steps": [0],
    "retraining.fine_tune.learning_rate": [0.0, NAN],
    "evaluate.batch_size": [0],
    "evaluate.window": [[0, 80], [64], [64, 9000]],
    "evaluate.overlap": [-0.1, 1.0, NAN],
    "evaluate.confidence": [0.0, 1.0],
    "evaluate.protocols": [["magic"], ["emm", "emm"]],
    "evaluate.severities": [[], [0], [6], [1, 1]],
    "evaluate.failure_probability": [-0.1, 1.0, NAN, {"camera": 1.0}],
    "promotion.candidate": ["magic"],
    "promotion.mode": ["manual"],
    "promotion.notify": ["nowhere", 5],
    "promotion.resamples": [99, 100.5],
    "promotion.min_gain_baseline": [NAN, INFINITY],
    "promotion.min_gain_champion": [NAN, INFINITY],
    "promotion.max_loss_full": [-0.1],
    "promotion.min_worst": [-0.1, 100.1],
    "promotion.max_loss_class": [-0.1],
    "promotion.max_loss_site": [-0.1, INFINITY],
    "promotion.max_loss_condition": [-0.1],
    "promotion.max_loss_silent": [-0.1],
    "promotion.max_false_alarms": [-0.1, 1.1],
    "promotion.min_group_frames": [0],
    "monitoring.false_alarms": [0, 0.2, NAN],
    "promotion.max_time_ratio": [0.0, NAN],
    "report.language": ["fr"],
    "report.examples": [-1, 25],
    "report.pilot.min_test_frames": [0],
    "report.pilot.min_test_sites": [0],
    "report.pilot.min_seeds": [0],
    "report.pilot.max_shortfall": [-1.0, NAN],
    "report.pilot.max_calibration_error": [-0.1, 1.5],
    "schedule.retraining": ["2 o'clock"],
    "schedule.timezone": ["Mars/Olympus"],
    "schedule.polling_s": [0],
    "schedule.retrain_when.new_frames": [-1, 0.5],
    "schedule.retrain_when.drifted_batches": [0],
    "schedule.retrain_when.alarms": [0.0, 1.1],
    "schedule.retrain_when.days": [0.0, INFINITY],
    "schedule.newer": ["overtake"],
    "notifications.to": ["nowhere", "Slack Webhook/mine", 5],
    "notifications.events": [[], ["rain"], ["failed", "failed"]],
    "compare.datasets": [
        [],
        [COMPARED | {"size": [8]}],
        [COMPARED | {"seeds": [0]}],
        [COMPARED | {"tuning_seeds": [-1]}],
    ],
    "compare.tuning_fraction": [0, 1.1],
    "compare.strengths": [
        STRENGTHS | {"magic": [0.1]},
        STRENGTHS | {"agm": []},
        STRENGTHS | {"agm": [-0.1] * 5},
    ],
}
"""For every key that has a range, values outside it; a new key in params.yaml needs its line here or below."""
WITHOUT_RANGE = {
    "data.raw",
    "data.inbox",
    "data.quarantine",
    "data.full_resolution",
    "ingestion.ledger",
    "ingestion.commit",
    "ingestion.history",
    "model.pretrained",
    "train.channels_last",
    "train.compile",
    "train.recompute",
    "train.shard_weights",
    "train.horizontal_flip",
    "regularizer.relevance_weighting",
    "evaluate.specialists",
    "search.enabled",
    "search.silent_failures",
    "validation.time.pairs",
}
OPEN = {"train.photometric", "validation.time.pairs", "compare.strengths", "search.space.strength"}
"""Mappings whose keys are the user's own."""


def leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that holds a value, dotted."""
    for key, value in document.items():
        here = f"{path}{key}"
        if isinstance(value, dict) and here not in OPEN:
            yield from leaves(value, f"{here}.")
        else:
            yield here, value


LEAVES = dict(leaves(DOCUMENT))


def put(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, key = path.split(".")
    for parent in parents:
        document = document[parent]
    document[key] = value


def remove(document: dict[str, Any], path: str) -> None:
    *parents, key = path.split(".")
    for parent in parents:
        document = document[parent]
    del document[key]


def of_wrong_type(value: Any) -> Any:
    """A value that no key takes in the place of this one."""
    if value is None:
        return {"x": 1}  # a number may be what the key takes where it is not null
    if isinstance(value, bool | list | dict):
        return 17
    return ["x"]


def message(document: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_settings(document)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE
    return str(caught.value)


def names(text: str, path: str) -> bool:
    """Whether the message names the key, or an entry of the list that it holds."""
    return f" {path}:" in text or f" {path}." in text


def test_the_projects_own_file_is_right() -> None:
    settings = load_settings(ROOT / "params.yaml")
    assert settings.model_dump(by_alias=True) == DOCUMENT
    assert Settings.model_validate(DOCUMENT) == settings


def test_every_key_has_its_range_here() -> None:
    assert set(OUT_OF_RANGE) | WITHOUT_RANGE == set(LEAVES)


@pytest.mark.parametrize(("path", "value"), [(path, v) for path, values in OUT_OF_RANGE.items() for v in values])
def test_a_value_out_of_range_is_named(path: str, value: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    put(document, path, value)
    assert names(message(document), path)


def test_all_faults_at_once() -> None:
    for make in (of_wrong_type, lambda value: "x" if not isinstance(value, str) else 5):
        document = copy.deepcopy(DOCUMENT)
        for path, value in LEAVES.items():
            put(document, path, make(value) if path != "model.pretrained" else 5)
        text = message(document)
        assert not [path for path in LEAVES if not names(text, path)]


@given(st.data())
def test_exactly_the_faulty_keys_are_named(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(sorted(LEAVES)), min_size=1, max_size=6, unique=True))
    document, expected = copy.deepcopy(DOCUMENT), set()
    for path in chosen:
        kind = data.draw(st.sampled_from(["missing", "type", "range", "unknown"]))
        if kind == "missing":
            remove(document, path)
        elif kind == "unknown":
            put(document, f"{path}_", 1)
        elif kind == "range" and path in OUT_OF_RANGE:
            put(document, path, data.draw(st.sampled_from(OUT_OF_RANGE[path])))
        else:
            put(document, path, of_wrong_type(LEAVES[path]))
        expected.add(f"{path}_" if kind == "unknown" else path)
    text = message(document)
    named = {path for path in (*LEAVES, *(f"{p}_" for p in LEAVES)) if names(text, path)}
    assert named == expected


@pytest.mark.parametrize("document", [None, [], "text", 3, {}])
def test_what_is_no_params_at_all(document: Any) -> None:
    message(document)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("data.split", {"val": 0.5, "test": 0.5, "seed": 0}, "leaves nothing to train on"),
        ("train.seeds", [0, 0], "must not repeat"),
        ("train.arms", ["baseline", "baseline"], "must not repeat"),
        ("train.arms", ["baseline", "regularized"], "params.yaml: train.arms lacks ['regularized_dropout']"),
        ("promotion.candidate", "ogm_ge", "train.arms lacks ['ogm_ge']"),
        ("search.seeds", [0, 0], "search.seeds: must not repeat"),
        ("compare.strengths", STRENGTHS | {"agm": [0.1] * 4}, "compare: every arm needs as many strengths"),
        ("compare.strengths", STRENGTHS | {"modality_dropout": [1.5] * 5}, "modality_dropout are probabilities"),
        ("compare.strengths", STRENGTHS | {"baseline": [0.1] * 5}, "wrong or missing: baseline"),
        ("compare.strengths", {k: v for k, v in STRENGTHS.items() if k != "agm"}, "wrong or missing: agm"),
        ("compare.datasets", [COMPARED | {"seeds": [0, 0]}], "must not repeat"),
        ("compare.datasets", [COMPARED | {"tuning_seeds": [1, 1]}], "must not repeat"),
        ("search.space.strength", {"prediction": [1.0, 0.1]}, "must be [lowest, highest]"),
        ("search.space.scales", [["prediction", "stage4"]], "search.space: strength lacks ['stage4']"),
        (
            "search.space.strength",
            {"prediction": [0.1, 1.0], "stage4": [0.1, 1.0]},
            "strength has ['stage4'], which no set",
        ),
        ("search.space.scales", [["prediction"], ["prediction"]], "scales must not repeat a set"),
        ("search.space.variant", ["single", "paper"], "regularized_dropout has variant single and estimator first_or"),
        ("evaluate.window", [64, 96], "evaluate.window is [64, 96], larger than the images of data.size, [64, 80]"),
        (
            "evaluate",
            DOCUMENT["evaluate"] | {"window": [32, 40], "specialists": True},
            "evaluate.specialists are scored on whole images: set it to false, or evaluate.window: null",
        ),
        ("search.minutes", 5.0, "search: give either trials or minutes"),
        ("search.trials", None, "search: give either trials or minutes"),
        ("validation.content.warn_px", 2.9, "warn_px must not exceed"),
        ("validation.time.pairs", {"depth": {}}, "validation.time.pairs.depth: give either tolerance_s"),
    ],
)
def test_keys_that_contradict_each_other(path: str, value: Any, fault: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    put(document, path, value)
    assert fault in message(document)


def test_a_number_may_be_whole_and_a_switch_may_not_be_one() -> None:
    document = copy.deepcopy(DOCUMENT)
    put(document, "train.learning_rate", 1)
    assert parse_settings(document).train.learning_rate == 1.0
    put(document, "train.horizontal_flip", 1)
    put(document, "train.steps", 10.0)
    text = message(document)
    assert names(text, "train.horizontal_flip")
    assert names(text, "train.steps")


def test_settings_are_frozen() -> None:
    settings = load_settings(ROOT / "params.yaml")
    with pytest.raises(ValidationError):
        settings.train.steps = 3  # type: ignore[misc]


def test_the_hash_changes_with_any_value_and_with_nothing_else() -> None:
    first = load_settings(ROOT / "params.yaml").hash
    assert parse_settings(dict(reversed(list(DOCUMENT.items())))).hash == first
    document = copy.deepcopy(DOCUMENT)
    put(document, "search.seeds", [12345])
    assert parse_settings(document).hash != first


@pytest.mark.parametrize(
    ("text", "fault"),
    [(None, "is missing"), ("data: [", "is not YAML"), ("data: 1\ndata: 2", "repeats"), ("\x00", "is not YAML")],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str | None, fault: str) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=fault) as caught:
        load_settings(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_factors_of_scales_may_be_whole_numbers(tmp_path: Path) -> None:
    text = (
        (ROOT / "params.yaml").read_text().replace("scales: [prediction]  ", "scales: {prediction: 1, stage4: 0.5}  ")
    )
    (tmp_path / "params.yaml").write_text(text)
    found = load_settings(tmp_path / "params.yaml").regularizer
    assert found.strengths == {"prediction": found.strength, "stage4": 0.5 * found.strength}


def test_scales_share_the_strength_or_have_factors_of_their_own() -> None:
    settings = load_settings(ROOT / "params.yaml").regularizer
    alike = settings.model_copy(update={"strength": 0.2, "scales": ["prediction", "stage4"]})
    assert alike.strengths == {"prediction": 0.2, "stage4": 0.2}
    assert name_scales(alike.scales) == "prediction+stage4"
    own = settings.model_copy(update={"strength": 0.2, "scales": {"prediction": 1.0, "stage4": 0.5}})
    assert own.strengths == {"prediction": 0.2, "stage4": 0.1}
    assert name_scales(own.scales) == "prediction+0.5 stage4"
