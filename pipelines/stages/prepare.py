"""Stage prepare: batches of files -> arrays at training size."""

from sensorproof.artifacts import PREPARED
from sensorproof.cli.errors import reported
from sensorproof.data.prepare import prepare
from sensorproof.settings import load_settings


@reported
def main() -> None:
    meta = prepare(load_settings().data, PREPARED)
    counts = ", ".join(f"{n} {split}" for split, n in meta.frames.items())
    print(f"prepared {', '.join(meta.batches)}: {counts} frames of {len(meta.sensors)} sensors")


if __name__ == "__main__":
    main()
