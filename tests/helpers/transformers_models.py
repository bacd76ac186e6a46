"""The SegFormer of transformers, to compare with ours and to write checkpoints as that library does."""

from pathlib import Path

from transformers import SegformerConfig, SegformerModel

from sensorproof.models import Segmenter
from sensorproof.models.segformer import Shape


def their_config(shape: Shape, decoder_width: int = 16, classes: int = 4) -> SegformerConfig:
    return SegformerConfig(
        depths=list(shape.depths),
        hidden_sizes=list(shape.widths),
        num_attention_heads=list(shape.heads),
        drop_path_rate=shape.drop_path,
        decoder_hidden_size=decoder_width,
        num_labels=classes,
    )


def save_encoder(model: Segmenter, shape: Shape, folder: Path) -> None:
    """Save a model's encoder as transformers saves one."""
    theirs = SegformerModel(their_config(shape))
    theirs.load_state_dict(model.encoder.state_dict())
    theirs.save_pretrained(folder)
