"""Stage registry: notice that the registry lost what was registered. It always runs.

It sets no alias; stage register does.
"""

from sensorproof.console import report_errors
from sensorproof.registration.lost_version import update_state


@report_errors
def main() -> None:
    """Write artifacts/registry.json."""
    if message := update_state():
        print(message)


if __name__ == "__main__":
    main()
