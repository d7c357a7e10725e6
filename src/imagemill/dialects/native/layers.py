"""Native parameters of `model.operations.layers`, and of layers.

A layer's own ``wm_ops`` is read as ``ops`` is, and so is that of a layer in it: each is percent-decoded once more than
what it stands in.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from imagemill.dialects.native.lengths import dpr
from imagemill.dialects.native.placing import place, shadow
from imagemill.dialects.native.reading import (
    Given,
    Parameter,
    Reader,
    Terms,
    choice,
    colour,
    decimal,
    flag,
)
from imagemill.model.errors import BadOption, BadRequest, LimitExceeded
from imagemill.model.recipe import Background, Blend, Layer

_PPM_PLACES = 6
_LEAST_SCALE_PPM, _MOST_SCALE_PPM = 100, 10_000_000

PARAMETERS = (
    Parameter("background", "bg", "RGB|RRGGBB|RRGGBBAA", "Colour under transparency, and around fit=contain."),
    Parameter(
        "watermark",
        "wm",
        "URL",
        "A source as in `source`, laid over the picture; its first frame where it is animated, on every frame.",
    ),
    Parameter("wm_gravity", "wmg", "center|north|northeast|…", "Where the watermark lies. Default: center."),
    Parameter(
        "wm_x", "wmx", "-16383-16383", "Pixels from the edge that wm_gravity names, else to the right. Default: 0."
    ),
    Parameter("wm_y", "wmy", "-16383-16383", "Pixels from the edge that wm_gravity names, else down. Default: 0."),
    Parameter(
        "wm_scale", "wms", "0.0001-10", "Width of the watermark as a share of the picture's. Default: its own width."
    ),
    Parameter("wm_rotate", "wmr", "-359.99-359.99", "Degrees that the watermark is turned clockwise. Default: 0."),
    Parameter("wm_opacity", "wmo", "1-100", "How dense the watermark is, in percent. Default: 100."),
    Parameter(
        "wm_blend",
        "wmb",
        "normal|multiply|screen|overlay|darken|lighten|color-dodge|color-burn|hard-light|soft-light|difference|exclusion",
        "How its colours meet those below (W3C Compositing and Blending). Default: normal.",
    ),
    Parameter("wm_tile", "wmt", "0|1", "Whether the watermark is repeated over the whole picture. Default: 0."),
    Parameter(
        "wm_shadow",
        "wmsh",
        "x,y or x,y,sigma or x,y,sigma,RRGGBBAA",
        "A shadow of the watermark: so many pixels to the right and down, how soft, which colour. Default: none.",
    ),
    Parameter(
        "wm_ops",
        "wmops",
        "name:value;name=value/…",
        "What is done to the watermark first, written as in ops. It is turned upright in any case.",
    ),
)


def refuse_idle(given: Given) -> None:
    """Refuse what says how a watermark lies where there is none."""
    for name in LAYER.parameters:
        if name in given and name != "dpr" and "watermark" not in given:
            raise BadOption(f"{name}: needs a watermark")


def _background(given: Given, _terms: Terms) -> Background | None:
    return Background(colour("background", given["background"])) if "background" in given else None


def _layer(given: Given, terms: Terms) -> Layer | None:
    if "watermark" not in given:
        return None
    deeper = replace(terms, depth=terms.depth + 1)
    if deeper.depth > terms.limits.layer_depth:  # here, too: what is read goes no deeper than what may be done
        raise LimitExceeded("layer_depth", f"watermark: {deeper.depth} > {terms.limits.layer_depth} deep")
    assert terms.ops, "whoever reads parameters knows what layers are made by"
    with _named("watermark"):
        source = terms.source(given["watermark"])
    with _named("wm_ops"):
        recipe = terms.ops(given.get("wm_ops", ""), deeper)
    ratio = dpr(given, terms.limits)
    return Layer(
        source,
        recipe,
        place(given, "wm", ratio),
        width_ppm=_scale(given) if "wm_scale" in given else 0,
        blend=choice(given, "wm_blend", Blend, Blend.NORMAL),
        tile=flag(given, "wm_tile"),
        shadow=shadow("wm_shadow", given["wm_shadow"], ratio) if "wm_shadow" in given else None,
    )


def _scale(given: Given) -> int:
    share = decimal(given, "wm_scale", _PPM_PLACES)
    if not _LEAST_SCALE_PPM <= share <= _MOST_SCALE_PPM:
        raise BadOption(f"wm_scale: {given['wm_scale'][:12]} is not within 0.0001 to 10")
    return share


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of what is wrong within a value whose value it is."""
    try:
        yield
    except BadRequest as e:
        raise type(e)(f"{name}: {e}") from e


BACKGROUND = Reader("background", ("background",), _background)
LAYER = Reader(
    "layer",
    (
        "watermark",
        "wm_gravity",
        "wm_x",
        "wm_y",
        "wm_scale",
        "wm_rotate",
        "wm_opacity",
        "wm_blend",
        "wm_tile",
        "wm_shadow",
        "wm_ops",
        "dpr",
    ),
    _layer,
)
