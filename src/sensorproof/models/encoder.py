"""SegFormer's encoder over several sensors, in two thirds of the time.

The modules and their weights are those of transformers, so that any SegFormer checkpoint fits; what is our own is the
order of the work. A sensor's stem and the first patch embedding are both linear, and one convolution does for the two:
the gradient by the image between them, most of that embedding's time, is never needed.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from transformers.models.segformer.modeling_segformer import SegformerStage


def build_stem(channels: int) -> nn.Conv2d:
    """A 1 x 1 convolution to three channels that starts as copies of the given ones, as pretraining expects."""
    layer = nn.Conv2d(channels, 3, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()  # type: ignore[union-attr]
        for out in range(3):
            layer.weight[out, out % channels] = 1
    return layer


def embed(images: Tensor, stem: nn.Conv2d, patches: nn.Conv2d, inside: Tensor) -> Tensor:
    """`patches(stem(images))`, in one convolution.

    Args:
        images: (B, C, H, W).
        stem: the sensor's, C channels to three.
        patches: the strided convolution of the first patch embedding, with zeros for padding.
        inside: (1, 1, H, W), 1 on the image and 0 on what was added to it. The stem's bias ends at the image's
            border, and is a map, not a number.

    Returns:
        (B, C_1, H / 4, W / 4).
    """
    weight = torch.einsum("okhw,kc->ochw", patches.weight, stem.weight[:, :, 0, 0])
    bias = torch.einsum("okhw,k->ohw", patches.weight, stem.bias)[:, None]
    stride, padding = patches.stride, patches.padding
    return conv2d(images, weight, patches.bias, stride, padding) + conv2d(inside, bias, None, stride, padding)


def run_stage(stage: SegformerStage, maps: Tensor) -> Tensor:
    """What follows a stage's patch embedding: (B, C, H, W) to the same shape, in the layout channels_last.

    The stage's own forward pass copies its result to another layout and back.
    """
    height, width = maps.shape[-2:]
    tokens: Tensor = stage.patch_embeddings.layer_norm(maps.flatten(2).transpose(1, 2))
    for block in stage.blocks:
        tokens = block(tokens, height, width)
    normalized: Tensor = stage.layer_norm(tokens)
    return normalized.transpose(1, 2).unflatten(2, (height, width))
