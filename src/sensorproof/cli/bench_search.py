"""`sensorproof bench search`: what the search brings and costs."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from sensorproof.settings import Settings

Part = Literal["gain", "pruning", "workers", "kills"]


def search(
    part: Annotated[Part, typer.Argument(help="gain, pruning, workers or kills")],
    json: Annotated[Path | None, typer.Option("--json", help="write the figures to this file as well")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="trials of a search; else search.trials")] = None,
    seeds: Annotated[int, typer.Option(min=2, help="seeds of the trainings that are scored on test")] = 5,
    kills: Annotated[int, typer.Option(min=1, help="workers to kill")] = 10,
    root: Annotated[Path, typer.Option(help="folder for results")] = Path("artifacts/bench-search"),
) -> None:
    """Measure the search on the project's prepared data: gain on test, steps saved, workers, killed workers."""
    from sensorproof.files import write_json
    from sensorproof.settings import load_settings

    settings = load_settings()
    wanted = trials or settings.search.trials or 8
    own = settings.search.model_copy(update={"trials": wanted, "minutes": None, "workers": 1})
    figures = measure(part, settings.model_copy(update={"search": own}), seeds, kills, root)
    for name, value in figures.items():
        print(f"{name:<48} {value if isinstance(value, str) else format(value, '.4g'):>12}")
    if json is not None:
        write_json(json, figures)


def measure(part: Part, settings: "Settings", seeds: int, kills: int, root: Path) -> dict[str, Any]:
    """Return {name of the measure: figure}."""
    from sensorproof.benchmarks import search as bench

    report = partial(print, flush=True)
    if part == "gain":
        result, gains = bench.bench_gain(settings, range(seeds), root, report)
        figures: dict[str, Any] = {"trials": len(result.trials), "chosen": str(result.chosen)}
        figures["strength"] = result.best.strength
        for name in ("mean", "full", "worst"):
            gain = gains.figure(name)
            figures |= {f"gain in {name}": gain.value, f"gain in {name}, low": gain.ci95[0] or 0.0}
            figures[f"gain in {name}, high"] = gain.ci95[1] or 0.0
        low = gains.mean.ci95[0]
        figures["beats the hand-set settings"] = "yes" if low is not None and low > 0 else "no"
        return figures
    if part == "pruning":
        saved = bench.bench_pruning(settings, root, report)
        return {
            "steps with early stops": saved.steps,
            "steps without": saved.full_steps,
            "share of the steps": saved.share,
            "best score with early stops": saved.best,
            "best score without": saved.full_best,
            "best score lost": saved.full_best - saved.best,
        }
    if part == "workers":
        speeds = bench.bench_workers(settings, root, report)
        return {f"trials a minute, {n} workers": speed for n, speed in speeds.items()} | {
            "ratio": speeds[2] / speeds[1]
        }
    result = bench.bench_kills(settings, kills, root, report)
    numbers = [trial.number for trial in result.trials]
    return {
        "trials": len(numbers),
        "lost or counted twice": abs(len(numbers) - (settings.search.trials or 0)) + len(numbers) - len(set(numbers)),
        "failed": sum(trial.outcome == "failed" for trial in result.trials),
    }
