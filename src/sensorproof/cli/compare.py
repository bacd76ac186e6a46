"""`sensorproof compare`: the regulariser beside the competing methods, in one table."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sensorproof.documents import ComparedArm


def compare(
    json: Annotated[Path | None, typer.Option("--json", help="write {data set: arms} here")] = None,
    table: Annotated[Path | None, typer.Option(help="write the tables here, as Markdown")] = None,
    only: Annotated[list[str] | None, typer.Option(help="data sets to run; else all of params.yaml that exist")] = None,
    root: Annotated[Path, typer.Option(help="folder for arrays and single results")] = Path("artifacts/compare"),
    specialists: Annotated[
        bool, typer.Option("--specialists", help="also train a plain model for every subset, as reference")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; else one for each processor")] = None,
) -> None:
    """Train every arm on every data set of `compare` in params.yaml, paired by seed, and print the tables."""
    from sensorproof.compare.dataset import compare_dataset
    from sensorproof.errors import UsageError
    from sensorproof.files import write_json, write_text
    from sensorproof.reporting.comparison import comparison_table
    from sensorproof.settings import load_settings

    settings = load_settings()
    names = [dataset.name for dataset in settings.compare.datasets]
    if unknown := sorted(set(only or ()) - set(names)):
        raise UsageError("--only", f"{unknown} are unknown", f"compare.datasets of params.yaml has {names}")
    wanted = [dataset for dataset in settings.compare.datasets if not only or dataset.name in only]
    available = [dataset for dataset in wanted if any(Path(dataset.raw).glob("*/batch.yaml"))]
    for dataset in wanted:
        if dataset not in available:
            print(f"{dataset.name}: {dataset.raw} holds no batch, left out")
    if not available:
        fix = "make data: `sensorproof simulate` or `import`"
        raise UsageError("compare.datasets", "none of the data sets has data", fix)
    results: dict[str, dict[str, ComparedArm]] = {}
    for dataset in available:
        report = partial(print, flush=True)
        results[dataset.name] = compare_dataset(
            dataset, settings, root, workers or os.cpu_count() or 1, report, specialists=specialists
        )
        if json is not None:
            documents = {name: {arm: s.to_json() for arm, s in arms.items()} for name, arms in results.items()}
            write_json(json, documents)
    tables = [comparison_table(dataset, results[dataset.name], settings.compare) for dataset in available]
    text = "\n\n".join(tables) + "\n"
    print(text)
    if table is not None:
        write_text(table, text)
