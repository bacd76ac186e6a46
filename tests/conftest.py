"""Fixtures of all tests; each lives in the helper that it belongs to."""

import os

from hypothesis import settings

# Models of tests are too small for several threads, and the tests run in several processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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
