"""What every backbone must do: any sensors, any sizes, absence as if the sensor had never been there."""

import pytest
import torch
from transformers.models.segformer.modeling_segformer import SegformerDecodeHead

from sensorproof.data.batch import Class
from sensorproof.data.metadata import SensorInput
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.models import ModelDescription, build_model, load_model, save_model
from sensorproof.models.segmenter import BACKBONES, Segmenter

CHANNELS = {"camera": 3, "depth": 1, "lidar": 2, "stack": 5}


def describe(backbone: str = "tiny") -> ModelDescription:
    sensors = {
        name: SensorInput(kind="other", channels=c, range=(0, 1), nodata=None, mean=(0.5,) * c, std=(1.0,) * c)
        for name, c in CHANNELS.items()
    }
    classes = tuple(Class(id=i, name=f"class {i}") for i in range(4))
    return ModelDescription(
        backbone=backbone, decoder_channels=16, sensors=sensors, reference="camera", classes=classes, size=(32, 48)
    )


def inputs(height: int = 32, width: int = 48, batch: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(batch, c, height, width, generator=generator) for name, c in CHANNELS.items()}


@pytest.fixture
def model() -> Segmenter:
    torch.manual_seed(0)
    return build_model(describe()).eval()


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (65, 31), (7, 90), (1, 1)])
def test_logits_have_the_size_of_the_image(model: Segmenter, size: tuple[int, int]) -> None:
    assert model(inputs(*size)).shape == (2, 4, *size)


def test_any_subset_is_enough(model: Segmenter) -> None:
    everything = inputs()
    for name in CHANNELS:
        assert model({name: everything[name]}).isfinite().all()


def test_an_absent_sensor_is_as_one_left_out(model: Segmenter) -> None:
    everything = inputs()
    present = {"lidar": torch.tensor([True, False])}
    mixed = model(everything, present)
    without = {name: x for name, x in everything.items() if name != "lidar"}
    torch.testing.assert_close(mixed[0], model(everything)[0])
    torch.testing.assert_close(mixed[1], model(without)[1])


def test_what_an_absent_sensor_shows_does_not_matter(model: Segmenter) -> None:
    present = {"depth": torch.zeros(2, dtype=torch.bool)}
    one, other = inputs(), inputs()
    other["depth"] = torch.randn_like(other["depth"])
    torch.testing.assert_close(model(one, present), model(other, present))


def test_encoding_alone_equals_encoding_together(model: Segmenter) -> None:
    together = model.encode(inputs())
    for name, x in inputs().items():
        for a, b in zip(together[name], model.encode({name: x})[name], strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_decode_of_encode_is_forward(model: Segmenter) -> None:
    torch.testing.assert_close(model.decode(model.encode(inputs())), model(inputs()))


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (65, 31)])
def test_encoder_and_decoder_do_what_the_modules_of_transformers_do(model: Segmenter, size: tuple[int, int]) -> None:
    """The reordered work against the plain one, stem by stem and stage by stage, with its gradients.

    In float64: gradients that cancel out keep nothing but rounding in float32, and that differs between processors.
    """
    model.double()
    with torch.no_grad():
        for stem in model.stems.values():
            stem.weight.normal_()
            stem.bias.normal_()
    camera = inputs(*size)["camera"].double()
    maps, expected = torch.nn.functional.pad(model.stems["camera"](camera), (0, max(0, 32 - size[1]))), []
    for stage in model.encoder.stages:
        maps = stage(maps)
        expected.append(maps)
    found = model.encode({"camera": camera})["camera"]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs[..., : ours.shape[-1]], atol=1e-10, rtol=1e-9)
    logits, head = model.decoder(expected), SegformerDecodeHead.forward(model.decoder, expected)
    torch.testing.assert_close(logits, head, atol=1e-10, rtol=1e-9)
    parameters = list(model.parameters())
    ours, theirs = (
        torch.autograd.grad(x.square().sum(), parameters, allow_unused=True, retain_graph=True) for x in (logits, head)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-8)


def test_uneven_resolutions_take_the_largest(model: Segmenter) -> None:
    uneven = inputs()
    uneven["lidar"] = torch.randn(2, 2, 16, 20)
    assert model(uneven).shape[-2:] == (32, 48)


