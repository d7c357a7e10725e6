"""Samples of other kinds, before anything is worked out from them."""

import numpy as np

from imagemill.engines.decoders.base import from_rows
from imagemill.engines.decoders.samples import within


def test_every_sample_is_a_number():
    """D19: what would be cast to a byte without being one is none any more, in whole rows and at their ends."""
    row = np.array([0, 2, -1, np.nan, np.inf, -np.inf, 0.25], np.float32).repeat(5)
    image = from_rows(np.dstack([row[None], row[None, ::-1], row[None]]).repeat(3, 0))

    found = within(image).numpy()

    wanted = np.array([0, 1, 0, 0, 1, 0, 0.25], np.float32).repeat(5)
    assert (found == np.dstack([wanted[None], wanted[None, ::-1], wanted[None]])).all()
