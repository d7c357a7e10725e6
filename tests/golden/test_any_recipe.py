"""Any recipe on any good source: the promised size or an error of ours; and a key that tells recipes apart as bytes do."""

import io
from typing import get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image

from golden import pictures, sources
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.layers import Given
from imagemill.engines.operations import TABLE
from imagemill.engines.vips import Vips
from imagemill.model import recipe as model
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.keys import result_key
from imagemill.model.media import Format
from imagemill.model.operations.values import Detect, Position, Shadow
from imagemill.model.recipe import Fill, Fit, Recipe, SourceRef
from imagemill.plan.operations import RESOLVE
from imagemill.plan.prepare import check, normal
from imagemill.plan.resolve import resolve
from imagemill.settings import Engine, Limits

LIMITS = Limits(output_side_px=600, output_pixels=200_000)
LAYER = SourceRef("local", "a/layer")
REF = SourceRef("local", "a/b")
MOST_OPERATIONS = 8


def _encoded(mode, kind, size=(37, 23), **options):
    return pictures.encoded(pictures.photo(*size).convert(mode), kind, **options)


BODIES = {name: (lambda name=name: sources.source(name).body) for name in sources.NAMES} | {
    "one-pixel": lambda: pictures.encoded(Image.new("RGBA", (1, 1), "#12345678"), "PNG"),
    "one-line": lambda: _encoded("RGB", "JPEG", (150, 1)),
    "one-column": lambda: _encoded("L", "JPEG", (1, 150)),
    "palette": lambda: _encoded("P", "PNG"),
    "palette-hole": lambda: _encoded("P", "GIF", transparency=3),
    "grey-alpha": lambda: _encoded("LA", "PNG"),
    "two-levels": lambda: _encoded("1", "PNG"),
    "webp": lambda: _encoded("RGB", "WEBP"),
    "avif": lambda: _encoded("RGBA", "AVIF"),
    "halved-colours": lambda: _encoded("RGB", "JPEG", (123, 77), quality=60, subsampling=2, progressive=True),
}
"""Good pictures, small ones, one of each kind."""

percent = st.integers(-100, 100).filter(bool)
side, pixels, ppm = st.integers(1, 160), st.integers(0, 40), st.integers(0, 1_000_000)
rgba = st.sampled_from([0x000000FF, 0xFFFFFFFF, 0x11223380, 0xFF000001]) | st.integers(1, 0xFFFFFFFF).filter(
    lambda c: c & 0xFF
)
found = st.builds(Position, detect=st.sampled_from([Detect.ATTENTION, Detect.ENTROPY]))
places = st.builds(Position, ppm, ppm, st.booleans()) | found
pads = st.tuples(pixels, pixels, pixels, pixels).filter(any)
place = st.builds(
    model.Place, st.builds(Position, ppm, ppm, st.booleans()), st.integers(-30, 30), st.integers(-30, 30),
    st.sampled_from([0, 9000, 3000, -12_345]), st.integers(1, 100),
)  # fmt: skip
shadows = st.none() | st.builds(Shadow, pixels, pixels, st.integers(0, 500), rgba)
DRAWN = {
    model.AutoOrient: st.just(model.AutoOrient()),
    model.Trim: st.builds(model.Trim, st.integers(0, 255)),
    model.Crop: st.builds(model.Crop, side, side, position=places) | st.builds(model.Crop, side, side, pixels, pixels),
    model.AspectCrop: st.builds(model.AspectCrop, side, side, places),
    model.Rotate: st.builds(model.Rotate, st.integers(1, 3)),
    model.Flip: st.just(model.Flip()),
    model.Flop: st.just(model.Flop()),
    model.Tilt: st.builds(model.Tilt, st.integers(-35_999, 35_999).filter(lambda angle: angle % 9000), rgba),
    model.Resize: st.builds(model.Resize, side, side, st.sampled_from([f for f in Fit if f is not Fit.CONTAIN]), st.booleans(), places)
    | st.builds(model.Resize, side, side, st.just(Fit.CONTAIN), st.booleans(), rgba=rgba),
    model.Extend: st.builds(model.Extend, side, side, st.booleans(), rgba=rgba),
    model.Pad: pads.map(lambda sides: model.Pad(*sides)) | pads.map(lambda sides: model.Pad(*sides, fill=Fill.BLUR)),
    model.Blur: st.builds(model.Blur, st.integers(1, 900)),
    model.Sharpen: st.builds(model.Sharpen, st.integers(1, 900)),
    model.Unsharp: st.builds(model.Unsharp, st.integers(1, 900), st.integers(1, 500), st.integers(0, 255)),
    model.Pixelate: st.builds(model.Pixelate, st.integers(2, 200)),
    model.Brightness: st.builds(model.Brightness, percent),
    model.Contrast: st.builds(model.Contrast, percent),
    model.Saturation: st.builds(model.Saturation, percent),
    model.Hue: st.builds(model.Hue, st.integers(-359, 359).filter(bool)),
    model.Gamma: st.builds(model.Gamma, st.integers(10, 1000).filter(lambda n: n != 100)),
    model.Grayscale: st.just(model.Grayscale()),
    model.Sepia: st.builds(model.Sepia, st.integers(1, 100)),
    model.Negate: st.just(model.Negate()),
    model.Tint: st.builds(model.Tint, rgba),
    model.Duotone: st.builds(model.Duotone, rgba.map(lambda c: c | 0xFF), rgba.map(lambda c: c | 0xFF)),
    model.Colorize: st.builds(model.Colorize, rgba),
    model.Gradient: st.builds(model.Gradient, rgba, rgba, st.integers(0, 359), st.integers(0, 499_999), st.integers(500_000, 1_000_000)),
    model.Round: pads.map(lambda radii: model.Round(*radii)),
    model.Mask: st.builds(model.Mask, st.sampled_from(model.Shape)),
    model.Layer: st.builds(
        model.Layer, st.just(LAYER), st.just(()) | st.just((model.Negate(),)), place, st.sampled_from([0, 300_000]),
        st.sampled_from(model.Blend), st.booleans(), shadows,
    ),
    model.Text: st.builds(model.Text, st.text(st.sampled_from("aÄ g<&\n"), min_size=1, max_size=9).filter(str.strip), rgba=rgba, place=place),
    model.Background: st.builds(model.Background, rgba),
}  # fmt: skip
"""Every operation that changes pixels, drawn within its bounds; ones that no table knows yet are left out."""
operations = st.one_of(*(drawn for kind, drawn in DRAWN.items() if kind in RESOLVE or kind in TABLE))
changes = st.lists(operations, min_size=1, max_size=MOST_OPERATIONS).map(tuple)
written = st.builds(
    model.Encode, st.sampled_from([Format.PNG, Format.JPEG, Format.WEBP, Format.GIF, Format.KEEP]), st.sampled_from([0, 40, 95]),
    st.just(model.Speed.FAST),
)  # fmt: skip
recipes = st.builds(lambda ops, encode: (model.AutoOrient(), *ops, encode), changes, written)
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def rendered(name: str, recipe: Recipe):
    """What is made of a source; None where the recipe is refused."""
    body = BODIES[name]()
    layers = Given({LAYER: memoryview(sources.source("alpha").body)})
    try:
        check(recipe, LIMITS)
        (made,) = Vips(LIMITS, Engine()).run(memoryview(body), probe(body), [Task(recipe)], layers)
    except (BadOption, LimitExceeded):  # nothing else: a good picture is never said to be a broken one
        return None
    return made


