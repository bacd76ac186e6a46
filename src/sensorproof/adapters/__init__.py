"""The only way to DVC, MLflow, Optuna and Great Expectations; Prefect is used only in pipelines/flows."""

import os
from pathlib import Path

_QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Turns off the tools' reports to their makers, and look-ups that block where there is no network."""


def quiet_environment(project: Path = Path()) -> None:
    """Turn telemetry off and keep the tools' own state in the project; variables that are set stay as they are.

    Call it before a tool is imported, as the tools read these variables then. Child processes inherit them.

    Args:
        project: the project's folder.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str((project / ".prefect").resolve()))
    os.environ.setdefault("DVC_SITE_CACHE_DIR", str((project / ".dvc" / "site").resolve()))
