"""Models that are not ours, written as their users have them: a module, an ONNX file, an MLflow model."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

FUNCTIONS = """
import numpy as np
import torch

LIMIT = 120


def by_camera(images):
    return np.where(images["camera"][0] > LIMIT, 3, 0)


def by_any(images):
    votes = [x for x in (
        images["camera"][0] > LIMIT if "camera" in images else None,
        images["thermal"][0] < 15000 if "thermal" in images else None,
    ) if x is not None]
    sky = np.mean(votes, axis=0) if votes else np.zeros((12, 16))
    return np.stack([1 - sky, sky])


def always_fails(images):
    raise RuntimeError("no GPU\\nand a second line")


class Net(torch.nn.Module):
    def forward(self, inputs):
        sky = (inputs["camera"][:, :1] > LIMIT).float()
        return torch.cat([1 - sky, sky], 1)


net = Net()
"""
"""A module with models for the batches of `helpers.batches`."""
PYFUNC = """
import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        sky = model_input["camera"][:, 0] > 120
        return {"labels": np.where(sky, 3, 0), "score": 1.0}


set_model(Model())
"""
"""An MLflow model as code."""


def write_graph(path: Path, channels: int = 3, height: int | str = "h") -> Path:
    """Write an ONNX graph of two inputs, camera and thermal: logits by the first channel of the camera."""
    claims = {"camera": channels, "thermal": 1}
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, height, "w"]) for n, c in claims.items()]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2, height, "w"])
    constants = [
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("limit", TensorProto.FLOAT, [], [120.0]),
        helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]),
    ]
    nodes = [
        helper.make_node("Gather", ["camera", "first"], ["red"], axis=1),
        helper.make_node("Mul", ["thermal", "nothing"], ["unused"]),
        helper.make_node("Add", ["red", "unused"], ["seen"]),
        helper.make_node("Sub", ["seen", "limit"], ["sky"]),
        helper.make_node("Neg", ["sky"], ["road"]),
        helper.make_node("Concat", ["road", "sky"], ["logits"], axis=1),
    ]
    graph = helper.make_graph(nodes, "by_camera", inputs, [output], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def write_pyfunc(folder: Path, named: bool = False) -> Path:
    """Save an MLflow model as code, with a signature of named tensors if asked."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    code = folder.with_name("pyfunc_code.py")
    code.write_text(PYFUNC)
    specs = [TensorSpec(np.dtype(np.uint8), (-1, 3, -1, -1), "camera")]
    specs.append(TensorSpec(np.dtype(np.float64), (-1, 1, -1, -1), "thermal"))
    mlflow.pyfunc.save_model(
        str(folder), python_model=str(code), signature=ModelSignature(Schema(specs)) if named else None
    )
    return folder
