"""Unregistered frames find the reference that they belong to."""

import numpy as np
import pytest

from sensorproof.alignment.pairs.frame_swaps import UnregisteredFrames, low_frequencies
from sensorproof.alignment.registration.phase_correlation import centering_signs, make_grid


@pytest.mark.parametrize("frames", [2, 9, 10, 12, 40])
def test_every_frame_finds_its_reference(frames: int) -> None:
    """Each sensor shows what the next frame's reference shows, the last one the first's; half of it is noise."""
    grid = make_grid(48, 64, 3, 256)
    assert grid is not None
    rng = np.random.default_rng(frames)
    shape = (frames, len(grid.tops), *grid.tile)
    scenes, noise = (np.exp(2j * np.pi * rng.random(shape)).astype(np.complex64) for _ in range(2))
    unregistered = UnregisteredFrames(grid)
    for k in range(frames):
        reference = np.conj(scenes[k]) * centering_signs(*grid.tile)
        spectra = low_frequencies(reference), low_frequencies(scenes[(k + 1) % frames] + noise[k])
        unregistered.add(k, *spectra)
    unregistered.compare()
    assert unregistered.matches == [(k, (k + 1) % frames) for k in range(frames)]
    assert unregistered.count == frames
