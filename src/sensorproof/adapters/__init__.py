"""One module for each tool from outside (DVC, MLflow, Optuna, Great Expectations); nothing else imports them."""

import os
from pathlib import Path

QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Reports that the tools would send home, and look-ups that block where there is no network."""


def quiet_environment(project: Path = Path()) -> None:
    """Turn telemetry off and keep the tools' own state inside the project, unless the environment says otherwise.

    Call it before a tool is imported: they read these variables then. Child processes inherit them.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str((project / ".prefect").resolve()))
    os.environ.setdefault("DVC_SITE_CACHE_DIR", str((project / ".dvc" / "site").resolve()))
