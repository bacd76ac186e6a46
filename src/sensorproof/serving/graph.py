"""A model as one graph for other runtimes: the sensors' own units in, logits out, at any size and from any subset."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch._dynamo.config as dynamo
import torch.fx.experimental._config as symbolic
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.functional import interpolate
from torch.utils._sympy.value_ranges import ValueRanges

from sensorproof.data.metadata import SensorInput
from sensorproof.data.preprocessing import LARGEST_FLOAT16, standardize_frames
from sensorproof.models import ModelDescription, Segmenter

PRESENT = "present"
"""The last input."""
OUTPUTS = ("logits", "coarse_logits")
_ASSERTIONS = (torch.ops.aten._assert_scalar.default, torch.ops.aten._assert_tensor_metadata.default)
_SHORTEST_TRACED = 65
"""Shortest side while tracing. Of shorter ones, deep features have one pixel, and torch would trace them apart."""
_TRACED = (2, 100, 140)
"""Batch, height and width while tracing."""


class _Normalizer(nn.Module):
    """Scale, round and standardise a sensor as `data.preprocessing` does."""

    low: Tensor
    span: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, sensor: SensorInput) -> None:
        super().__init__()
        low, high = sensor.range
        self.stored: torch.dtype = getattr(torch, sensor.stored)
        self.nodata, self.by_frame = sensor.nodata, sensor.standardize == "frame"
        for name, values in {"low": [low], "span": [high - low], "mean": sensor.mean, "std": sensor.std}.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (B, C, H, W) in the sensor's own units to standardised values; invalid pixels become 0."""
        scaled = (pixels - self.low) / self.span
        valid = scaled.abs() <= LARGEST_FLOAT16  # false of NaN and infinity
        if self.nodata is not None:
            valid = valid & (pixels != self.nodata).any(1, keepdim=True)
        rounded = scaled.to(self.stored).float()
        if self.by_frame:
            return standardize_frames(rounded, valid)
        standardized = (rounded - self.mean) / self.std
        return torch.where(valid, standardized, torch.zeros_like(standardized))


class Graph(nn.Module):
    """What is exported: normalisation and network.

    Args:
        model: the network.
        description: its sensors.
    """

    def __init__(self, model: Segmenter, description: ModelDescription) -> None:
        super().__init__()
        self.model = model
        self.normalizers = nn.ModuleList(_Normalizer(description.sensors[name]) for name in model.sensors)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Segment a batch.

        Args:
            inputs: (B, C, H, W) float32 of each sensor, sorted by name, in its own units and of the same size. Last,
                which samples have which sensor, (B, M) bool. What an absent sensor holds does not matter.

        Returns:
            Logits (B, K, H, W), and those that they were enlarged from, (B, K, H / 4, W / 4) rounded up.
        """
        *images, present = inputs
        names = self.model.sensors
        pixels = {name: step(x) for name, step, x in zip(names, self.normalizers, images, strict=True)}
        here = {name: present[:, i] for i, name in enumerate(names)}
        coarse = self.model.decode_coarsely(self.model.encode(pixels), here)
        logits = interpolate(coarse, size=images[0].shape[-2:], mode="bilinear", align_corners=False)
        return logits, coarse


@contextlib.contextmanager
def open_sizes() -> Iterator[None]:
    """Let torch treat a length that it does not know as neither 0 nor 1.

    The cache that is switched off has keys that hold the symbols of all lengths, and takes longer than it saves.
    """
    with (
        symbolic.patch(backed_size_oblivious=True),  # type: ignore[attr-defined]
        dynamo.patch(fake_tensor_cache_enabled=False),
    ):
        yield


def trace(model: Segmenter, description: ModelDescription) -> ExportedProgram:
    """Trace a model on the CPU, in evaluation mode, inside `open_sizes`; batch, height and width stay open."""
    batch, *sides = _TRACED
    open_sides = {2: Dim("height", min=_SHORTEST_TRACED), 3: Dim("width", min=_SHORTEST_TRACED)}
    dynamic: dict[int, Any] = {0: Dim("batch"), **open_sides}
    images = [torch.zeros(batch, description.sensors[name].channels, *sides) for name in model.sensors]
    present = torch.ones(batch, len(images), dtype=torch.bool)
    with torch.no_grad():
        program = torch.export.export(
            Graph(model, description).eval(),
            (*images, present),
            dynamic_shapes=((*[dynamic] * len(images), {0: dynamic[0]}),),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    _forget_example(program)
    return program


def _forget_example(program: ExportedProgram) -> None:
    """Remove what tracing noted of the sizes that it saw, the example itself, and paths of this machine.

    The notes on sizes tell features of one pixel from larger ones. The operations are the same for both.
    """
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        node.meta.pop("stack_trace", None)
        if node.target in _ASSERTIONS:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    for symbol, limits in program.range_constraints.items():
        program.range_constraints[symbol] = ValueRanges(1, limits.upper)
    program._example_inputs = None
