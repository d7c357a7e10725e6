"""The tables of operations know all that there is: what one of them lacks would fail at its first request."""

from typing import get_args

import pytest

from imagemill.engines.decoded import pyvips
from imagemill.engines.operations import TABLE, applied
from imagemill.engines.operations.base import Context
from imagemill.model.recipe import Describe, Encode, Operation, Pixelate, Unsharp
from imagemill.plan.geometry import Size
from imagemill.plan.operations import PRICE, RESOLVE
from imagemill.plan.steps import Crisp, Scale, Smooth

WRITTEN = {Encode, Describe}
"""They stand at the end of a recipe, and are no steps."""


def test_every_operation_leads_to_steps():
    """It has a row that resolves it, or is a step itself; never both, and never none."""
    left = set(get_args(Operation)) - WRITTEN

    assert RESOLVE.keys() ^ (TABLE.keys() & left) == left


def test_every_step_has_a_price():
    """And what has a price can be done."""
    assert TABLE.keys() == PRICE.keys()


@pytest.mark.parametrize("step", [Smooth(5.0), Crisp(1.0), Unsharp(500), Pixelate(4), Scale(Size(99, 64))])
def test_what_is_looked_at_again_is_computed_once(step):
    """Who looks at neighbours asks for each pixel many times: what comes before must not be done as often (R09)."""
    image = pyvips.Image.black(64, 64, bands=3).copy(interpretation="srgb")
    computed = counted(image)

    applied(image, [step], Context())

    assert len(computed) == 1


@pytest.mark.parametrize("step", [Smooth(5.0), Crisp(1.0), Unsharp(500)])
def test_what_took_long_is_kept(step):
    """Whatever looks at neighbours in what these made does not have it made again (R09)."""
    image = pyvips.Image.black(64, 64, bands=3).copy(interpretation="srgb")

    made = applied(image, [step], Context())
    computed = counted(made)
    made.copy_memory()

    assert not computed


def counted(image):
    """One entry for each time that *image* is computed from now on."""
    computed = []
    image.set_progress(True)
    image.signal_connect("preeval", lambda *_: computed.append(1))
    return computed
