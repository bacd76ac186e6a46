"""The names of a monitor's files, by themselves: who hashes a model folder needs no torch."""

from typing import Final

FILES: Final = ("monitor.json", "monitor.safetensors")
"""What a monitor is stored in, beside the model's own files."""
