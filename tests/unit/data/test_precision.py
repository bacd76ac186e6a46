"""A scene that uses little of its claimed range keeps its levels, and `range` is named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.batches import edit_info, make_batch
from sensorproof.data.batch import read_batch
from sensorproof.data.metadata import SensorInput
from sensorproof.data.precision import choose_precision
from sensorproof.data.prepare import prepare
from sensorproof.settings import DataSettings, SplitSettings

SIZE = (12, 16)


def make_thermal(root: Path, span: int, claimed: tuple[float, float] = (0, 65535)) -> Path:
    """A batch whose thermal images have whole counts between 29,000 and 29,000 + span."""
    batch = make_batch(root)
    edit_info(batch, lambda info: info["sensors"]["thermal"].update(range=list(claimed)))
    rng = np.random.default_rng(0)
    for path in sorted(batch.glob("thermal/*.png")):
        counts = 29000 + rng.integers(0, span + 1, SIZE)
        counts.flat[:2] = 29000, 29000 + span
        Image.fromarray(counts.astype(np.uint16)).save(path)
    return batch


@pytest.mark.parametrize("span", [300, 600])
def test_sixteen_bits_of_a_narrow_scene_keep_their_levels(tmp_path: Path, span: int) -> None:
    batch = make_thermal(tmp_path / "raw/yard", span)
    split = SplitSettings(val=0.2, test=0.2, seed=0)
    settings = DataSettings(
        raw=str(batch.parent),
        inbox="",
        quarantine="",
        size=list(SIZE),
        standardize="dataset",
        full_resolution=False,
        split=split,
    )
    meta, _, warnings = prepare(settings, tmp_path / "out")
    assert (meta.sensors["thermal"].stored, meta.sensors["camera"].stored) == ("float32", "float16")
    assert len(warnings) == 1
    assert warnings[0].startswith(f"thermal: its values span {span} of the 65535 that `range` claims")
    prepared = np.load(tmp_path / "out/thermal.npy")[0, 0]
    counts = np.asarray(Image.open(batch / "thermal/f000.png"))
    assert len(np.unique(prepared)) == len(np.unique(counts))
    np.testing.assert_allclose(prepared * 65535, counts, atol=0.01)


@pytest.mark.parametrize(("span", "claimed"), [(600, (29000, 29600)), (20000, (0, 65535)), (600, (28000, 31000))])
def test_a_fitting_range_stays_at_half_the_size(tmp_path: Path, span: int, claimed: tuple[float, float]) -> None:
    batch = read_batch(make_thermal(tmp_path / "yard", span, claimed))
    assert {p.stored for p in choose_precision([batch], batch.info).values()} == {"float16"}


def test_the_type_is_kept_in_the_files_where_it_is_not_the_usual_one() -> None:
    shared = {"kind": "thermal", "channels": 1, "range": (0.0, 1.0), "nodata": None, "mean": (0.5,), "std": (0.1,)}
    usual, wide = SensorInput(**shared), SensorInput(**shared, stored="float32")
    assert "stored" not in usual.model_dump(mode="json")
    assert wide.model_dump(mode="json")["stored"] == "float32"
    for sensor in (usual, wide):
        assert SensorInput.model_validate(sensor.model_dump(mode="json"), strict=False) == sensor


def test_a_constant_image_is_no_narrow_scene(tmp_path: Path) -> None:
    root = make_batch(tmp_path / "yard")
    for path in root.glob("thermal/*.png"):
        Image.fromarray(np.full(SIZE, 29000, np.uint16)).save(path)
    batch = read_batch(root)
    assert choose_precision([batch], batch.info)["thermal"].stored == "float16"
