"""Fixtures of all tests; each lives in the helper that it belongs to."""

from hypothesis import settings

pytest_plugins = [
    "helpers.array_import",
    "helpers.fault_batches",
    "helpers.mlflow_registry",
    "helpers.project",
    "helpers.servers",
]

# How long an example takes depends on the machine, and is no fault of the code.
settings.register_profile("sensorproof", deadline=None)
settings.load_profile("sensorproof")
