"""Log the results of a pipeline run to MLflow, register the candidate's best model, and decide on its promotion."""

from sensorproof.registration.lost_version import find_loss, update_state
from sensorproof.registration.register import register_results
from sensorproof.registration.results import Run, read_runs

__all__ = ["Run", "find_loss", "read_runs", "register_results", "update_state"]
