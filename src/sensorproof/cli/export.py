"""`sensorproof export`: a model for other runtimes."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(help="a model folder, or models:/sensorproof@champion")],
    out: Annotated[Path, typer.Argument(help="folder to write to; new or empty")],
    format: Annotated[str, typer.Option(help="onnx or torch")] = "onnx",
) -> None:
    """Write the model as ONNX or as a `torch.export` program, with model.json and an example that runs it."""
    from sensorproof.loading import load_model
    from sensorproof.serving.export import check_target, export_model

    kind = format.lower()
    check_target(out, kind)
    print(export_model(load_model(model, "cpu"), out, kind))
