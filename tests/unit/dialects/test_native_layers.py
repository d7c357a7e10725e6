"""Watermarks and layers as URLs say them: what each parameter means, and what is refused instead of ignored."""

import pytest

from imagemill.dialects.native import Native
from imagemill.model.errors import BadOption, BadRequest, ImagemillError, LimitExceeded
from imagemill.model.recipe import (
    AutoOrient,
    Background,
    Blend,
    Blur,
    Encode,
    Flip,
    Gravity,
    Layer,
    Place,
    Position,
    Resize,
    Shadow,
    SourceRef,
)
from imagemill.settings import Limits

LOGO = SourceRef("local", "logos/a.png")
UPRIGHT = (AutoOrient(),)


def recipe(query, **limits):
    return Native(Limits(**limits), str).parse(f"source=local:a/b&{query}".encode()).recipe


def layer(query):
    (found,) = (op for op in recipe(f"watermark=local:logos/a.png&{query}" if query else "watermark=local:logos/a.png")
                if isinstance(op, Layer))  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Layer(LOGO, UPRIGHT)),
        ("wm_gravity=northwest", Layer(LOGO, UPRIGHT, Place(Position.of(Gravity.NORTHWEST)))),
        ("wm_x=-12&wm_y=7", Layer(LOGO, UPRIGHT, Place(x_px=-12, y_px=7))),
        ("wmx=5&wmy=0", Layer(LOGO, UPRIGHT, Place(x_px=5))),
        ("wm_scale=0.25", Layer(LOGO, UPRIGHT, width_ppm=250_000)),
        ("wm_scale=10", Layer(LOGO, UPRIGHT, width_ppm=10_000_000)),
        ("wm_rotate=-12.5", Layer(LOGO, UPRIGHT, Place(centidegrees=-1_250))),
        ("wm_rotate=359.99", Layer(LOGO, UPRIGHT, Place(centidegrees=35_999))),
        ("wm_opacity=40", Layer(LOGO, UPRIGHT, Place(opacity_percent=40))),
        ("wm_blend=soft-light", Layer(LOGO, UPRIGHT, blend=Blend.SOFT_LIGHT)),
        ("wm_tile=1", Layer(LOGO, UPRIGHT, tile=True)),
        ("wm_shadow=3,-4", Layer(LOGO, UPRIGHT, shadow=Shadow(3, -4))),
        ("wm_shadow=3,4,1.5", Layer(LOGO, UPRIGHT, shadow=Shadow(3, 4, 150))),
        ("wm_shadow=3,4,0,f008", Layer(LOGO, UPRIGHT, shadow=None)),
        ("wm_shadow=3,4,0,ff000088", Layer(LOGO, UPRIGHT, shadow=Shadow(3, 4, 0, 0xFF000088))),
        ("wm_ops=flip/resize:width=30", Layer(LOGO, (AutoOrient(), Flip(), Resize(30)))),
    ],
)  # fmt: skip
def test_each_parameter(query, expected):
    """One name, one meaning; a watermark is turned upright, and lies in the middle where nothing is said."""
    if query == "wm_shadow=3,4,0,f008":  # no short form with an alpha
        with pytest.raises(BadOption, match="wm_shadow"):
            layer(query)
    else:
        assert layer(query) == expected


def test_it_comes_before_the_background_and_after_all_else():
    """The fixed order, whatever the order in the URL."""
    found = recipe("background=fff&watermark=local:logos/a.png&blur=2&format=png")

    assert [type(op) for op in found] == [AutoOrient, Blur, Layer, Background, Encode]


def test_several_layers_in_an_order_of_their_own():
    """``ops`` names them one by one, their sources percent-encoded once more."""
    found = recipe(
        "ops=layer:local%253Alogos%252Fa.png;wm_tile=1/flip/layer:https%253A%252F%252Fexample.com%252Fb%253Fc;wm_x=3"
    )

    assert found[1:-1] == (
        Layer(LOGO, UPRIGHT, tile=True),
        Flip(),
        Layer(SourceRef("https", "https://example.com/b?c"), UPRIGHT, Place(x_px=3)),
    )


@pytest.mark.parametrize(
    "query",
    [
        "watermark=local:logos/a.png&wm_ops=layer:local%253Ax%252Fy;wm_scale=0.5%2Fflip",
        "ops=layer:local%253Alogos%252Fa.png;wm_ops=layer%253Alocal%25253Ax%25252Fy%253Bwm_scale=0.5%252Fflip",
    ],
)
def test_a_layer_in_a_layer(query):
    """Each level is percent-encoded once more than the one it stands in."""
    (outer,) = (op for op in recipe(query) if isinstance(op, Layer))

    assert outer == Layer(LOGO, (AutoOrient(), Layer(SourceRef("local", "x/y"), UPRIGHT, width_ppm=500_000), Flip()))


