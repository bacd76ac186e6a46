"""`sensorproof bench …`: what the project claims of its speed and its measures, measured on the spot."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sensorproof.cli.bench_search import search
from sensorproof.files import write_json

app = typer.Typer(no_args_is_help=True, help="Measure what the project claims.")
app.command()(search)
_Json = Annotated[Path | None, typer.Option("--json", help="write the figures to this file as well")]


def report(figures: dict[str, Any], json: Path | None) -> None:
    """Print {name of the measure: figure}, and write it where asked."""
    for name, value in figures.items():
        print(f"{name:<48} {value:>12.4g}" if isinstance(value, float) else f"{name:<48} {value:>12}")
    if json is not None:
        write_json(json, figures)


@app.command()
def alignment(json: _Json = None) -> None:
    """Speed and memory of validation: registration against scikit-image, 10,000 rows judged, memory per frame."""
    from sensorproof.benchmarks.alignment import bench_alignment

    report(bench_alignment(), json)


@app.command()
def faults(
    batches: Annotated[list[Path], typer.Argument(help="folders of batches that are sound")],
    json: _Json = None,
    frames: Annotated[int | None, typer.Option(help="only the first frames of each batch", min=24)] = None,
) -> None:
    """Measure detection and false alarms with known faults; print the table of docs/explanation/alignment.md."""
    from sensorproof.benchmarks.fault_summary import summary
    from sensorproof.benchmarks.faults import bench_faults

    outcomes = bench_faults(batches, frames)
    print(summary(outcomes))
    if json is not None:
        write_json(json, [vars(outcome) for outcome in outcomes])


@app.command()
def regularizer(json: _Json = None) -> None:
    """Step time and memory of every arm and of the exact forms as ratios to the plain step."""
    from sensorproof.benchmarks.regularizer import bench_regularizer
    from sensorproof.settings import load_settings

    settings = load_settings()
    report(dict(bench_regularizer(settings.regularizer, settings.train.class_balance)), json)


@app.command()
def sensor(
    json: _Json = None,
    kind: Annotated[list[str] | None, typer.Option(help="noise, constant or half_broken; else all")] = None,
    name: Annotated[str, typer.Option("--set", help="data set of `compare` in params.yaml")] = "embedded",
    root: Annotated[Path, typer.Option(help="folder of `sensorproof compare`")] = Path("artifacts/compare"),
    workers: Annotated[int | None, typer.Option(min=1, help="processes; else one for each processor")] = None,
) -> None:
    """Measure what adding a sensor of noise, of a constant, or a half-broken one does to the full score."""
    from sensorproof.benchmarks.added_sensor import KINDS, bench_added_sensor
    from sensorproof.errors import UsageError
    from sensorproof.settings import load_settings

    settings = load_settings()
    each = next((each for each in settings.compare.datasets if each.name == name), None)
    if each is None:
        raise UsageError("--set", f"{name} is unknown", "see compare.datasets in params.yaml")
    if unknown := sorted(set(kind or ()) - set(KINDS)):
        raise UsageError("--kind", f"{unknown} are unknown", f"choose from {', '.join(KINDS)}")
    chosen = [k for k in KINDS if not kind or k in kind]
    gains = bench_added_sensor(each, settings, root, workers or os.cpu_count() or 1, chosen, partial(print, flush=True))
    for key, gain in gains.items():
        ends = ", ".join("none" if end is None else f"{end:+.2f}" for end in gain.ci95)
        print(f"{key:<24} {gain.value:+6.2f}  [{ends}]")
    if json is not None:
        write_json(json, {key: gain.to_json() for key, gain in gains.items()})


@app.command()
def serving(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    batch: Annotated[Path, typer.Argument(help="folder of a batch with the model's sensors")],
    json: _Json = None,
    frames: Annotated[int, typer.Option(min=1, help="frames to compare, spread evenly")] = 16,
    split: Annotated[str | None, typer.Option(help="only frames of this split in frames.csv")] = None,
) -> None:
    """Compare HTTP, pyfunc, ONNX and torch.export with torch: labels for every subset, and the time of a frame."""
    from sensorproof.benchmarks.serving import bench_serving
    from sensorproof.data.batch import read_batch

    report(bench_serving(model, read_batch(batch), frames, split), json)


@app.command()
def evaluation(json: _Json = None) -> None:
    """Time of scoring all 15 subsets of four sensors, as a multiple of one pass with all of them; the goal is 3."""
    from sensorproof.benchmarks.evaluation import bench_evaluation

    report(dict(bench_evaluation()), json)


@app.command()
def training(
    json: _Json = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1")] = "auto",
    sensors: Annotated[int, typer.Option(min=1, help="sensors of three channels")] = 4,
    side: Annotated[int, typer.Option(min=32, help="height and width of the images in pixels")] = 1024,
    backbone: Annotated[str, typer.Option(help="tiny, mit_b0 … mit_b5")] = "mit_b0",
    samples: Annotated[int, typer.Option(min=1, help="frames of a step")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="steps of each kind")] = 20,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "bfloat16",
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="torch.compile")] = True,
) -> None:
    """Frames per second, memory and share of the device's peak of training at size, against a plain float32 loop."""
    from sensorproof.benchmarks.training import Workload, bench_training
    from sensorproof.errors import UsageError
    from sensorproof.models.segmenter import BACKBONES
    from sensorproof.settings import load_settings
    from sensorproof.training.step import TYPES

    for option, value, known in (("--backbone", backbone, BACKBONES), ("--precision", precision, TYPES)):
        if value not in known:
            raise UsageError(option, f"{value} is unknown", f"choose from {', '.join(known)}")
    settings = load_settings()
    changes = {"precision": precision, "compile": compiled, "channels_last": True}
    work = Workload(sensors=sensors, size=(side, side), backbone=backbone, samples=samples, rounds=rounds)
    report(bench_training(work, settings.train.model_copy(update=changes), settings.regularizer, device), json)