def test_no_operation_is_left_out():
    """Whatever changes pixels is drawn; the others say what is read, and how it is written."""
    assert DRAWN.keys() == set(get_args(model.Operation)) - {model.Frames, model.Density, model.Encode, model.Describe}


@pytest.mark.parametrize("name", BODIES)
@few
@given(recipe=recipes)
def test_promised_size_or_refused(name, recipe):
    """What is decoded of the answer is of the size that it was said to be, and that the plan promised."""
    made = rendered(name, recipe)
    if made is None:
        return

    picture = Image.open(io.BytesIO(made.body))
    picture.load()
    assert picture.size == (made.width_px, made.height_px)
    assert getattr(picture, "n_frames", 1) <= made.frames  # equal frames in a row are one to some writers
    if not any(isinstance(op, model.Trim) for op in recipe):
        info = probe(BODIES[name]())
        info = replace(info, orientation=6) if name == "rotated" else info
        alpha = {LAYER: probe(sources.source("alpha").body)}
        size = resolve(normal(recipe), (), info, LIMITS, layers=alpha).size
        assert picture.size == (size.width, size.height)


@few
@given(name=st.sampled_from(sorted(BODIES)), recipe=recipes, other=recipes, data=st.data())
def test_keys_tell_what_bytes_tell(name, recipe, other, data):
    """Where one value of a recipe changes its bytes, it changes its key; what has one key has one body, made anew."""
    at = data.draw(st.integers(0, len(recipe) - 1))
    same_kind = [op for op in other if type(op) is type(recipe[at])]
    changed = data.draw(DRAWN[type(recipe[at])] if type(recipe[at]) in DRAWN else st.sampled_from(same_kind))
    near = (*recipe[:at], changed, *recipe[at + 1 :])
    again = msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe)

    assert key(again) == key(recipe)
    first, second, third = rendered(name, recipe), rendered(name, near), rendered(name, again)
    assert (first and first.body) == (third and third.body)
    if (first and first.body) != (second and second.body):
        assert key(near) != key(recipe)


def key(recipe: Recipe) -> str:
    return result_key(REF, normal(recipe))