def nested(depth):
    """A watermark with so many layers, one in another."""
    text = "layer:local%3Ax%2Fy"
    for _ in range(depth - 2):
        text = "layer:local%3Ax%2Fy;wm_ops=" + text.replace("%", "%25").replace(":", "%3A").replace(";", "%3B").replace(
            "=", "%3D"
        )
    return "watermark=local:logos/a.png" + ("&wm_ops=" + text.replace("%", "%25") if depth > 1 else "")


def test_how_deep_is_bounded_where_it_is_read():
    """S20: the third level is not even parsed."""
    assert recipe(nested(2))
    with pytest.raises(LimitExceeded) as refused:
        recipe(nested(3))
    assert refused.value.limit == "layer_depth"
    assert recipe(nested(3), layer_depth=3)


@pytest.mark.parametrize(
    "query",
    [
        "wm_x=1", "wm_tile=0", "wm_shadow=1,1", "wm_ops=flip", "wm_opacity=50", "wm_blend=normal", "wm_scale=1",
        "wm_gravity=north", "wm_rotate=1", "wm_y=1",
        "watermark=", "watermark=local:a/b&wm_scale=0", "watermark=local:a/b&wm_scale=10.1", "watermark=local:a/b&wm_x=1.5",
        "watermark=local:a/b&wm_x=16384", "watermark=local:a/b&wm_rotate=360", "watermark=local:a/b&wm_rotate=--1",
        "watermark=local:a/b&wm_opacity=0", "watermark=local:a/b&wm_opacity=101", "watermark=local:a/b&wm_blend=hue",
        "watermark=local:a/b&wm_tile=2", "watermark=local:a/b&wm_shadow=1", "watermark=local:a/b&wm_shadow=1,2,3,4,5",
        "watermark=local:a/b&wm_shadow=1001,0", "watermark=local:a/b&wm_shadow=1,1,100.01", "watermark=s3://x",
        "watermark=local:a/b&wm_gravity=up", "watermark=local:a/b&wm_ops=nothing:1", "watermark=local:a/b&wm_ops=encode:png",
        "watermark=local:a/b&wm_ops=flip%2F", "watermark=local:a/b&ops=flip", "ops=layer:local%253Aa%252Fb;flip=1",
        "ops=layer", "ops=layer:", "ops=layer:wm_x=3",
    ],
)  # fmt: skip
def test_what_is_refused(query):
    """Nothing is read and then left aside; the parameter is named."""
    with pytest.raises(ImagemillError) as refused:
        recipe(query)
    assert str(refused.value).startswith(("wm_", "watermark: ", "ops: ", "flip: "))


@pytest.mark.parametrize(
    ("query", "told"),
    [("wm_scale=10.1", "wm_scale: 10.1 is not within 0.0001 to 10"), ("wm_shadow=1,1,100.01", "wm_shadow: sigma 100.01 is not within 0 to 100"),
     ("wm_ops=nothing:1", "wm_ops: ops: 'nothing' is none of trim"), ("wm_ops=blur:0", "wm_ops: blur: zero has no effect")],
)  # fmt: skip
def test_whose_value_is_wrong(query, told):
    """The parameter of the layer, not the one of its kind that the picture has too."""
    with pytest.raises(BadOption) as refused:
        recipe(f"watermark=local:a/b&{query}")
    assert str(refused.value).startswith(told)


def test_a_source_goes_through_the_same_parser():
    """S20: whatever refuses a picture's own address refuses a layer's, in the same class of error."""

    def picky(url):
        raise BadOption(f"no such thing: {url}")

    native = Native(Limits(), picky)
    for query in (b"source=ftp://x/y", b"source=local:a/b&watermark=ftp://x/y"):
        with pytest.raises(BadOption, match="no such thing") as refused:
            native.parse(query)
    assert str(refused.value).startswith("watermark: ")

    def stricter(url):
        raise BadRequest(f"source URL: {url}")

    with pytest.raises(BadRequest, match=r"^watermark: source URL") as refused:
        Native(Limits(), stricter).parse(b"source=local:a/b&watermark=x")
    assert type(refused.value) is BadRequest
