"""Native parameters of geometry: what each stands for, and everything that would do nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.dialects.native import PARAMETERS, Native
from imagemill.model.errors import BadOption, ImagemillError, LimitExceeded
from imagemill.model.recipe import (
    AspectCrop,
    AutoOrient,
    Background,
    Blur,
    Crop,
    Detect,
    Encode,
    Extend,
    Fill,
    Fit,
    Flip,
    Flop,
    Gravity,
    Pad,
    Position,
    Resize,
    Rotate,
    Sharpen,
    Tilt,
    Trim,
)
from imagemill.plan.prepare import prepare
from imagemill.settings import Limits

DIALECT = Native(Limits(), lambda url: url)
NORTH, FACE = Position.of(Gravity.NORTH), Position(detect=Detect.FACE)
BLUR, BLUE = Fill.BLUR, 0x0000FFFF


def recipe(query):
    first, *operations, last = DIALECT.parse(f"source=local:a/b&{query}".encode()).recipe
    assert (first, last) == (AutoOrient(), Encode())
    return operations


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("width=50p", Resize(width_ppm=500_000)), ("w=50%25", Resize(width_ppm=500_000)), ("height=0.0001p", Resize(height_ppm=1)),
        ("width=12.5p&height=30", Resize(0, 30, width_ppm=125_000)), ("width=33.3333p", Resize(width_ppm=333_333)),
        ("width=50p&dpr=2", Resize(width_ppm=1_000_000)), ("width=150p&enlarge=1", Resize(enlarge=True, width_ppm=1_500_000)),
        ("width=10000p&enlarge=1", Resize(enlarge=True, width_ppm=100_000_000)),
        ("width=9p&height=9p&fit=cover&gravity=face", Resize(fit=Fit.COVER, position=FACE, width_ppm=90_000, height_ppm=90_000)),
        ("width=9&min_height=7", Resize(9, min_height_px=7)), ("w=9&mw=12&dpr=2", Resize(18, min_width_px=24)),
        ("mw=5&mh=6&enlarge=1", Resize(enlarge=True, min_width_px=5, min_height_px=6)),
        ("w=9&h=9&mw=5", Resize(9, 9, min_width_px=5)),
        ("w=9&h=9&fit=contain&fill=blur", Resize(9, 9, Fit.CONTAIN, fill=BLUR)),
        ("w=9&h=9&fit=contain&fill=00f", Resize(9, 9, Fit.CONTAIN, rgba=BLUE)),
        ("trim=10", Trim(10)), ("trim=0", Trim(0)), ("trim=255&trim_color=00f", Trim(255, BLUE)),
        ("trim=1&trim_corner=bottom-right", Trim(1, from_bottom_right=True)), ("trim=1&trim_corner=top-left", Trim(1)),
        ("trim=1&trim_equal=x", Trim(1, equal_x=True)), ("trim=1&trim_equal=y", Trim(1, equal_y=True)),
        ("trim=1&trim_equal=xy", Trim(1, equal_x=True, equal_y=True)),
        ("aspect=16:9", AspectCrop(16, 9)), ("ar=1:10000&g=north", AspectCrop(1, 10_000, NORTH)),
        ("aspect=1:1&focus=0.1,0.2", AspectCrop(1, 1, Position(100_000, 200_000, focal=True))),
        ("aspect=1:1&gravity=face", AspectCrop(1, 1, FACE)), ("crop=3,4&gravity=face", Crop(3, 4, position=FACE)),
        ("crop=3,4&gravity=entropy", Crop(3, 4, position=Position(detect=Detect.ENTROPY))),
        ("crop=3,4&gravity=attention", Crop(3, 4, position=Position(detect=Detect.ATTENTION))),
        ("crop=3,4&gravity=smart", Crop(3, 4, position=Position(detect=Detect.ATTENTION))),
        ("tilt=45", Tilt(4500)), ("tilt=-0.01", Tilt(-1)), ("tilt=359.99&fill=00f", Tilt(35_999, BLUE)),
        ("extend=30,40", Extend(30, 40)), ("ex=3:4&exg=north", Extend(3, 4, is_ratio=True, position=NORTH)),
        ("extend=30,40&dpr=1.5&fill=blur", Extend(45, 60, fill=BLUR)), ("extend=3:4&fill=00f", Extend(3, 4, is_ratio=True, rgba=BLUE)),
        ("pad=5", Pad(5, 5, 5, 5)), ("pd=5,6", Pad(5, 6, 5, 6)), ("pad=5,6,7", Pad(5, 6, 7, 6)), ("pad=5,0,0,8", Pad(5, 0, 0, 8)),
        ("pad=5,6&dpr=2&fill=blur", Pad(10, 12, 10, 12, BLUR)), ("pad=1&fill=00f", Pad(1, 1, 1, 1, rgba=BLUE)),
    ],
)  # fmt: skip
def test_parameter(query, wanted):
    """Each is one operation; lengths are multiplied by dpr, proportions are not."""
    assert recipe(query) == [wanted]


def test_gravity_is_for_all_that_cuts():
    """What is to be found is found for each of them; contain cuts nothing, and lays the picture in the middle."""
    made = recipe("crop=90,90&aspect=1:1&w=5&h=5&fit=cover&gravity=face")
    assert [op.position for op in made] == [FACE, FACE, FACE]
    made = recipe("aspect=1:1&w=5&h=5&fit=contain&gravity=face")
    assert [op.position for op in made] == [FACE, Position()]


def test_fill_is_for_all_that_adds():
    """A colour for all of them; a blurred copy for all but the corners of a tilt."""
    query = "tilt=5&w=5&h=5&fit=contain&extend=9,9&pad=1&fill="
    assert [op.rgba for op in recipe(query + "00f")] == [BLUE] * 4
    tilt, *others = recipe(query + "blur")
    assert tilt == Tilt(500)
    assert [op.fill for op in others] == [BLUR] * 3


def test_order_is_fixed():
    """Whatever the order in the URL."""
    query = ("background=fff&pad=1&extend=9,9&sharpen=1&blur=1&width=5&tilt=5&flop=1&flip=1&rotate=90&aspect=1:1&crop=3,4&"
             "trim=1")  # fmt: skip
    wanted = [Trim, Crop, AspectCrop, Rotate, Flip, Flop, Tilt, Resize, Blur, Sharpen, Extend, Pad, Background]
    assert [type(op) for op in recipe(query)] == wanted


def test_explicit_order():
    """Every operation is one of ``ops`` as well, with its own values beside it, and as often as it is wanted."""
    ops = "pad:1,2;dpr=2;fill=00f/trim:9;trim_equal=x/tilt:-5.5/aspect:1:2;gravity=face/resize:50p;min_height=3/extend:1:1;exg=north/trim:9"
    assert recipe(f"ops={ops}") == [
        Pad(2, 4, 2, 4, rgba=BLUE), Trim(9, equal_x=True), Tilt(-550), AspectCrop(1, 2, FACE),
        Resize(width_ppm=500_000, min_height_px=3), Extend(1, 1, is_ratio=True, position=NORTH), Trim(9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "width=p", "width=%25", "width=0p", "width=-5p", "width=5pp", "width=1.00001p", "width=5p%25", "width=10000.0001p&enlarge=1",
        "width=p5", "min_width=0&width=5", "min_width=5p&enlarge=1", "min_height=x&width=5", "trim=256", "trim=-1", "trim=", "trim=1.5",
        "trim=1&trim_color=red", "trim=1&trim_corner=left", "trim=1&trim_equal=", "trim=1&trim_equal=z", "trim=1&trim_equal=yx",
        "aspect=1", "aspect=0:1", "aspect=1:0", "aspect=1:10001", "aspect=1:2:3", "aspect=1,2", "aspect=1.5:1", "tilt=0", "tilt=90", "tilt=-180",
        "tilt=360", "tilt=1.234", "tilt=--1", "tilt=+1", "tilt=", "extend=5", "extend=5,", "extend=0,5", "extend=0:5", "extend=1,2,3", "extend=1:10001",
        "extend=5,5&extend_gravity=face", "extend=5,5&extend_gravity=up", "pad=", "pad=0", "pad=0,0,0,0", "pad=1,2,3,4,5", "pad=-1", "pad=1,,2",
        "pad=1&fill=blurred", "pad=1&fill=", "aspect=1:1&gravity=eyes", "trim=1&trim_color=fff&trim_corner=bottom-right",
        "trim=1&trim_color=fff&trim_corner=top-left",
    ],
)  # fmt: skip
def test_ill_formed(query):
    """Every value has one grammar, and the answer names its parameter."""
    with pytest.raises(BadOption) as caught:
        recipe(query)
    assert str(caught.value).split(":")[0] in {p.name for p in PARAMETERS}


@pytest.mark.parametrize(
    ("query", "told"),
    [("tilt=400.5", "tilt: 400.5 is not within -359.99 to 359.99"), ("tilt=-360", "tilt: -360 is not within -359.99 to 359.99"),
     ("extend=5", "extend: w,h or w:h")],
)  # fmt: skip
def test_refused_in_the_words_of_the_url(query, told):
    """Numbers as they are written there, and what would be right."""
    with pytest.raises(BadOption) as caught:
        recipe(query)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    "query",
    [
        "min_width=5", "min_height=5&gravity=face", "trim_color=fff", "trim_corner=top-left", "trim_equal=x", "gravity=face", "gravity=face&width=5",
        "gravity=face&w=5&h=5&fit=contain", "gravity=attention&crop=1,2,3,4", "extend_gravity=north", "extend_gravity=north&pad=5", "fill=fff",
        "fill=blur&tilt=5", "fill=blur&width=5&fit=contain", "fill=fff&w=5&h=5&fit=cover", "dpr=2&extend=1:2", "dpr=2&tilt=5", "enlarge=1&pad=5",
        "fit=cover&pad=5", "width=101p", "width=60p&dpr=2", "ops=pad:1;fill=blur/tilt:5;fill=blur", "ops=aspect:1:1/resize:5;gravity=face",
        "focus=0,0&extend=5,5",
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused(query):
    """A parameter without what it works on is most likely a mistake."""
    with pytest.raises(BadOption, match="needs"):
        recipe(query)


@pytest.mark.parametrize(
    "query", ["w=9&mw=9", "h=9&mh=1", "w=9&h=9&fit=cover&mw=8", "w=9&h=9&fit=outside&mh=9", "w=9&h=9&fit=fill&mh=3"]
)
def test_a_minimum_that_is_met_anyhow_is_refused(query):
    """The box sees to it already; where it does not, the minimum stands."""
    with pytest.raises(BadOption, match=r"^min_(width|height): does nothing"):
        recipe(query)
    assert recipe("w=9&h=9&mw=3&mh=9") == [Resize(9, 9, min_width_px=3, min_height_px=9)], "inside may be less"


def test_policy():
    """R09: lengths beyond the largest side of a result are refused before the source is read."""
    for query in ("extend=8193,5", "pad=0,4097", "pad=5000&dpr=2", "min_width=8193&enlarge=1", "extend=5000,5&dpr=2"):
        with pytest.raises(LimitExceeded) as caught:
            prepare(DIALECT.parse(f"source=local:a/b&{query}".encode()), Limits())
        assert caught.value.limit == "output_side"


@given(st.sampled_from(["tilt", "aspect", "extend", "pad", "trim", "width"]), st.text(max_size=12))
def test_number_grammar(name, text):
    """R08: whatever is accepted consists of ASCII digits and the few signs of its own grammar."""
    try:
        DIALECT.request({"source": "local:a/b", name: text})
    except ImagemillError:
        return
    assert text.isascii()
    assert set(text) <= set("0123456789.,:-p%")
