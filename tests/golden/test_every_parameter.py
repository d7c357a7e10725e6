"""No parameter is read and ignored: another value makes other bytes, and has another key."""

import io

import pytest
from PIL import Image

from golden import pictures, sources
from imagemill.dialects.native import PARAMETERS, Native
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.layers import Given
from imagemill.engines.vips import Vips
from imagemill.model.recipe import SourceRef
from imagemill.plan.prepare import prepare
from imagemill.settings import Engine, Limits

LAYER = SourceRef("local", "a/layer")


def _plain():
    return pictures.encoded(pictures.photo(120, 80), "PNG")


def _bordered():
    """Corners of two colours, a border of each, and neither as wide on the left as on the right."""
    picture = Image.new("RGB", (120, 80), "white")
    picture.paste("black", (100, 70, 120, 80))
    picture.paste(pictures.photo(60, 50), (10, 15))
    return pictures.encoded(picture, "PNG")


def _told():
    """With EXIF that says more than who made it."""
    tags = Image.Exif()
    tags[0x8298], tags[0x010E] = "whose it is", "what it shows"
    return pictures.encoded(pictures.photo(120, 80), "JPEG", quality=90, exif=tags.tobytes())


def _drawn():
    return b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><circle cx="20" cy="15" r="9"/></svg>'


def _named(name):
    return lambda: sources.source(name).body


WM = "watermark=local:a/other&wm_scale=0.5"
TEXT = "text=ab"
VALUES = {
    "page": ("format=png", "0", "1", _named("animated-gif")), "frames": ("", "2", "3", _named("animated-gif")),
    "loop": ("", "1", "2", _named("animated-gif")), "delay": ("", "50", "70", _named("animated-gif")), "density": ("format=png", "96", "192", _drawn), "width": ("", "50", "60"), "height": ("", "50", "60"), "fit": ("width=50&height=50", "cover", "fill"),
    "enlarge": ("width=200", "0", "1"), "min_width": ("width=20", "30", "40"), "min_height": ("width=20", "30", "40"),
    "dpr": ("width=20", "1", "2"), "trim": ("", "5", "250", _bordered), "trim_color": ("trim=5", "fff", "000", _bordered),
    "trim_corner": ("trim=5", "top-left", "bottom-right", _bordered), "trim_equal": ("trim=5", "x", "y", _bordered),
    "crop": ("", "9,9,30,30", "8,9,30,30"), "aspect": ("", "1:1", "1:2"), "gravity": ("crop=30,30", "north", "attention"),
    "focus": ("crop=30,30", "0.2,0.2", "0.8,0.2"), "orient": ("", "0", "1", _named("rotated")), "rotate": ("", "90", "270"),
    "flip": ("", "0", "1"), "flop": ("", "0", "1"), "tilt": ("", "10", "-10"), "extend": ("", "200,200", "200,201"),
    "extend_gravity": ("extend=200,200", "north", "south"), "pad": ("", "5", "5,6"), "fill": ("pad=9", "f00", "blur"),
    "blur": ("", "1", "2"), "sharpen": ("", "1", "2"), "unsharp": ("", "1,100", "1,200"), "pixelate": ("", "4", "5"),
    "brightness": ("", "10", "-10"), "contrast": ("", "10", "-10"), "saturation": ("", "10", "-10"), "hue": ("", "10", "-10"),
    "gamma": ("", "2", "0.5"), "grayscale": ("", "0", "1"), "sepia": ("", "50", "100"), "negate": ("", "0", "1"),
    "tint": ("", "f00", "ff000080"), "duotone": ("", "000,f00", "f00,000"), "colorize": ("", "ff000080", "ff000081"),
    "gradient": ("", "000,ffffff00", "000,ffffff00,90"), "radius": ("", "9", "9,0,9,9"), "mask": ("", "star", "star-180"),
    "background": ("", "f00", "00f", _named("alpha")), "watermark": ("", "local:a/layer", "local:a/other"),
    "wm_gravity": (WM, "north", "south"), "wm_x": (WM, "5", "6"), "wm_y": (WM, "5", "6"), "wm_scale": ("watermark=local:a/other", "0.2", "0.3"),
    "wm_rotate": (WM, "10", "20"), "wm_opacity": (WM, "50", "60"), "wm_blend": (WM, "multiply", "screen"),
    "wm_tile": (WM, "0", "1"), "wm_shadow": (WM, "5,5", "5,5,9"),
    "wm_ops": (WM, "negate", "gamma:2"), "ops": ("", "hue:50/gamma:2", "gamma:2/hue:50"), "format": ("", "jpeg", "webp"),
    "quality": ("format=jpeg", "50", "60"), "speed": ("format=webp", "fast", "small"), "max_bytes": ("format=jpeg", "2000", "1500"),
    "lossless": ("format=webp", "0", "1"), "colors": ("format=png", "16", "32"), "dither": ("format=png&colors=8", "0", "100"),
    "progressive": ("format=jpeg", "0", "1"), "subsampling": ("format=jpeg", "420", "444"), "effort": ("format=webp", "0", "4"),
    "bits": ("format=png", "8", "16", _named("deep")), "colorspace": ("format=png", "srgb", "keep", _named("rgb-profile")),
    "icc": ("format=png", "0", "1"), "metadata": ("", "copyright", "all", _told),
    "text": ("text_size=16", "one", "two"), "text_font": (TEXT, "DejaVu%20Sans", "DejaVu%20Sans%20Bold"), "text_size": (TEXT, "14", "15"),
    "text_color": (TEXT, "f00", "00f"), "text_width": ("text=a%20b%20c&text_size=16", "20", "60"),
    "text_align": ("text=a%0Ab%20c&text_size=16", "left", "right"), "text_gravity": (TEXT, "north", "south"), "text_x": (TEXT, "3", "4"),
    "text_y": (TEXT, "3", "4"), "text_rotate": (TEXT, "10", "20"), "text_opacity": (TEXT, "50", "60"), "text_shadow": (TEXT, "3,3", "3,3,2"),
}  # fmt: skip
"""What else is said, two values, and a source other than the plain one where that would not show it."""
OF_DELIVERY = {"source", "preset", "ttl", "tags", "expires", "filename", "attachment"}
"""They say which picture, or how it is handed out."""


def rendered(source, query):
    """The bytes and the key of a URL."""
    plan = prepare(Native(Limits(), str).parse(f"source=local:a/b&{query}".encode()), Limits())
    layers = {LAYER: _named("alpha")(), SourceRef("local", "a/other"): _named("grey")()}
    given = Given({ref: memoryview(body) for ref, body in layers.items() if ref.address in query})
    tasks = [Task(plan.recipe, plan.candidates)]
    (made,) = Vips(Limits(), Engine()).run(memoryview(source), probe(source), tasks, given)
    Image.open(io.BytesIO(made.body)).load()
    return made.body, plan.key


def test_none_is_forgotten():
    """A new parameter is shown here to do something."""
    assert {p.name for p in PARAMETERS} == VALUES.keys() | OF_DELIVERY


@pytest.mark.parametrize("name", VALUES)
def test_another_value_is_another_picture(name):
    """Other bytes, other key; and the same again for the same."""
    beside, one, other, *source = VALUES[name]
    body = source[0]() if source else _plain()
    queries = [f"{beside}&{name}={value}".lstrip("&") for value in (one, other, one)]

    (first, first_key), (second, second_key), again = (rendered(body, query) for query in queries)

    assert first != second
    assert first_key != second_key
    assert again == (first, first_key)
