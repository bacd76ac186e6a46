"""Our SegFormer is that of transformers to the bit: first weights, results, gradients, names."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from transformers import SegformerModel
from transformers.models.segformer.modeling_segformer import SegformerDecodeHead

from helpers.transformers_models import their_config
from sensorproof.models.segformer import DecodeHead, Encoder
from sensorproof.models.segmenter import BACKBONES

DECODER_WIDTH, CLASSES = 16, 5


def same_state(ours: nn.Module, theirs: nn.Module) -> bool:
    mine, other = ours.state_dict(), theirs.state_dict()
    return list(mine) == list(other) and all(torch.equal(mine[name], other[name]) for name in mine)


def our_stages(encoder: Encoder, images: Tensor) -> list[Tensor]:
    stages = []
    for stage in encoder.stages:
        images = stage(stage.patch_embeddings.proj(images)).contiguous()  # in another layout, rounding differs
        stages.append(images)
    return stages


def their_stages(encoder: SegformerModel, images: Tensor) -> list[Tensor]:
    stages = []
    for stage in encoder.stages:
        images = stage(images)
        stages.append(images)
    return stages


@pytest.mark.parametrize("backbone", ["tiny", "mit_b0", "mit_b2"])
def test_the_first_weights_are_drawn_as_there(backbone: str) -> None:
    shape = BACKBONES[backbone]
    config = their_config(shape, DECODER_WIDTH, CLASSES)
    torch.manual_seed(3)
    ours = Encoder(shape), DecodeHead(shape.widths, DECODER_WIDTH, CLASSES), torch.rand(2)
    torch.manual_seed(3)
    theirs = SegformerModel(config), SegformerDecodeHead(config), torch.rand(2)
    assert same_state(ours[0], theirs[0])
    assert same_state(ours[1], theirs[1])
    assert torch.equal(ours[2], theirs[2])  # as many random numbers were drawn


@pytest.mark.parametrize(("backbone", "drop_path"), [("tiny", 0.0), ("mit_b0", 0.4)])
def test_results_and_gradients_are_the_same_in_training(backbone: str, drop_path: float) -> None:
    shape = replace(BACKBONES[backbone], drop_path=drop_path)
    torch.manual_seed(0)
    ours, theirs = Encoder(shape).train(), SegformerModel(their_config(shape)).train()
    theirs.load_state_dict(ours.state_dict())
    found, gradients = [], []
    for model, run in ((ours, our_stages), (theirs, their_stages)):
        torch.manual_seed(1)
        images = torch.rand(3, 3, 64, 96)
        found.append(run(model, images))  # type: ignore[operator]
        sum(stage.square().sum() for stage in found[-1]).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_the_encoder_needs_nothing_of_transformers() -> None:
    """Nor the compiler: importing them takes longer than a short training's other imports together."""
    script = (
        "import sys, torch\n"
        "from sensorproof.models import Segmenter\n"
        "from sensorproof.regularization import FunctionalEntropy\n"
        "from sensorproof.training.loop import build_optimizer\n"
        "model = Segmenter({'camera': 3, 'depth': 1}, 3, 'tiny', 8)\n"
        "inputs = {'camera': torch.rand(2, 3, 32, 32), 'depth': torch.rand(2, 1, 32, 32)}\n"
        "target = torch.zeros(2, 32, 32, dtype=torch.long)\n"
        "optimizer = build_optimizer(model, 0.01, 0.01)\n"
        "term = FunctionalEntropy(strength=0.1)(model, inputs, target)\n"
        "optimizer.zero_grad()\n"
        "term.value.backward()\n"
        "optimizer.step()\n"
        "print(sorted({'transformers', 'torch._dynamo', 'sklearn', 'sympy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
