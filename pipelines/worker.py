"""A worker with all deployments: registers them once the server answers, then runs what is due."""

import asyncio
import os
import sys
import time
from pathlib import Path

import httpx
from prefect.workers.process import ProcessWorker

from sensorproof.console import report_errors
from sensorproof.errors import UsageError
from sensorproof.settings import load_settings

sys.path.insert(0, str(Path(__file__).parent))

from deployments import POOL, serve

_PATIENCE_S = 120.0


@report_errors
def main() -> None:
    """Work until this process is ended."""
    wait_for_server(os.environ.get("PREFECT_API_URL", ""))
    serve(load_settings())
    asyncio.run(ProcessWorker(POOL).start())


def wait_for_server(url: str) -> None:
    """Wait until the Prefect server answers.

    Raises:
        UsageError: no address is given, or nothing answers there in time.
    """
    if not url:
        raise UsageError("PREFECT_API_URL", "is not set", "set it to the address of the Prefect server")
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            httpx.get(f"{url.rstrip('/')}/health", timeout=5).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if time.monotonic() > deadline:
                fault = f"no Prefect server answers at {url} ({error})"
                raise UsageError("PREFECT_API_URL", fault, "start one: `make up`") from error
            time.sleep(0.5)
        else:
            return


if __name__ == "__main__":
    main()