@app.command()
def ingest(
    json: _Json = None,
    frames: Annotated[int, typer.Option(min=32, help="large frames to validate and prepare")] = 1000,
    side: Annotated[int, typer.Option(min=64, help="their height and width in pixels")] = 1024,
    small: Annotated[int, typer.Option(min=100, help="frames of 48 x 64 to ingest")] = 10_000,
) -> None:
    """Time validation, preparation and ingestion on one and two processes and against plain DVC, with peak memory."""
    from sensorproof.benchmarks.ingest import bench_ingest

    report(bench_ingest(frames, side, small), json)


@app.command()
def retraining(json: _Json = None) -> None:
    """Time what Prefect and DVC add to the stages of a retraining, with a Prefect server and without."""
    from sensorproof.benchmarks.retraining import bench_retraining

    report(bench_retraining(partial(print, flush=True)), json)


@app.command()
def silent(
    model: Annotated[str, typer.Argument(help="a model folder, or models:/sensorproof@champion")],
    batch: Annotated[Path, typer.Argument(help="folder of a batch with labels")],
    json: _Json = None,
    split: Annotated[str | None, typer.Option(help="only frames of this split in frames.csv")] = None,
    further: Annotated[bool, typer.Option("--further", help="failures that the monitor was not made with")] = False,
) -> None:
    """Break each sensor in each way without saying so: scores with and without the monitor, false alarms, time."""
    from sensorproof.benchmarks.silent import bench_silent, goals, table
    from sensorproof.data.batch import read_batch
    from sensorproof.loading import load_model

    scores, share = bench_silent(load_model(model), read_batch(batch), split, further=further)
    print(table(scores), "", *(f"- {line}" for line in goals(scores, share)), sep="\n")
    if json is not None:
        write_json(json, {**scores.to_json(), "time": share})
