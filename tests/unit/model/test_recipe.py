"""Recipes: what is decoded from bytes is held to the same rules as what is built."""

import msgspec
import pytest
from hypothesis import given

from imagemill.model.errors import BadOption
from imagemill.model.recipe import (
    Background,
    Blur,
    Crop,
    Describe,
    Encode,
    Gravity,
    Position,
    Recipe,
    Resize,
    Rotate,
    Sharpen,
)
from unit.model.test_keys import recipes

BAD = {
    Position: [{"x_ppm": -1}, {"x_ppm": 1_000_001}, {"y_ppm": 2_000_000}],
    Crop: [
        {"width_px": 0, "height_px": 1}, {"width_px": 1, "height_px": 0}, {"width_px": 1, "height_px": 1, "left_px": 5},
        {"width_px": 1, "height_px": 1, "left_px": -2, "top_px": -2},
        {"width_px": 1, "height_px": 1, "left_px": 0, "top_px": 0, "position": {"x_ppm": 1}},
    ],
    Rotate: [{"quarter_turns": n} for n in (-1, 0, 4)],
    Resize: [{}, {"width_px": -1}, {"width_px": 5, "height_px": -1}],
    Blur: [{"sigma_centi": 0}, {"sigma_centi": -5}],
    Sharpen: [{"sigma_centi": 0}],
    Background: [{"rgba": -1}, {"rgba": 1 << 32}],
    Encode: [{"quality": -1}, {"quality": 101}, {"format": "json"}],
    Describe: [{"colours": -1}, {"colours": 17}],
}  # fmt: skip


@given(recipes)
def test_round_trip(recipe):
    """Encode and decode are inverse, in both encodings."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(recipe), type=Recipe) == recipe
    assert msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe) == recipe


@pytest.mark.parametrize(("kind", "fields"), [(kind, fields) for kind, many in BAD.items() for fields in many])
def test_invariants_run_on_both_ways_in(kind, fields):
    """What cannot be built cannot be decoded."""
    with pytest.raises(BadOption):
        msgspec.convert(fields, kind)
    if "position" not in fields:
        with pytest.raises(BadOption):
            kind(**fields)


def test_unknown_operation_is_refused():
    """A name that is no operation is an error of form."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'[{"type":"explode"}]', type=Recipe)


def test_gravity_places():
    """Nine names, nine places; the middle is the default."""
    assert len({Position.of(g) for g in Gravity}) == 9
    assert Position.of(Gravity.CENTER) == Position()
