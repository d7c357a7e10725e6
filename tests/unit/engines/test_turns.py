"""Turns, one after another, are what pixels do."""

import numpy as np
import pytest

from imagemill.engines.headers import turns

PICTURE = np.arange(6).reshape(2, 3)
LAID = {
    1: PICTURE, 2: PICTURE[:, ::-1], 3: PICTURE[::-1, ::-1], 4: PICTURE[::-1],
    5: PICTURE.T, 6: np.rot90(PICTURE, -1), 7: PICTURE[::-1, ::-1].T, 8: np.rot90(PICTURE),
}  # fmt: skip
"""The upright picture that pixels stored so make, by EXIF's number."""


def is_laid(picture, number):
    return picture.shape == LAID[number].shape and bool((picture == LAID[number]).all())


@pytest.mark.parametrize("number", LAID)
def test_one_after_another(number):
    """EXIF's number of both together: what the second does to what the first has made."""
    for quarters in range(-3, 4):
        assert is_laid(np.rot90(LAID[number], -quarters), turns.rotated(number, quarters))
    assert is_laid(LAID[number][:, ::-1], turns.mirrored(number, left_right=True))
    assert is_laid(LAID[number][::-1], turns.mirrored(number, left_right=False))
