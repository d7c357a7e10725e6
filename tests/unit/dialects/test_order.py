"""``ops``: an explicit order, and nothing beside it that would change pixels."""

from urllib.parse import quote

import pytest

from imagemill.dialects.native import Native
from imagemill.dialects.native.order import FIXED, PARAMETERS
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Background, Blur, Crop, Encode, Fit, Flip, Position, Resize, Rotate
from imagemill.settings import Limits

DIALECT = Native(Limits(), lambda url: url)


def recipe(query):
    return DIALECT.parse(f"source=local:a/b&{query}".encode()).recipe


@pytest.mark.parametrize(
    ("ops", "wanted"),
    [
        ("blur:5", [Blur(500)]), ("blur:5/crop:1,2,3,4", [Blur(500), Crop(3, 4, 1, 2)]), ("flip", [Flip()]),
        ("rotate:90/rotate:90", [Rotate(1), Rotate(1)]), ("resize:30", [Resize(30)]), ("resize:width=30", [Resize(30)]),
        ("resize:w=30;h=40;fit=cover;g=north", [Resize(30, 40, Fit.COVER, position=Position(500_000, 0))]),
        ("resize:30;height=40/background:fff", [Resize(30, 40), Background(0xFFFFFFFF)]),
        ("blur%3A5", [Blur(500)]), ("blur:%2535", [Blur(500)]),
    ],
)  # fmt: skip
def test_explicit_order(ops, wanted):
    """Operations are done as they stand, as often as they stand; a picture is upright before, unless that is said."""
    assert recipe(f"ops={ops}") == (AutoOrient(), *wanted, Encode())
    assert recipe(f"format=png&ops={ops}&orient=0") == (*wanted, Encode(Format.PNG))


EACH = {
    "trim": {"trim": "9", "trim_corner": "bottom-right", "trim_equal": "x"}, "crop": {"crop": "5,6", "gravity": "entropy"},
    "aspect": {"aspect": "2:3", "focus": "0.1,0.9"}, "rotate": {"rotate": "270"}, "flip": {"flip": "1"}, "flop": {"flop": "1"},
    "tilt": {"tilt": "-7.5", "fill": "f00"},
    "resize": {"width": "50p", "height": "30", "fit": "contain", "enlarge": "1", "min_width": "20", "dpr": "2", "fill": "blur"},
    "blur": {"blur": "1.5", "dpr": "2"}, "sharpen": {"sharpen": "0.5"}, "unsharp": {"unsharp": "1,50,2"}, "pixelate": {"pixelate": "4"},
    "brightness": {"brightness": "-4"}, "contrast": {"contrast": "4"}, "saturation": {"saturation": "4"}, "hue": {"hue": "-90"},
    "gamma": {"gamma": "0.7"}, "grayscale": {"grayscale": "1"}, "sepia": {"sepia": "5"}, "negate": {"negate": "1"},
    "tint": {"tint": "f0f"}, "duotone": {"duotone": "000,fff"}, "colorize": {"colorize": "00ff0040"},
    "gradient": {"gradient": "000,fff,45,0.1,0.9"}, "round": {"radius": "1,2,3,4"}, "mask": {"mask": "heart-180"},
    "extend": {"extend": "3:4", "extend_gravity": "south", "fill": "0f0"}, "pad": {"pad": "1,2,3", "dpr": "3", "fill": "blur"},
    "layer": {"watermark": "local:l/m", "wm_x": "-3", "wm_scale": "0.2", "wm_blend": "screen", "wm_ops": "blur:2"},
    "text": {"text": "one/two", "text_size": "20", "text_shadow": "1,1"}, "background": {"background": "fff"},
}  # fmt: skip
"""One of every operation, by its parameters."""


def test_each_is_shown():
    """A new operation is shown here."""
    assert list(EACH) == [reader.name for reader in FIXED]


@pytest.mark.parametrize("name", EACH)
def test_each_in_ops(name):
    """What parameters of their own ask for, `ops` does: the same operation, so the same result and the same key."""
    (first, value), *more = EACH[name].items()
    beside = "&".join(f"{n}={quote(v, safe='')}" for n, v in EACH[name].items())
    written = ";".join([quote(value, safe=""), *(f"{n}={quote(v, safe='')}" for n, v in more)])

    assert recipe(f"ops={name}:{quote(written, safe=';=')}") == recipe(beside)
    assert recipe(f"ops={quote(f'{name}:{first}={written}', safe='')}") == recipe(beside)
    assert len(recipe(beside)) == 3


@pytest.mark.parametrize("name", sorted({name for reader in FIXED for name in reader.parameters}))
def test_not_beside_others(name):
    """400: what is done is said in one way."""
    with pytest.raises(BadOption, match="not together with ops"):
        recipe(f"ops=blur:5&{name}=1")


@pytest.mark.parametrize(
    "ops",
    ["", "/", "blur", "blur:", "blur:5/", "/blur:5", "bl:5", "nothing:5", "blur:5;5", "blur:sigma=5", "blur:5;blur=6", "resize:fit=cover",
     "crop:1,2;width=5", "flip:0", "rotate:0", "orient:1", "encode:png", "format:png", "resize:width=5;w=6", "crop:1,1,2,2;gravity=north",
     "blur:%25ff", "blur:%2500", "ops:blur:5", "blur:5;", "source:local:a/b"],
)  # fmt: skip
def test_ill_formed(ops):
    """400, and the parameter is named."""
    with pytest.raises(BadOption):
        recipe(f"ops={ops}")


def test_too_many_are_not_read():
    """R07: of thousands none is looked at, however they are written."""
    with pytest.raises(LimitExceeded, match="more than 16") as found:
        recipe("ops=" + "/".join(["nothing"] * 17))
    assert found.value.limit == "operations"

    with pytest.raises(BadOption, match="nothing"):
        recipe("ops=" + "/".join(["nothing"] * 16))


def test_every_operation_has_its_own_parameters():
    """Names are unique, and each reader's parameters are in the table."""
    known = {p.name for p in PARAMETERS}
    assert len({reader.name for reader in FIXED}) == len(FIXED)
    assert all(set(reader.parameters) <= known for reader in FIXED)
