"""What the Makefile reads from params.yaml for itself."""

import subprocess

from helpers.paths import ROOT
from sensorproof.settings import load_settings


def test_make_looks_for_batches_where_the_pipeline_does() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "--eval", "where: ; @echo $(DATA)", "where"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [load_settings(ROOT / "params.yaml").data.raw]
