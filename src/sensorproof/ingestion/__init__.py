"""Taking new batches in: compared with those there are, validated, moved into place in one step, versioned."""

from sensorproof.ingestion.taking import Taken, finish_interrupted, is_interrupted, publish, take_in

__all__ = ["Taken", "finish_interrupted", "is_interrupted", "publish", "take_in"]
