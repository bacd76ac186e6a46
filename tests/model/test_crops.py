"""Training on crops of frames at their own resolution: what a sampler gives is what the files hold."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.project_artifacts import write_raw
from helpers.small_training import REGULARIZER, TRAIN
from sensorproof.data.batch import Batch
from sensorproof.data.crops import Crop, CropSampler, choose_window
from sensorproof.data.dataset import PreparedDataset, TensorBatch, TrainingSampler
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.full_frames import FOLDER, FullFrames
from sensorproof.data.metadata import IGNORE
from sensorproof.data.photometric import change_light
from sensorproof.data.prepare import prepare
from sensorproof.data.preprocessing import fit_image, label_lookup
from sensorproof.errors import SensorproofError
from sensorproof.experiment import RunSpec, fit, make_sampler
from sensorproof.settings import DataSettings, ModelSettings, SplitSettings
from sensorproof.settings.data import Standardization

FRAME = (50, 61)
SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
WHOLE = Crop((20, 30), (1.0, 1.0))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return write_raw(tmp_path_factory.mktemp("raw") / "b", SPLITS)


def prepare_small(
    raw: Batch,
    out: Path,
    *,
    full: bool,
    workers: int = 1,
    size: tuple[int, int] = (24, 32),
    standardize: Standardization = "dataset",
) -> PreparedDataset:
    split = SplitSettings(val=0.2, test=0.2, seed=0)
    folder = str(raw.root.parent)
    settings = DataSettings(
        raw=folder,
        inbox="",
        quarantine="",
        size=list(size),
        standardize=standardize,
        full_resolution=full,
        split=split,
    )
    prepare(settings, out, workers=workers)
    return PreparedDataset(out)


@pytest.fixture(scope="module")
def data(raw: Batch, tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return prepare_small(raw, tmp_path_factory.mktemp("artifacts") / "prepared", full=True)


def test_stored_frames_are_those_of_the_files(raw: Batch, data: PreparedDataset) -> None:
    full = FullFrames(data.root)
    assert sorted(full.frames) == list(range(8))  # not those of the test split
    for row, stored in full.frames.items():
        frame, _ = load_frame(raw, row)
        assert stored.size == FRAME
        images, label = full.read(row, ["camera", "depth"], (slice(3, 40), slice(0, 61)))
        assert frame.label is not None
        assert set(images) == set(frame.images)
        np.testing.assert_array_equal(label, label_lookup(raw.info)[frame.label][3:40])
        for name, own in images.items():
            sensor = raw.sensors[name]
            expected = fit_image(frame.images[name], sensor, FRAME)[:, 3:40].astype(np.float16)
            np.testing.assert_array_equal(own, expected)


def test_prepared_arrays_do_not_depend_on_the_store(raw: Batch, data: PreparedDataset, tmp_path: Path) -> None:
    plain = prepare_small(raw, tmp_path / "prepared", full=False)
    for name in ("camera.npy", "depth.npy", "label.npy", "frames.csv", "meta.json"):
        assert (data.root / name).read_bytes() == (plain.root / name).read_bytes()
    assert not (plain.root / FOLDER).exists()
    assert plain.digest != data.digest


def test_a_crop_is_a_window_of_its_frame_in_every_sensor_and_in_the_label(data: PreparedDataset) -> None:
    """The label's columns move with the frame, so that a window can be found again in the whole frame."""
    sampler = CropSampler(data, 4, 0, False, WHOLE)
    full = FullFrames(data.root)
    whole = (slice(0, FRAME[0]), slice(0, FRAME[1]))
    batch = sampler(0)
    assert batch.target.shape == (4, 20, 30)
    for k in range(4):
        rows = [
            row for row in range(6) for y in range(31) for x in range(32) if _shows(batch, k, data, full, row, y, x)
        ]
        assert len(rows) >= 1
    with pytest.raises(KeyError):
        full.read(9, ["camera"], whole)


def _shows(batch: TensorBatch, k: int, data: PreparedDataset, full: FullFrames, row: int, y: int, x: int) -> bool:
    """Whether sample k is the window of a frame at (y, x)."""
    images, label = full.read(row, data.sensors, (slice(y, y + 20), slice(x, x + 30)))
    if not np.array_equal(batch.target[k].numpy(), label) or any(
        bool(batch.present[name][k]) != (name in images) for name in data.sensors
    ):
        return False
    expected = data.standardize({name: own[None].astype(np.float32) for name, own in images.items()})
    return all(torch.equal(batch.inputs[name][k], own[0]) for name, own in expected.items())


