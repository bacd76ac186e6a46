"""Log the results of a pipeline run to MLflow, register the candidate's best model, and decide on its promotion."""

from sensorproof.registration.register import register_results
from sensorproof.registration.results import Run, read_runs

__all__ = ["Run", "read_runs", "register_results"]
