"""Running commands in the process of the tests."""

from pathlib import Path

import pytest

from sensorproof.cli import main


def command(*arguments: str | Path) -> int:
    """Run `sensorproof …` and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["sensorproof", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    return int(stopped.value.code or 0)
