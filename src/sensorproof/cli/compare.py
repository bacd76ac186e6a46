"""`sensorproof compare`: the regulariser beside its rivals, in one table."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer


def compare(
    json: Annotated[Path | None, typer.Option("--json", help="write {data set: arms} here")] = None,
    table: Annotated[Path | None, typer.Option(help="write the tables here, as Markdown")] = None,
    only: Annotated[list[str] | None, typer.Option(help="data sets to run; else all of params.yaml that exist")] = None,
    root: Annotated[Path, typer.Option(help="folder for arrays and single results")] = Path("artifacts/compare"),
    workers: Annotated[int | None, typer.Option(min=1, help="processes; else one for each processor")] = None,
) -> None:
    """Train every arm on every data set of `compare` in params.yaml, paired by seed, and print the tables."""
    from sensorproof.compare import compare_dataset
    from sensorproof.errors import UsageError
    from sensorproof.files import write_json, write_text
    from sensorproof.reporting.comparison import comparison_table
    from sensorproof.settings import load_settings

    settings = load_settings()
    names = [each.name for each in settings.compare.datasets]
    if unknown := sorted(set(only or ()) - set(names)):
        raise UsageError("--only", f"{unknown} are unknown", f"compare.datasets of params.yaml has {names}")
    wanted = [each for each in settings.compare.datasets if not only or each.name in only]
    there = [each for each in wanted if any(Path(each.raw).glob("*/batch.yaml"))]
    for each in wanted:
        if each not in there:
            print(f"{each.name}: {each.raw} holds no batch, left out")
    if not there:
        raise UsageError("compare.datasets", "none of them has data", "make one: `sensorproof simulate` or `import`")
    found: dict[str, Any] = {}
    for each in there:
        found[each.name] = compare_dataset(
            each, settings, root, workers or os.cpu_count() or 1, lambda s: print(s, flush=True)
        )
        if json is not None:
            write_json(json, found)
    text = "\n\n".join(comparison_table(each, found[each.name], settings.compare) for each in there) + "\n"
    print(text)
    if table is not None:
        write_text(table, text)
