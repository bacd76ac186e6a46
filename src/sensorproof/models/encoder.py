"""SegFormer's encoder over several sensors, in two thirds of the time.

The modules and their weights are those of transformers, so any SegFormer checkpoint fits; only the order of the work
is our own. A sensor's stem and the first patch embedding are both linear, so one convolution replaces the two.
The gradient with respect to the image between them, which takes most of that embedding's time, is not needed then.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from transformers.models.segformer.modeling_segformer import SegformerDropPath, SegformerStage

from sensorproof.models.shared_layers import DropPath


def build_stem(channels: int) -> nn.Conv2d:
    """Build a 1 x 1 convolution to three channels that starts by copying its inputs, as pretrained weights expect."""
    layer = nn.Conv2d(channels, 3, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()  # type: ignore[union-attr]
        for out in range(3):
            layer.weight[out, out % channels] = 1
    return layer


def draw_paths_for_samples(encoder: nn.Module) -> None:
    """Replace the encoder's stochastic depth by one that knows of shares of a batch; it has no weights."""
    for module in encoder.modules():
        for name, child in module.named_children():
            if isinstance(child, SegformerDropPath):
                setattr(module, name, DropPath(child.drop_prob))


def embed(images: Tensor, stem: nn.Conv2d, patches: nn.Conv2d, inside: Tensor) -> Tensor:
    """Compute `patches(stem(images))` in one convolution.

    Args:
        images: (B, C, H, W).
        stem: the sensor's, C channels to three.
        patches: the strided convolution of the first patch embedding, padded with zeros.
        inside: (1, 1, H, W), 1 on the image and 0 on its padding. The stem's bias ends at the image's border, so its
            contribution is a map, not a number.

    Returns:
        (B, C_1, H / 4, W / 4).
    """
    weight = torch.einsum("okhw,kc->ochw", patches.weight, stem.weight[:, :, 0, 0])
    bias = torch.einsum("okhw,k->ohw", patches.weight, stem.bias)[:, None]
    stride, padding = patches.stride, patches.padding
    return conv2d(images, weight, patches.bias, stride, padding) + conv2d(inside, bias, None, stride, padding)


def run_stage(stage: SegformerStage, maps: Tensor) -> Tensor:
    """Run a stage after its patch embedding: (B, C, H, W) to the same shape, in the layout channels_last.

    The stage's own forward pass would copy its result to another layout and back.
    """
    height, width = maps.shape[-2:]
    tokens: Tensor = stage.patch_embeddings.layer_norm(maps.flatten(2).transpose(1, 2))
    for block in stage.blocks:
        tokens = block(tokens, height, width)
    normalized: Tensor = stage.layer_norm(tokens)
    return normalized.transpose(1, 2).unflatten(2, (height, width))