def test_a_crop_of_a_sensor_by_the_frame_is_a_window_of_its_standardised_frame(raw: Batch, tmp_path: Path) -> None:
    """And not standardised by what the crop shows: in prediction the whole frame is."""
    own = prepare_small(raw, tmp_path / "prepared", full=True, size=FRAME, standardize="frame")
    batch = CropSampler(own, 4, 0, False, WHOLE)(0)
    crops = batch.inputs["camera"]
    frames = own.batch(own.rows("train"))
    windows = frames.inputs["camera"].unfold(2, 20, 1).unfold(3, 30, 1)  # (B, C, places, places, 20, 30)
    labels = frames.target.unfold(1, 20, 1).unfold(2, 30, 1)
    for crop, label in zip(crops, batch.target, strict=True):
        shown = (labels == label).all((-1, -2)).nonzero()
        gaps = [float((windows[k, :, y, x] - crop).abs().max()) for k, y, x in shown.tolist()]
        assert min(gaps) < 1e-5
    assert float(crops.mean((2, 3)).abs().max()) > 1e-3


def test_by_the_frame_the_light_of_crops_changes_with_that_of_their_frames(raw: Batch, tmp_path: Path) -> None:
    """Gain and offset therefore change nothing; noise and saturation do."""
    own = prepare_small(raw, tmp_path / "prepared", full=True, size=FRAME, standardize="frame")
    plain = CropSampler(own, 4, 0, False, WHOLE)(0).inputs["depth"]
    changed = CropSampler(own, 4, 0, False, WHOLE, {"depth": 0.2})(0).inputs["depth"]
    assert not torch.equal(changed, plain)
    assert float((changed - plain).abs().mean()) < 0.2
    usual = prepare_small(raw, tmp_path / "usual", full=True, size=FRAME)
    moved = CropSampler(usual, 4, 0, False, WHOLE, {"depth": 0.2})(0).inputs["depth"]
    still = CropSampler(usual, 4, 0, False, WHOLE)(0).inputs["depth"]
    assert float((moved - still).abs().mean()) > 2 * float((changed - plain).abs().mean())


@pytest.mark.parametrize(("scale", "place"), [(0.0, [0.0, 0.0]), (0.5, [0.999, 0.999]), (1.0, [0.3, 0.6])])
def test_a_window_lies_in_the_frame_and_has_the_size_of_its_scale(scale: float, place: list[float]) -> None:
    crop = Crop((40, 60), (0.5, 2.0))
    (rows, columns), filled = choose_window((100, 120), crop, scale, place)
    factor = 0.5 * 4**scale
    assert (rows.stop - rows.start, columns.stop - columns.start) == (round(40 / factor), round(60 / factor))
    assert rows.start >= 0
    assert rows.stop <= 100
    assert columns.stop <= 120
    assert filled == (slice(0, 40), slice(0, 60))


def test_a_frame_that_becomes_smaller_than_the_crop_lies_in_it_whole() -> None:
    crop = Crop((40, 60), (0.5, 2.0))
    assert choose_window((60, 60), crop, 0.0, [0.5, 0.999]) == (
        (slice(0, 60), slice(0, 60)),
        (slice(5, 35), slice(30, 60)),
    )


def test_around_a_small_frame_no_pixel_is_valid_and_no_label_counts(data: PreparedDataset) -> None:
    batch = CropSampler(data, 4, 0, True, Crop(FRAME, (0.5, 0.5)), {"camera": 0.5})(0)
    inside = batch.target != IGNORE
    assert 0.2 < float(inside.float().mean()) < 0.26
    seen = zip(batch.target, batch.inputs["camera"], batch.present["camera"], strict=True)
    for target, camera in [(target, camera) for target, camera, present in seen if present]:
        rows, columns = (target != IGNORE).nonzero(as_tuple=True)
        assert int(rows.max() - rows.min()) < 25
        assert int(columns.max() - columns.min()) < 31
        outside = torch.ones_like(target, dtype=torch.bool)
        outside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = False
        assert float(camera[:, outside].abs().max()) == 0.0
        assert float(camera[:, ~outside].abs().mean()) > 0.1


