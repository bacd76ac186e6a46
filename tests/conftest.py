"""Fixtures of all tests; each lives in the helper that it belongs to."""

pytest_plugins = [
    "helpers.array_import",
    "helpers.fault_batches",
    "helpers.mlflow_registry",
    "helpers.project",
    "helpers.servers",
]
