"""Arrays and a mapping that `sensorproof import arrays` takes, for tests to change."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from sensorproof.cli import app
from sensorproof.data.batch import Batch, read_batch
from sensorproof.errors import SensorproofError
from sensorproof.files import dump_yaml

N, SIZE = 6, (8, 10)
RNG = np.random.default_rng(0)


def make_arrays() -> dict[str, np.ndarray]:
    """Arrays of N frames for `make_mapping`."""
    label = RNG.integers(0, 2, (N, *SIZE)).astype(np.int64)
    label[:, 0] = 255
    return {
        "rgb": RNG.integers(0, 256, (N, *SIZE, 3), np.uint8),
        "heat": RNG.integers(1, 65536, (N, *SIZE), np.uint16),
        "range": RNG.random((N, 2, *SIZE)).astype(np.float32),
        "label": label,
        "name": np.array([f"site{k // 3}/drive{k % 3}/{k:02d}" for k in range(N)]),
        "stamp": (1_700_000_000 + np.arange(N)) * 1_000_000_000,
    }


def make_sensor(array: str, kind: str, channels: int, limits: list[float]) -> dict[str, Any]:
    """A sensor of the mapping."""
    return {"array": array, "kind": kind, "channels": channels, "range": limits, "max_time_offset_s": 0.1}


def make_mapping() -> dict[str, Any]:
    """A mapping for the arrays of `make_arrays`."""
    return {
        "classes": [{"id": 0, "name": "road"}, {"id": 1, "name": "hole"}],
        "ignore_index": 255,
        "reference": "camera",
        "sensors": {
            "camera": make_sensor("rgb", "camera", 3, [0, 255]),
            "thermal": make_sensor("heat", "thermal", 1, [0, 65535]),
            "lidar": make_sensor("range", "lidar", 2, [0, 1]) | {"layout": "NCHW"},
        },
        "label": {"array": "label"},
        "times": {"array": "stamp", "unit": "ns"},
        "frames": {"names": "name", "rules": [{"match": r"(?P<site>\w+)/(?P<sequence>\w+)/\d\d"}]},
    }


class Case:
    """Arrays and a mapping in a folder, changed by a test and imported by the real command."""

    def __init__(self, root: Path) -> None:
        self.root, self.out = root, root / "data" / "field"
        self.arrays, self.mapping = make_arrays(), make_mapping()
        self.source = root / "arrays.npz"

    def write(self) -> None:
        """Write the arrays, not the mapping."""
        if self.source.suffix == ".npz":
            np.savez_compressed(self.source, **self.arrays)
        else:
            self.source.mkdir(exist_ok=True)
            for name, array in self.arrays.items():
                np.save(self.source / f"{name}.npy", array)

    def run(self, *options: str) -> Result:
        """Write the mapping and run the command."""
        (self.root / "mapping.yaml").write_text(dump_yaml(self.mapping))
        mapping = ["--mapping", str(self.root / "mapping.yaml")]
        return CliRunner().invoke(app, ["import", "arrays", str(self.source), str(self.out), *mapping, *options])

    def imported(self, *options: str) -> Batch:
        """Write everything, run the command, and read the batch."""
        self.write()
        result = self.run(*options)
        assert result.exit_code == 0, result.exception
        return read_batch(self.out)

    def refused(self, *options: str) -> tuple[str, int]:
        """Run the command, which must fail and leave nothing; return its one line and its exit code."""
        result = self.run(*options)
        error = result.exception
        assert isinstance(error, SensorproofError), error
        assert "\n" not in str(error)
        assert not self.out.exists()
        assert not self.out.parent.exists() or not list(self.out.parent.iterdir())
        return str(error), error.exit_code


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Arrays and a mapping, not yet written."""
    return Case(tmp_path)
