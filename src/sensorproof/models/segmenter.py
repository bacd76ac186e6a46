"""Weight-shared SegFormer over any number of sensors: encode each, take the mean per stage, decode once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pad
from transformers import SegformerConfig, SegformerModel

from sensorproof.errors import UsageError
from sensorproof.models.decoder import Decoder
from sensorproof.models.description import ModelDescription
from sensorproof.models.encoder import build_stem, draw_paths_for_samples, embed, run_stage
from sensorproof.resizing import enlarge, resize

Features = dict[str, list[Tensor]]
_LEAST_WEIGHT = 1e-3
"""Where no sensor is usable, the mean is divided by this."""
_STRIDE = 4
"""The first stage, where the decoder works, is this many times smaller than the image."""
SMALLEST = 32
"""Shorter sides are padded to this while encoding: the first stage's attention pools 8 x 8 of its pixels."""

BACKBONES: dict[str, dict[str, Any]] = {
    "tiny": {
        "depths": [1, 1, 1, 1],
        "hidden_sizes": [16, 32, 64, 96],
        "num_attention_heads": [1, 2, 4, 6],
        "drop_path_rate": 0.0,
    },
    "mit_b0": {"depths": [2, 2, 2, 2], "hidden_sizes": [32, 64, 160, 256]},
    "mit_b1": {"depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 320, 512]},
    "mit_b2": {"depths": [3, 4, 6, 3], "hidden_sizes": [64, 128, 320, 512]},
    "mit_b3": {"depths": [3, 4, 18, 3], "hidden_sizes": [64, 128, 320, 512]},
    "mit_b4": {"depths": [3, 8, 27, 3], "hidden_sizes": [64, 128, 320, 512]},
    "mit_b5": {"depths": [3, 6, 40, 3], "hidden_sizes": [64, 128, 320, 512]},
}


class Segmenter(nn.Module):
    """Maps {sensor: (B, C, H, W)} to logits (B, K, H, W).

    The encoder is one SegFormer for all sensors (as in arXiv 2505.06635); a 1 x 1 convolution per sensor brings its
    channels to the encoder's three. The features of the sensors that are present are averaged at each stage.
    Sensors may differ in resolution: the output, and the stages of all sensors, take the size of the largest.

    Args:
        channels: {sensor: number of channels}.
        classes: number of classes K.
        backbone: `tiny`, or `mit_b0` … `mit_b5` as in the SegFormer paper (arXiv 2105.15203).
        decoder_channels: width of the decoder.

    Raises:
        UsageError: a sensor has a name that torch keeps for itself, such as `half` or `type`.

    Examples:
        >>> import torch
        >>> from sensorproof import Segmenter
        >>> model = Segmenter({"camera": 3, "depth": 1}, classes=4, backbone="tiny", decoder_channels=32)
        >>> model({"camera": torch.rand(2, 3, 64, 96)}).shape  # any non-empty subset of the sensors
        torch.Size([2, 4, 64, 96])
    """

    def __init__(self, channels: Mapping[str, int], classes: int, backbone: str, decoder_channels: int) -> None:
        super().__init__()
        if reserved := sorted(name for name in channels if hasattr(nn.ModuleDict, name)):
            fix = "rename them in batch.yaml"
            raise UsageError("sensors", f"{reserved} are names that torch keeps for itself", fix)
        shape = BACKBONES[backbone] | {"num_channels": 3, "num_labels": classes}
        config = SegformerConfig(decoder_hidden_size=decoder_channels, **shape)
        self.sensors = tuple(sorted(channels))
        self.stems = nn.ModuleDict({name: build_stem(channels[name]) for name in self.sensors})
        self.encoder = SegformerModel(config)
        draw_paths_for_samples(self.encoder)
        self.decoder = Decoder(config)

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        """Segment a batch.

        Args:
            inputs: {sensor: (B, C, H, W)}, standardised, of any non-empty subset of the sensors.
            present: {sensor: (B,) bool}, which samples have the sensor; None for all.

        Returns:
            Logits (B, K, H, W), at the size of the largest input.

        Raises:
            UsageError: a sensor is unknown, or there is none.
        """
        size = max((x.shape[-2:] for x in inputs.values()), key=lambda s: s[0] * s[1], default=None)
        return self.decode(self.encode(inputs), present, size)

    def encode(self, inputs: Mapping[str, Tensor]) -> Features:
        """Encode sensors; those of one size share a pass.

        Args:
            inputs: {sensor: (B, C, H, W)}, standardised.

        Returns:
            {sensor: [feature (B, C_j, H_j, W_j) per stage]}.

        Raises:
            UsageError: a sensor is unknown.
        """
        if unknown := sorted(set(inputs) - set(self.sensors)):
            raise UsageError("inputs", f"sensors {unknown} are unknown", f"the model has {list(self.sensors)}")
        features: Features = {}
        for names in _group_by_size(inputs):
            shares = [inputs[name].shape[0] for name in names]
            stages = [maps.split(shares) for maps in self._encode_alike([(n, inputs[n]) for n in names])]
            features |= {name: [chunks[i] for chunks in stages] for i, name in enumerate(names)}
        return features

    def _encode_alike(self, images: list[tuple[str, Tensor]]) -> list[Tensor]:
        """Encode M sensors whose images differ only in their channels; return the stages (M * B, C_j, H_j, W_j)."""
        height, width = images[0][1].shape[-2:]
        margin = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
        inside = pad(torch.ones_like(images[0][1][:1, :1]), margin)
        modules: Any = self.encoder.stages
        stems: Any = self.stems
        first = modules[0].patch_embeddings.proj
        maps = torch.cat([embed(pad(x, margin), stems[name], first, inside) for name, x in images])
        stages = []
        for j, stage in enumerate(modules):
            maps = run_stage(stage, stage.patch_embeddings.proj(maps) if j else maps)
            stride = _STRIDE * 2**j
            stages.append(maps[..., : (height - 1) // stride + 1, : (width - 1) // stride + 1])
        return stages

    def _fuse(self, features: Features, present: Mapping[str, Tensor] | None = None) -> list[Tensor]:
        """Average over the sensors that are present, per stage, sample and, where it is given so, place."""
        if not features:
            raise UsageError("inputs", "no sensor is present", f"give one or more of {list(self.sensors)}")
        names = sorted(features)
        stages = []
        for maps in zip(*(features[name] for name in names), strict=True):
            size = max((m.shape[-2:] for m in maps), key=lambda s: s[0] * s[1])
            everywhere = maps[0].new_ones(maps[0].shape[0])
            weights = [(present or {}).get(name, everywhere).to(everywhere) for name in names]
            if any(weight.ndim > 1 for weight in weights):
                weight = torch.stack([_spread_out(each, size) for each in weights])
                weight = weight / weight.sum(0).clamp_min(_LEAST_WEIGHT)
            else:
                weight = torch.stack(weights)
                weight = (weight / weight.sum(0).clamp_min(1)).reshape(len(maps), -1, 1, 1, 1)
            # Added one by one: stacking them first takes longer than the sum itself.
            fused = resize(maps[0], size) * weight[0]
            for one, share in zip(maps[1:], weight[1:], strict=True):
                fused = torch.addcmul(fused, resize(one, size), share)
            stages.append(fused)
        return stages

    def decode(
        self,
        features: Features,
        present: Mapping[str, Tensor] | None = None,
        size: tuple[int, int] | torch.Size | None = None,
    ) -> Tensor:
        """Decode the features of any subset of the sensors.

        Args:
            features: {sensor: [feature per stage]}, from `encode`.
            present: {sensor: (B,) bool}, which samples have the sensor, or (B, h, w), which part of each place in its
                image is usable, 0 to 1; None for all.
            size: (H, W) of the logits. By default four times the first stage, which is the image's size where that
                is a multiple of four.

        Returns:
            Logits (B, K, H, W).

        Raises:
            UsageError: `features` is empty.
        """
        logits = self.decode_coarsely(features, present)
        height, width = logits.shape[-2:]
        return enlarge(logits, size or (height * _STRIDE, width * _STRIDE))

    def decode_subsets(
        self,
        features: Features,
        present: Mapping[str, Tensor],
        subsets: Iterable[Sequence[str]],
        size: tuple[int, int] | torch.Size,
    ) -> Iterator[Tensor]:
        """Decode many subsets of the sensors as `decode` does, within rounding, in a fraction of its time.

        All that is linear is done once for each sensor, and not once for each subset.

        Args:
            features: {sensor: [feature per stage]}, from `encode`.
            present: {sensor: (B,) bool}.
            subsets: of the features.
            size: (H, W) of the logits.

        Yields:
            Logits (B, K, H, W) of each subset.
        """
        for logits in self.decode_subsets_coarsely(features, present, subsets):
            yield enlarge(logits, size)

    def decode_subsets_coarsely(
        self, features: Features, present: Mapping[str, Tensor], subsets: Iterable[Sequence[str]]
    ) -> Iterator[Tensor]:
        """Decode as `decode_subsets` does, to logits (B, K, H_1, W_1) of the first stage's size."""
        if len({maps[0].shape for maps in features.values()}) > 1:  # stages are resized before they are averaged
            yield from (self.decode_coarsely({name: features[name] for name in each}, present) for each in subsets)
            return
        projected = {name: self.decoder.project(maps) for name, maps in features.items()}
        for subset in subsets:
            weights = torch.stack([present[name].to(projected[name]) for name in subset])
            weights = (weights / weights.sum(0).clamp_min(1)).reshape(len(subset), -1, 1, 1, 1)
            fused = projected[subset[0]] * weights[0]
            for name, share in zip(subset[1:], weights[1:], strict=True):
                fused = torch.addcmul(fused, projected[name], share)
            yield self.decoder.classify(fused)

    def decode_coarsely(self, features: Features, present: Mapping[str, Tensor] | None = None) -> Tensor:
        """Decode as `decode` does, to logits (B, K, H_1, W_1) of the first stage's size."""
        logits: Tensor = self.decoder(self._fuse(features, present))
        return logits


def _spread_out(present: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Return weights (B, 1, H, W) of presence (B, h, w) or (B,)."""
    if present.ndim == 1:
        return present.reshape(-1, 1, 1, 1).expand(-1, 1, *size)
    return adaptive_avg_pool2d(present[:, None], (size[0], size[1]))


def _group_by_size(inputs: Mapping[str, Tensor]) -> list[list[str]]:
    """List the sensors, sorted, with those of one batch size and image size together.

    Sizes are compared, not hashed: while a model is exported they are symbols, which have no hash.
    """
    groups: list[tuple[tuple[int, ...], list[str]]] = []
    for name in sorted(inputs):
        shape = (inputs[name].shape[0], *inputs[name].shape[-2:])
        alike = next((names for other, names in groups if other == shape), None)
        if alike is None:
            groups.append((shape, alike := []))
        alike.append(name)
    return [names for _, names in groups]


def build_model(description: ModelDescription, pretrained: Path | None = None) -> Segmenter:
    """Build the described model.

    Args:
        description: the model's sensors, classes and backbone.
        pretrained: a local folder with a SegFormer checkpoint for the encoder, or None.

    Raises:
        UsageError: the checkpoint is missing or is of another backbone.
    """
    channels = {name: sensor.channels for name, sensor in description.sensors.items()}
    classes = len(description.classes)
    model = Segmenter(channels, classes, description.backbone, description.decoder_channels)
    if pretrained is not None:
        _load_encoder(model, pretrained)
    return model


def _load_encoder(model: Segmenter, folder: Path) -> None:
    """Load the encoder's weights from a local checkpoint (safetensors only: no pickle is read)."""
    try:
        loaded: Any = SegformerModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        source, info = loaded
    except (OSError, ValueError, RuntimeError) as error:
        fix = "give a local folder with config.json and model.safetensors"
        raise UsageError(folder, f"cannot be loaded ({error})", fix) from error
    expected, found = model.encoder.state_dict(), source.state_dict()
    if info["missing_keys"] or {k: v.shape for k, v in expected.items()} != {k: v.shape for k, v in found.items()}:
        raise UsageError(folder, "does not hold this backbone's weights", "set model.backbone to the checkpoint's")
    model.encoder.load_state_dict(found)
