"""SegFormer's modules (Xie et al., NeurIPS 2021, arXiv 2105.15203): those of transformers without that library.

Importing transformers takes longer than torch itself, in each of a retraining's many processes. So the modules are
written out here. Their names, first weights and results are those of `transformers.SegformerModel` and
`SegformerDecodeHead`, to the bit (tests/model/test_segformer.py): any SegFormer checkpoint fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

_PATCHES, _STRIDES = (7, 3, 3, 3), (4, 2, 2, 2)
_REDUCTIONS = (8, 4, 2, 1)
"""Of each stage: its attention looks at every so many pixels in each direction."""
_EXPANSION = 4
"""Width of the hidden layer of each feed-forward part, as a multiple of its stage's."""
_INITIAL_STD = 0.02


@dataclass(frozen=True)
class Shape:
    """What the backbones differ in, stage by stage."""

    depths: Sequence[int]
    """Blocks."""
    widths: Sequence[int]
    """Channels C_j."""
    heads: Sequence[int] = (1, 2, 5, 8)
    drop_path: float = 0.1
    """Probability that a sample skips the last block in training; it rises from 0 for the first."""


class PatchEmbeddings(nn.Module):
    """A strided convolution, which `Segmenter` runs, and the normalisation of its tokens."""

    def __init__(self, patch: int, stride: int, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride, patch // 2)
        self.layer_norm = nn.LayerNorm(width)


class SequenceReduction(nn.Module):
    """A strided convolution over the tokens, so that attention has fewer keys."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.sequence_reduction = nn.Conv2d(width, width, reduction, reduction)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Map (B, N, C) to (B, N / reduction^2, C)."""
        batch, _, channels = tokens.shape
        maps = self.sequence_reduction(tokens.transpose(1, 2).reshape(batch, channels, height, width))
        reduced: Tensor = self.layer_norm(maps.reshape(batch, channels, -1).transpose(1, 2))
        return reduced


class Attention(nn.Module):
    """Self-attention of all tokens to the reduced ones."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.head_width, self.reduction = width // heads, reduction
        inner = heads * self.head_width
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.o_proj = nn.Linear(inner, width)
        if reduction > 1:
            self.sequence_reduction = SequenceReduction(width, reduction)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Map tokens (B, N, C) to the same shape."""
        reduced = self.sequence_reduction(tokens, height, width) if self.reduction > 1 else tokens
        query, key, value = (
            projection(x).view(*x.shape[:-1], -1, self.head_width).transpose(1, 2)
            for projection, x in ((self.q_proj, tokens), (self.k_proj, reduced), (self.v_proj, reduced))
        )
        mixed = scaled_dot_product_attention(query, key, value, scale=self.head_width**-0.5)
        mixed = mixed.transpose(1, 2).contiguous().reshape(*tokens.shape[:-1], -1).contiguous()
        output: Tensor = self.o_proj(mixed)
        return output


class DepthWiseConvolution(nn.Module):
    """A 3 x 3 convolution of each channel by itself, by which tokens learn where they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 3, 1, 1, groups=width)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Map tokens (B, N, C) to the same shape."""
        batch, _, channels = tokens.shape
        maps: Tensor = self.dwconv(tokens.transpose(1, 2).view(batch, channels, height, width))
        return maps.flatten(2).transpose(1, 2)


class FeedForward(nn.Module):
    """The paper's Mix-FFN: linear, depthwise convolution, GELU, linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, _EXPANSION * width)
        self.dwconv = DepthWiseConvolution(_EXPANSION * width)
        self.activation = nn.GELU()
        self.fc2 = nn.Linear(_EXPANSION * width, width)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Map tokens (B, N, C) to the same shape."""
        output: Tensor = self.fc2(self.activation(self.dwconv(self.fc1(tokens), height, width)))
        return output


class DropPath(nn.Module):
    """Leave out a block for some samples in training (stochastic depth, arXiv 1603.09382)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, C) to the same shape."""
        if self.probability == 0.0 or not self.training:
            return tokens
        kept = 1 - self.probability
        shape = (tokens.shape[0],) + (1,) * (tokens.ndim - 1)
        drawn = torch.rand(shape, dtype=tokens.dtype, device=tokens.device)
        return tokens.div(kept) * torch.floor(drawn + kept)


class Block(nn.Module):
    """Attention and feed-forward part, each beside a direct path."""

    def __init__(self, width: int, heads: int, drop_path: float, reduction: int) -> None:
        super().__init__()
        self.layernorm_before = nn.LayerNorm(width)
        self.attention = Attention(width, heads, reduction)
        self.drop_path = DropPath(drop_path)
        self.layernorm_after = nn.LayerNorm(width)
        self.mlp = FeedForward(width)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Map tokens (B, N, C) to the same shape."""
        tokens = self.drop_path(self.attention(self.layernorm_before(tokens), height, width)) + tokens
        output: Tensor = self.drop_path(self.mlp(self.layernorm_after(tokens), height, width)) + tokens
        return output


class Stage(nn.Module):
    """The part of the encoder that works at one resolution: patch embedding, blocks, normalisation."""

    def __init__(self, shape: Shape, index: int, drop_paths: Sequence[float]) -> None:
        super().__init__()
        width = shape.widths[index]
        channels = 3 if index == 0 else shape.widths[index - 1]
        self.patch_embeddings = PatchEmbeddings(_PATCHES[index], _STRIDES[index], channels, width)
        self.blocks = nn.ModuleList(Block(width, shape.heads[index], p, _REDUCTIONS[index]) for p in drop_paths)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, H, W), from the convolution of the patch embedding, to the same shape, as channels_last."""
        height, width = maps.shape[-2:]
        tokens = self.patch_embeddings.layer_norm(maps.flatten(2).transpose(1, 2))
        for block in self.blocks:
            tokens = block(tokens, height, width)
        normalized: Tensor = self.layer_norm(tokens)
        return normalized.transpose(1, 2).unflatten(2, (height, width))


class Encoder(nn.Module):
    """All stages. `Segmenter` runs them one by one."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        count, last = len(shape.depths), max(sum(shape.depths) - 1, 1)
        drop_paths = [shape.drop_path * i / last for i in range(sum(shape.depths))]
        before = [sum(shape.depths[:index]) for index in range(count)]
        self.stages = nn.ModuleList(
            Stage(shape, index, drop_paths[before[index] : before[index] + shape.depths[index]])
            for index in range(count)
        )
        self.apply(_initialize)


@torch.no_grad()
def _initialize(module: nn.Module) -> None:
    """Draw the first weights of linear layers and convolutions; normalisations start as torch makes them."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.normal_(module.weight, std=_INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Projection(nn.Module):
    """The decoder's linear layer for one stage."""

    def __init__(self, width: int, decoder_width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, decoder_width)


class DecodeHead(nn.Module):
    """The weights of the decode head; `models.decoder` runs them.

    Args:
        widths: of the encoder's stages.
        decoder_width: of the decoder.
        classes: number of classes K.
    """

    def __init__(self, widths: Sequence[int], decoder_width: int, classes: int) -> None:
        super().__init__()
        self.linear_projections = nn.ModuleList(Projection(width, decoder_width) for width in widths)
        self.linear_fuse = nn.Conv2d(decoder_width * len(widths), decoder_width, 1, bias=False)
        self.batch_norm = nn.BatchNorm2d(decoder_width)
        self.activation = nn.ReLU()
        self.classifier = nn.Conv2d(decoder_width, classes, 1)
