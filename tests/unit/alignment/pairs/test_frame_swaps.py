"""Lost frames find their partners, however few or many have lost them."""

import numpy as np
import pytest

from sensorproof.alignment.pairs.frame_swaps import LostFrames
from sensorproof.alignment.registration.phase_correlation import centering, make_grid


@pytest.mark.parametrize("frames", [2, 9, 10, 12, 40])
def test_each_lost_frame_finds_whose_it_is(frames: int) -> None:
    """Each shows what the next one's reference shows, the last what the first one's does; half of it is noise."""
    grid = make_grid(48, 64, 3, 256)
    assert grid is not None
    rng = np.random.default_rng(frames)
    shape = (frames, len(grid.tops), *grid.tile)
    scenes, noise = (np.exp(2j * np.pi * rng.random(shape)).astype(np.complex64) for _ in range(2))
    lost = LostFrames(grid)
    for k in range(frames):
        template = np.conj(scenes[k]) * centering(*grid.tile)
        lost.add(k, template, scenes[(k + 1) % frames] + noise[k])
    lost.compare()
    assert lost.found == [(k, (k + 1) % frames) for k in range(frames)]
    assert lost.count == frames