def test_batches_depend_on_seed_and_step_alone(data: PreparedDataset) -> None:
    light = {"camera": 0.5, "depth": 0.3}
    crop = Crop((20, 30), (0.7, 1.5))
    first, again = (CropSampler(data, 4, 3, True, crop, light) for _ in range(2))
    for step in (0, 5):
        expected = first(step)
        part = again(step, slice(1, 3))
        torch.testing.assert_close(part.target, expected.target[1:3], rtol=0, atol=0)
        for name, own in part.inputs.items():
            torch.testing.assert_close(own, expected.inputs[name][1:3], rtol=0, atol=0)
            assert bool(torch.isfinite(own).all())
    other = CropSampler(data, 4, 4, True, crop, light)(0)
    assert not torch.equal(other.inputs["camera"], first(0).inputs["camera"])


def test_light_changes_the_sensors_that_are_named_and_no_label(data: PreparedDataset) -> None:
    plain, bright = TrainingSampler(data, 4, 0, True)(1), TrainingSampler(data, 4, 0, True, {"camera": 0.5, "x": 1})(1)
    assert torch.equal(plain.target, bright.target)
    assert torch.equal(plain.inputs["depth"], bright.inputs["depth"])
    assert not torch.equal(plain.inputs["camera"], bright.inputs["camera"])


def test_light_is_that_of_its_factors_and_keeps_gaps() -> None:
    pixels = np.full((2, 1, 4, 4), 0.5, np.float32)
    pixels[0, 0, 0, 0] = np.nan
    factors = np.array([[0.5, 0.0, 0.9, 0.0], [0.0, 1.0, 0.9, 0.0]])
    changed = change_light(pixels, factors, 0.4, "lidar")
    assert bool(changed[0, 0, 0, 0].isnan())
    assert int(changed.isnan().sum()) == 1
    assert float(changed[0, 0, 1, 1]) == pytest.approx(0.5 * 1.2)
    assert float(changed[1, 0, 1, 1]) == pytest.approx(0.5 + 0.2)
    noisy = change_light(np.zeros((1, 3, 64, 64), np.float32), np.array([[0.0, 0.0, 0.0, 1.0]]), 0.5, "thermal")
    assert float(noisy.std()) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(("crop", "full", "fault"), [
    ([51, 30], True, "51 x 30 is larger than 6 of 6 training frames; set it to at most 50 x 61"),
    ([20, 30], False, "train.crop: needs frames at their own resolution, which were not prepared"),
])  # fmt: skip
def test_a_crop_that_cannot_be_cut_stops_before_the_training(
    raw: Batch, data: PreparedDataset, tmp_path: Path, crop: list[int], full: bool, fault: str
) -> None:
    own = data if full else prepare_small(raw, tmp_path / "prepared", full=False)
    with pytest.raises(SensorproofError) as caught:
        make_sampler(own, TRAIN.model_copy(update={"crop": crop}), 0)
    assert fault in str(caught.value)


def test_a_damaged_shard_is_an_error_of_one_line(raw: Batch, tmp_path: Path) -> None:
    data = prepare_small(raw, tmp_path / "prepared", full=True, workers=2)
    sampler = CropSampler(data, 4, 0, False, WHOLE)
    for path in (data.root / FOLDER).iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SensorproofError, match="cannot be read"):
        sampler(0)


def test_a_model_trains_on_crops_read_by_other_processes(data: PreparedDataset) -> None:
    train = TRAIN.model_copy(update={"crop": [24, 32], "crop_scale": [0.8, 1.5], "photometric": {"camera": 0.3}})
    model = ModelSettings(backbone="tiny", decoder_channels=16, pretrained=None)
    spec = RunSpec("regularized_dropout", 0, 10, model, train, REGULARIZER)
    losses = [fit(spec, data, readers=readers).run.history[-1]["loss"] for readers in (0, 2)]
    assert losses[0] == losses[1]
    assert spec.key(data) != RunSpec("regularized_dropout", 0, 10, model, TRAIN, REGULARIZER).key(data)
