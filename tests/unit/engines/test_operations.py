"""The tables of operations know all that there is: what one of them lacks would fail at its first request."""

from typing import get_args

from imagemill.engines.operations import TABLE
from imagemill.model.recipe import Describe, Encode, Operation
from imagemill.plan.operations import PRICE, RESOLVE

WRITTEN = {Encode, Describe}
"""They stand at the end of a recipe, and are no steps."""


def test_every_operation_leads_to_steps():
    """It has a row that resolves it, or is a step itself; never both, and never none."""
    left = set(get_args(Operation)) - WRITTEN

    assert RESOLVE.keys() ^ (TABLE.keys() & left) == left


def test_every_step_has_a_price():
    """And what has a price can be done."""
    assert TABLE.keys() == PRICE.keys()
