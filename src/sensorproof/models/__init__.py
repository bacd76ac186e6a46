"""The segmentation network: one encoder for all sensors, a mean over those present, one decoder."""

from sensorproof.models.description import ModelDescription, describe_model
from sensorproof.models.segmenter import Segmenter, build_model
from sensorproof.models.storage import load_model, save_model

__all__ = ["ModelDescription", "Segmenter", "build_model", "describe_model", "load_model", "save_model"]
