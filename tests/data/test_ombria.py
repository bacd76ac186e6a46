"""OMBRIA as an example: what the mapping says of the blocks is true of the real tiles."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers import paths
from helpers.paths import ROOT
from sensorproof.data.importers.mapping import read_mapping, role_of

DATA = paths.DATA / "ombria/ombria_96.npz"
MAPPING = ROOT / "examples/ombria/mapping.yaml"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs OMBRIA beside the checkout")


@pytest.fixture(scope="module")
def blocks() -> dict[tuple[str, str], NDArray[np.float64]]:
    """{(site, condition and split): means of the channels, in standard deviations of the pixels}; not of 2021."""
    rules = read_mapping(MAPPING).frames.rules
    with np.load(DATA, allow_pickle=False) as data:
        early = np.array([name.startswith("early") for name in data["name"]])
        tiles = np.concatenate([data["optical"][early], data["sar"][early]], axis=-1).astype(np.float32)
        roles = [role_of(name, rules) for name in data["name"][early].tolist()]
    keys = [(role.site, f"{role.condition} {role.split}") for role in roles if role]
    deviation = tiles.std((0, 1, 2), dtype=np.float64)
    means = tiles.mean((1, 2), dtype=np.float64) / deviation
    return {key: means[[own == key for own in keys]].mean(0) for key in dict.fromkeys(keys)}


def test_the_far_blocks_are_farther_from_training_than_the_near_ones(
    blocks: dict[tuple[str, str], NDArray[np.float64]],
) -> None:
    training = np.stack([means for (_, role), means in blocks.items() if role == "early train"])

    def distances(role: str) -> list[float]:
        own = [means for (_, other), means in blocks.items() if other == role]
        return sorted(float(np.sqrt(((training - means) ** 2).mean(1)).min()) for means in own)

    near, far = distances("early val"), distances("early-far val")
    assert len(training) == 21
    text = MAPPING.read_text(encoding="utf-8")
    numbers = [float(number) for number in re.findall(r"\b0\.\d\d\b", text)]
    assert [*np.round([far[0], far[-1], near[0], near[-1]], 2)] == numbers[-4:]
    among = [np.sqrt(((np.delete(training, k, 0) - means) ** 2).mean(1)).min() for k, means in enumerate(training)]
    assert far[0] > max(among)
