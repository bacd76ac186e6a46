"""Fetch the champion that a candidate is to be fine-tuned from, and check that this may be done."""

import shutil
import tempfile
from pathlib import Path

from sensorproof.adapters.mlflow import connect
from sensorproof.adapters.mlflow_champion import champion_search
from sensorproof.adapters.mlflow_registry import CHAMPION, MODEL, Registry, Version
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import ChampionStart, Evaluation
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.evaluation.comparison import sequences_of
from sensorproof.models.storage import load_description
from sensorproof.promotion.comparison import fetch_evaluation
from sensorproof.serving.package import hash_model
from sensorproof.serving.rescore import check_comparable
from sensorproof.settings import RegularizerSettings, Settings
from sensorproof.settings.data import Standardization
from sensorproof.settings.strict_model import validate_document

_FIX = "set retraining.mode: all"
_NAMED = 3
"""So many sequences are named."""


def fetch_champion(into: Path, data: PreparedDataset, settings: Settings) -> ChampionStart:
    """Copy the present champion's model folder, and say what it was trained with and on.

    Args:
        into: where its folder is put.
        data: what the candidate will be trained and scored on.
        settings: the candidate's arm, backbone and losses.

    Raises:
        UsageError: there is no champion, or no registry.
        RejectedError: its files are not those that were registered.
        SensorproofError: it does not fit the data or the settings, or it has been trained on frames of the hold-out.
    """
    try:
        with connect(create=False) as connection:
            registry = Registry(connection)
            champion = registry.with_alias(CHAMPION)
            if champion is None:
                raise UsageError(f"models:/{MODEL}@{CHAMPION}", "there is no champion to fine-tune", _FIX)
            evaluation = fetch_evaluation(registry, champion)
            search = champion_search(connection)
            with tempfile.TemporaryDirectory() as folder:
                model = registry.fetch(champion, Path(folder))
                standardize = _check_model(champion, model, data, settings)
                shutil.copytree(model, into)
    except SensorproofError as error:
        if error.where == "mlflow.db":  # nothing was registered yet
            raise UsageError(error.where, "does not exist, so there is no champion to fine-tune", _FIX) from error
        raise
    _check_holdout(champion, evaluation, data)
    trial = None if search is None else search.chosen_trial
    balances = (evaluation.fine_tuning, trial, settings.train)
    return ChampionStart(
        version=champion.number,
        model_sha256=hash_model(into),
        arm=champion.arm,
        regularizer=_regularizer(champion, evaluation),
        class_balance=next(each.class_balance for each in balances if each is not None),
        standardize=standardize,
        trained_on=evaluation.data.trained_on,
    )


def _name(champion: Version) -> str:
    return f"champion version {champion.number}"


def _check_model(
    champion: Version, model: Path, data: PreparedDataset, settings: Settings
) -> dict[str, Standardization]:
    """Check that the candidate would be of the same arm and network, for the same sensors, classes and size.

    Returns:
        {sensor: how its inputs are standardised}.
    """
    description = load_description(model)
    try:
        check_comparable(description, data.meta)
    except SensorproofError as error:
        raise SensorproofError(_name(champion), f"cannot be fine-tuned: {error.fault}", _FIX) from error
    standardize: dict[str, Standardization] = {}
    for name, sensor in description.sensors.items():
        if sensor.standardize == "field":
            fault = f"cannot be fine-tuned: its {name} is standardised by the frames of a field, not by training frames"
            raise SensorproofError(_name(champion), fault, _FIX)
        standardize[name] = sensor.standardize
    for key in ("backbone", "decoder_channels"):
        theirs, ours = getattr(description, key), getattr(settings.model, key)
        if theirs != ours:
            fault = f"cannot be fine-tuned: its {key} is {theirs}, model.{key} is {ours}"
            raise SensorproofError(_name(champion), fault, _FIX)
    if champion.arm != settings.promotion.candidate:
        fault = f"cannot be fine-tuned: its arm is {champion.arm}, the candidate's {settings.promotion.candidate}"
        raise SensorproofError(_name(champion), fault, _FIX)
    return standardize


def _check_holdout(champion: Version, evaluation: Evaluation, data: PreparedDataset) -> None:
    """Check that the champion has never been trained on what the candidate will be scored on."""
    seen = evaluation.data.trained_on
    if not seen:
        raise SensorproofError(_name(champion), "cannot be fine-tuned: what it was trained on is not recorded", _FIX)
    shown = sorted(set(seen) & set(sequences_of(data, "test")))
    if shown:
        more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
        fault = f"was trained on sequences of the present hold-out: {', '.join(shown[:_NAMED])}{more}"
        raise SensorproofError(_name(champion), fault, f"{_FIX}, or restore data.split")


def _regularizer(champion: Version, evaluation: Evaluation) -> RegularizerSettings:
    """Return the settings that the champion was trained with."""
    return validate_document(
        RegularizerSettings, evaluation.search.best, f"evaluation of {_name(champion)}", SensorproofError, _FIX
    )
