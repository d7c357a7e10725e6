"""A blur leaves one colour alone, and is as wide as it says."""

import numpy as np
import pytest

from imagemill.engines.decoded import pyvips
from imagemill.engines.operations.bells import _bell, blurred

SIGMAS = [*(centi / 100 for centi in range(1, 700, 11)), 8.0, 12.5, 26.0, 33.3, 52.0, 71.0, 100.0]
LEVELS = [0, 1, 37, 60, 100, 129, 150, 200, 250, 254, 255]


@pytest.mark.parametrize("tail", [0.05, 0.02, 0.01])
def test_one_colour_stays(tail):
    """Of any sigma, no level moves where all are alike."""
    flat = (pyvips.Image.black(3, 2) + LEVELS).cast("uchar")

    found = {sigma: blurred(flat, sigma, tail).getpoint(1, 1) for sigma in SIGMAS}

    assert {sigma: levels for sigma, levels in found.items() if levels != LEVELS} == {}


@pytest.mark.parametrize("sigma", SIGMAS)
def test_weights_add_up_to_one(sigma):
    """Alike on both sides, none below nothing, and none above what libvips takes without rounding it again."""
    weights, scale = _bell(sigma, 0.05)

    assert sum(weights) == scale
    assert weights == weights[::-1]
    assert min(weights) >= 0
    assert max(weights) <= 64


@pytest.mark.parametrize("sigma", [0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3, 5, 8])
def test_edge_is_as_soft_as_sigma_says(sigma):
    """What an edge becomes is the integral of the bell; cut off at a fifth of its height, it was a sixth narrower."""
    side = 2 * int(4 * sigma) + 8
    rows = np.zeros((4, side), np.uint8)
    rows[:, side // 2 :] = 255
    edge = pyvips.Image.new_from_memory(rows, side, 4, 1, "uchar")

    line = np.frombuffer(blurred(edge, sigma).write_to_memory(), np.uint8).reshape(4, side)[1] / 255

    bell = np.exp(-(np.arange(-side, side + 1) ** 2) / (2 * sigma * sigma))
    wanted = np.cumsum(bell / bell.sum())[side - side // 2 : 2 * side - side // 2]
    assert np.abs(line - wanted).max() < 0.035
