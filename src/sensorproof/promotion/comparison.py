"""Score a version and the champion of now on one hold-out, and evaluate the version's gates."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.dvc import locked_hash
from sensorproof.adapters.mlflow_registry import MODEL, Registry, Version
from sensorproof.adapters.mlflow_runs import fetch_json
from sensorproof.documents import Evaluation, HoldoutRecord
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.gates import ChampionTrial, Gate, evaluate_gates
from sensorproof.serving.package import hash_model
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.data.dataset import PreparedDataset

OpenData = Callable[[], "PreparedDataset"]
"""Opens the prepared data. It is called only where the evaluation is complete, because torch loads slowly."""
_NAMED = 3
"""So many sequences are named."""


@dataclass(frozen=True)
class Judgement:
    """The gates of a version, and the frames that it was scored on; None where it was not scored."""

    gates: list[Gate]
    holdout: HoldoutRecord | None
    skipped: tuple[str, ...] = ()
    """What was not compared, and why."""


def evaluate_version(
    registry: Registry,
    version: Version,
    model: Path,
    evaluation: Evaluation,
    settings: Settings,
    champion: Version | None,
    open_data: OpenData,
) -> Judgement:
    """Evaluate all gates of a version.

    Where there is another champion, both are scored here and now, on the same frames and by the same code. A champion
    has nothing to win against itself: it is judged as the first model is.

    Args:
        registry: where the champion is fetched from, which checks its hash.
        version: the candidate.
        model: its model folder, whose hash was checked.
        evaluation: the candidate's.
        settings: the thresholds, device and batch size.
        champion: the present one, or None.
        open_data: opens the data that both are scored on.
    """
    skipped = () if evaluation.fine_tuning is None else (evaluation.fine_tuning.describe(),)
    rival = None if champion is None or champion.number == version.number else champion
    if not evaluate_gates(evaluation, settings.promotion, None)[0].passed:
        trial = ChampionTrial(rival.number) if rival else None
        return Judgement(evaluate_gates(evaluation, settings.promotion, trial, []), None, skipped)
    from sensorproof.data.holdout import hash_holdout

    try:
        data = open_data()
        holdout = HoldoutRecord(hash=hash_holdout(data), frames=len(data.rows("test")))
    except (SensorproofError, OSError) as error:
        trial = ChampionTrial(rival.number, fault="see data") if rival else None
        faults = [f"the prepared data cannot be read: {_describe(error)}"]
        return Judgement(evaluate_gates(evaluation, settings.promotion, trial, faults), None, skipped)
    faults = _find_data_faults(evaluation, settings, holdout)
    if hash_model(model) != version.tags.get(tag.MODEL_HASH):
        faults.append("its model folder is not the one that was registered")
    trial = None
    if rival is not None:
        faults += _find_shown_sequences(registry, rival, data)
        trial = _try_against(registry, rival, model, data, settings, holdout.hash)
    return Judgement(evaluate_gates(evaluation, settings.promotion, trial, faults), holdout, skipped)


def _try_against(
    registry: Registry, champion: Version, model: Path, data: "PreparedDataset", settings: Settings, holdout: str
) -> ChampionTrial:
    """Score candidate and champion, and time them in turns. An error becomes the fault of the trial."""
    from sensorproof.evaluation.paired import compare_sides
    from sensorproof.serving import rescore
    from sensorproof.serving.cost import compare_cost

    try:
        with tempfile.TemporaryDirectory() as folder:
            other = registry.fetch(champion, Path(folder))
            theirs = rescore.recount(other, data, settings, holdout)
            try:
                ours = rescore.recount(model, data, settings, holdout)
            except SensorproofError as error:
                return ChampionTrial(champion.number, fault=f"the candidate cannot be scored: {_describe(error)}")
            comparison = compare_sides([ours], [theirs], settings, fixed_models=True)
            ratio, parameters = compare_cost(model, other, data, settings)
            mine, silent = rescore.recount_silent(model, data, settings), None
            if mine is not None and (champions := rescore.recount_silent(other, data, settings)) is not None:
                silent = mine, champions
        return ChampionTrial(champion.number, comparison, ratio, parameters, silent)
    except SensorproofError as error:
        return ChampionTrial(champion.number, fault=_describe(error))


def _find_data_faults(evaluation: Evaluation, settings: Settings, holdout: HoldoutRecord) -> list[str]:
    """List why the evaluation does not speak of the present data."""
    present, then = locked_hash("prepare", settings.data.raw), evaluation.data.hash
    faults = []
    if present != then:
        faults.append(f"it was evaluated on data {then[:12]}, the present data are {present[:12]}")
    judged = evaluation.comparison or evaluation.fine_tuning
    if judged is not None and judged.holdout != holdout:
        scored = judged.holdout
        faults.append(
            f"it was evaluated on a hold-out of {scored.frames} frames ({scored.hash[:12]}), the present one has "
            f"{holdout.frames} ({holdout.hash[:12]})"
        )
    return faults


def _find_shown_sequences(registry: Registry, champion: Version, data: "PreparedDataset") -> list[str]:
    """Say which sequences of the hold-out the champion was trained on, and the candidate was not.

    A new batch moves no old frames to another split, but other settings, or a batch that was recorded earlier, can.
    What a champion of an earlier version was trained on is not known; then nothing is said.
    """
    from sensorproof.evaluation.comparison import sequences_of

    try:
        seen = set(fetch_evaluation(registry, champion).data.trained_on)
    except SensorproofError:
        return []
    shown = sorted(seen & set(sequences_of(data, "test")) - set(sequences_of(data, "train")))
    if not shown:
        return []
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    listed = ", ".join(shown[:_NAMED])
    return [f"champion version {champion.number} was trained on sequences of the hold-out: {listed}{more}"]


def _describe(error: Exception) -> str:
    """Return an error without its fix."""
    return f"{error.where}: {error.fault}" if isinstance(error, SensorproofError) else str(error)


def fetch_evaluation(registry: Registry, version: Version) -> Evaluation:
    """Fetch the evaluation that a version was registered with."""
    run, name = version.tags.get(tag.RUN_PARENT), "evaluation.json"
    if run is None:
        fault = f"has no tag {tag.RUN_PARENT}, so its evaluation cannot be found"
        raise SensorproofError(f"{MODEL} version {version.number}", fault, "register its model with `dvc repro`")
    return Evaluation.parse(fetch_json(registry.connection, run, name), f"{name} of MLflow run {run}")
