"""The model card: what a packaged model is, what it was trained on, how it scores, and what it is not good for."""

from collections.abc import Iterator, Sequence

from sensorproof.documents import Evaluation
from sensorproof.models import ModelDescription
from sensorproof.registration.results import Run

_STATISTICS = {
    "dataset": "the training frames",
    "frame": "each frame",
    "field": "unlabelled frames of the field",
}
"""{how a sensor's images are standardised: whose statistics these are}."""


def write_card(run: Run, description: ModelDescription, evaluation: Evaluation) -> str:
    """Write the model card of one training, as Markdown.

    Args:
        run: the training with its scores on the test split.
        description: the model's sensors, classes and size.
        evaluation: the data, the settings and the search that the training comes from.
    """
    scores = run.scores
    parts = [
        f"# Segmentation with missing sensors: arm {scores.arm}, seed {scores.seed}",
        "The model labels each pixel of a frame from any non-empty subset of its sensors.",
        *_model(run, description),
        *_training(run, evaluation),
        *_scores(run),
        *_limits(run, description),
        "## Licence",
        "The code in this package is under the MIT licence. The weights were made from the data named above: whoever "
        "passes them on has to keep to the terms of these data.",
    ]
    return "\n\n".join(parts) + "\n"


def _model(run: Run, description: ModelDescription) -> Iterator[str]:
    """Yield what the model takes and gives."""
    height, width = description.size
    yield "## Model"
    yield (
        f"SegFormer `{description.backbone}`, {run.scores.parameters:,} parameters. Images are resized to {height} x "
        f"{width} pixels; labels come back at the size of the sensor `{description.reference}`, or of the largest one "
        f"where it is missing. SHA-256 of the files of the model folder: `{run.scores.model_sha256}`."
    )
    rows = [
        (
            name,
            sensor.kind,
            str(sensor.channels),
            f"{sensor.range[0]:g} to {sensor.range[1]:g}",
            _or_none(sensor.nodata),
            _STATISTICS[sensor.standardize],
        )
        for name, sensor in sorted(description.sensors.items())
    ]
    yield _table(("sensor", "kind", "channels", "range", "value of empty pixels", "standardised by"), rows)
    yield "Classes: " + ", ".join(f"{each.id} {each.name}" for each in description.classes) + "."


def _training(run: Run, evaluation: Evaluation) -> Iterator[str]:
    """Yield what the model was trained on, and with which settings."""
    data, frames = evaluation.data, evaluation.data.frames
    commit = evaluation.git_commit
    regularizer = ", ".join(f"{name} {value}" for name, value in run.training.regularizer.model_dump().items())
    yield "## Training"
    yield _list(
        f"Data: {', '.join(data.batches)}; DVC hash `{data.hash}`. "
        "To get them back: `git checkout` the commit, then `dvc checkout` or `dvc pull`.",
        f"Frames: {frames.train} to train on, {frames.val} for validation, {frames.test} to test; "
        f"{frames.quarantined} in quarantine.",
        f"Code: git commit `{commit}`." if commit else "Code: no git commit was known.",
        f"Settings: SHA-256 `{evaluation.params_hash}`; the regulariser's: {regularizer}.",
        f"Search: {evaluation.search.trials} trials on validation data.",
        "Gates, approval and history: `sensorproof registry lineage`, and the version's page in MLflow.",
    )


def _scores(run: Run) -> Iterator[str]:
    """Yield the scores with every subset."""
    scores = run.scores
    yield "## Scores"
    yield (
        f"mIoU in points on the test split, of this very model: {scores.full:.1f} with all sensors, {scores.mean:.1f} "
        f"on average over all subsets, {scores.worst:.1f} with the worst."
    )
    ordered = sorted(scores.subsets.items(), key=lambda item: (item[0].count("+"), item[0]))
    yield _table(("sensors", "mIoU"), [(name, f"{score:.1f}") for name, score in ordered])


def _limits(run: Run, description: ModelDescription) -> Iterator[str]:
    """Yield what the scores do not show."""
    unseen = sorted(name for name, pixels in run.scores.support.items() if not pixels)
    weakest = min(run.scores.subsets, key=lambda name: run.scores.subsets[name])
    yield "## Limits"
    yield _list(
        "The scores hold for data like the test split. Other places, seasons and rigs have to be measured.",
        *_silent_limits(run),
        f"It is at its worst with {weakest} and no other sensor.",
        "Each frame is labelled by itself; nothing is carried over from the frames before.",
        *([f"The test split has no pixel of {', '.join(unseen)}."] if unseen else []),
        f"It knows the {len(description.classes)} classes above and gives each pixel one of them.",
    )


def _silent_limits(run: Run) -> Iterator[str]:
    """Yield what is known of sensors that fail without saying so."""
    yield "A missing sensor was declared missing."
    silent = run.scores.silent
    if silent is None:
        yield "Sensors that fail without saying so (black, frozen, displaced) were not part of these scores."
        return
    name, kind, short = silent.worst
    alarms = silent.false_alarms
    yield (
        f"While a sensor fails without saying so, the model scores {silent.mean:.1f} on average over all sensors and "
        f"{len(next(iter(silent.sensors.values())).failures)} failures, with its monitor (`monitor.json`). The worst "
        f"case, {name} {kind.replace('_', ' ')}, lies {max(short, 0):.1f} points below the better of declaring the "
        f"sensor absent and believing it. The monitor left out {alarms.alarms} of {alarms.images} images of sound "
        "sensors."
    )


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _list(*items: str) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *rows))