def test_no_sensor_and_unknown_sensor_are_named(model: Segmenter) -> None:
    with pytest.raises(UsageError, match="no sensor is present"):
        model({})
    with pytest.raises(UsageError, match="radar"):
        model({"radar": torch.zeros(1, 1, 32, 32)})


def test_a_name_that_torch_keeps_for_itself_is_named() -> None:
    with pytest.raises(UsageError, match=r"sensors: \['half'\] are names that torch keeps"):
        Segmenter({"camera": 3, "half": 1}, 3, "tiny", 8)


def test_a_new_sensor_adds_a_stem_and_nothing_else() -> None:
    few = Segmenter({"camera": 3, "depth": 1}, 4, "tiny", 16)
    many = Segmenter({"camera": 3, "depth": 1, "lidar": 2}, 4, "tiny", 16)
    count = [sum(p.numel() for p in m.parameters()) for m in (few, many)]
    assert count[1] - count[0] == 2 * 3 + 3


def test_saved_and_loaded_gives_the_same_logits(model: Segmenter, tmp_path) -> None:
    save_model(model, describe(), tmp_path / "model")
    loaded, description = load_model(tmp_path / "model")
    assert description == describe()
    torch.testing.assert_close(loaded(inputs()), model(inputs()), rtol=0, atol=0)


def test_a_truncated_model_is_one_line(model: Segmenter, tmp_path) -> None:
    save_model(model, describe(), tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(SensorproofError, match=r"model\.safetensors") as caught:
        load_model(tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_pretrained_weights_are_taken_and_others_refused(tmp_path) -> None:
    torch.manual_seed(1)
    source = Segmenter(CHANNELS, 4, "tiny", 16)
    source.encoder.save_pretrained(tmp_path / "tiny")
    taken = build_model(describe(), tmp_path / "tiny")
    for name, tensor in source.encoder.state_dict().items():
        torch.testing.assert_close(taken.encoder.state_dict()[name], tensor)
    with pytest.raises(UsageError, match="backbone"):
        build_model(describe("mit_b0"), tmp_path / "tiny")
    with pytest.raises(UsageError, match="cannot be loaded"):
        build_model(describe(), tmp_path / "nowhere")


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_backbones_have_their_published_sizes(backbone: str) -> None:
    """Encoder parameters in millions, as the SegFormer paper's Table 7 gives them for B0 to B5."""
    published = {"mit_b0": 3.4, "mit_b1": 13.1, "mit_b2": 24.2, "mit_b3": 44.0, "mit_b4": 60.8, "mit_b5": 81.4}
    with torch.device("meta"):
        model = Segmenter(CHANNELS, 4, backbone, 16)
    millions = sum(p.numel() for p in model.encoder.parameters()) / 1e6
    assert millions == pytest.approx(published.get(backbone, 0.32), rel=0.03)


@pytest.mark.parametrize("size", [(64, 96), (50, 61)])
def test_many_subsets_are_decoded_as_each_by_itself(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    channels = {"camera": 3, "depth": 1, "lidar": 2}
    model = Segmenter(channels, classes=5, backbone="tiny", decoder_channels=16).eval()
    sizes = {"camera": size, "depth": size, "lidar": (32, 40) if size == (50, 61) else size}
    inputs = {name: torch.rand(4, number, *sizes[name]) for name, number in channels.items()}
    present = {"camera": torch.tensor([1, 1, 0, 1]).bool(), "depth": torch.tensor([1, 0, 1, 1]).bool()}
    present["lidar"] = torch.ones(4, dtype=torch.bool)
    subsets = [("camera",), ("lidar",), ("camera", "depth"), ("camera", "depth", "lidar")]
    with torch.inference_mode():
        features = model.encode(inputs)
        found = list(model.decode_subsets(features, present, subsets, size))
        for logits, subset in zip(found, subsets, strict=True):
            expected = model.decode({name: features[name] for name in subset}, present, size)
            some = torch.stack([present[name] for name in subset]).any(0)  # a frame without any counts nowhere
            torch.testing.assert_close(logits[some], expected[some], rtol=1e-4, atol=1e-5)
