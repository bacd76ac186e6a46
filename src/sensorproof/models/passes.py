"""How many frames one pass of inference takes."""

_MOST_PIXELS = 2**20
"""Of a sensor: with MiT-B0, all subsets of four sensors take 0.6 GB for a frame of this size."""


def frames_per_pass(size: tuple[int, int], most: int) -> int:
    """Return how many frames of (H, W) = size, `most` at most, fit into one pass.

    Examples:
        >>> frames_per_pass((64, 96), 16), frames_per_pass((512, 512), 16), frames_per_pass((2048, 2048), 16)
        (16, 4, 1)
    """
    return max(1, min(most, _MOST_PIXELS // (size[0] * size[1])))
