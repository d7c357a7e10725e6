"""Vector pictures against resvg, an independent renderer: what is drawn, at which size, and what is done to it.

Tolerance: colours multiplied by alpha, 0 to 255; a mean difference of `MEAN`, and no more than one pixel in a hundred
off by `FAR`: two renderers smooth the edge of a shape in their own ways, and nothing else.
"""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import resvg_py
from PIL import Image

from golden.mill import mill
from golden.reference import difference, expected
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.model.errors import BadOption
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Density, Describe
from imagemill.settings import Engine, Limits

MEAN, FAR = 1.5, 48
NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def svg(body, attributes='viewBox="0 0 64 48"'):
    return f"<svg {NS} {attributes}>{body}</svg>"


DRAWN = {
    "shapes": svg('<rect x="4" y="4" width="20" height="12" rx="3" fill="#c30"/><circle cx="44" cy="12" r="9" fill="teal"/><ellipse cx="16" cy="34" rx="12" ry="7"/>'
                  '<polygon points="34,44 48,24 62,44" fill="gold" stroke="navy" stroke-width="2"/><line x1="2" y1="46" x2="62" y2="20" stroke="#0a0" stroke-width="3"/>'),
    "paths": svg('<path d="M8 40C8 8 56 8 56 40S32 46 32 24 8 40 8 40z" fill="#639" fill-rule="evenodd"/><path d="M4 4a9 9 0 0 1 18 0q9 9 18 0t18 0" fill="none" stroke="#e50" stroke-width="2" stroke-dasharray="4 2" stroke-linecap="round"/>'),
    "gradients": svg('<defs><linearGradient id="l"><stop stop-color="red"/><stop offset=".5" stop-color="#ff0" stop-opacity=".4"/><stop offset="1" stop-color="blue"/></linearGradient>'
                     '<radialGradient id="r" cx=".3" cy=".3"><stop stop-color="white"/><stop offset="1" stop-color="#064"/></radialGradient></defs><rect width="64" height="24" fill="url(#l)"/><circle cx="32" cy="36" r="11" fill="url(#r)"/>'),
    "use": svg('<defs><g id="a"><rect width="10" height="10" fill="#08f"/><circle r="4" fill="#f80"/></g></defs><use href="#a" x="6" y="6"/><use xlink:href="#a" transform="translate(40 20) rotate(30) scale(1.5)"/><use href="#a" x="20" y="30" opacity=".5"/>'),
    "clip and mask": svg('<clipPath id="c"><circle cx="20" cy="24" r="14"/></clipPath><mask id="m"><rect width="64" height="48" fill="#888"/></mask><rect width="64" height="48" fill="#a04" clip-path="url(#c)"/><rect x="36" y="8" width="24" height="32" fill="#04a" mask="url(#m)"/>'),
    "style": svg('<style>rect{fill:#284} .b{fill:none;stroke:#f0f;stroke-width:3}</style><rect x="4" y="4" width="24" height="40"/><circle class="b" cx="46" cy="24" r="14"/><path d="M30 4v40" style="stroke:#123;stroke-width:2"/>'),
    "off the shape": svg('<rect width="40" height="40" fill="#c60"/><circle cx="20" cy="20" r="15" fill="#06c"/>', 'width="64" height="48" viewBox="0 0 40 40"'),
    "slice": svg('<rect width="40" height="40" fill="#c60"/><circle cx="20" cy="20" r="15" fill="#06c"/>', 'width="64" height="48" viewBox="0 0 40 40" preserveAspectRatio="xMinYMax slice"'),
    "shares": svg('<rect width="50%" height="100%" fill="#0c6"/><circle cx="75%" cy="50%" r="10" fill="#60c"/>', 'width="64" height="48"'),
    "pattern": svg('<pattern id="p" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="4" height="4" fill="#444"/><rect x="4" y="4" width="4" height="4" fill="#d22"/></pattern><rect width="64" height="48" fill="url(#p)"/>'),
    "colours": svg('<filter id="f" color-interpolation-filters="sRGB"><feColorMatrix type="saturate" values=".2"/></filter><g filter="url(#f)"><rect width="32" height="48" fill="#d22"/><rect x="32" width="32" height="48" fill="#2d2"/></g>'),
}  # fmt: skip


def premultiplied(picture):
    pixels = np.asarray(picture.convert("RGBA"), np.float64)
    return np.dstack([pixels[..., :3] * pixels[..., 3:] / 255, pixels[..., 3]])


def made(file, **asked):
    return Image.open(io.BytesIO(mill(file.encode(), format="png", **asked).body))


def reference(file, width, height):
    """What resvg draws, at just that size: where the proportions leave no other."""
    body = bytes(resvg_py.svg_to_bytes(svg_string=file, width=width, height=height, skip_system_fonts=True))
    picture = Image.open(io.BytesIO(body))
    assert picture.size == (width, height)
    return picture


def assert_like(picture, wanted):
    assert picture.size == wanted.size
    off = np.abs(premultiplied(picture) - premultiplied(wanted))
    assert off.mean() <= MEAN
    assert (off.max(axis=2) > FAR).mean() <= 0.01


@pytest.mark.parametrize("width", [64, 256, 640])
@pytest.mark.parametrize("name", DRAWN)
def test_drawn(name, width):
    """At its own size and at ten times it, without `enlarge`: as sharp as if it were drawn for that size."""
    assert_like(made(DRAWN[name], width=width), reference(DRAWN[name], width, width * 48 // 64))


@pytest.mark.parametrize("name", DRAWN)
def test_crop_and_enlarge(name):
    """A quarter of it at four times the size is that part of a large drawing."""
    wanted = reference(DRAWN[name], 512, 384).crop((64, 96, 320, 288))
    assert_like(made(DRAWN[name], crop="8,12,32,24", width=256), wanted)


@pytest.mark.parametrize(
    ("asked", "done"),
    [
        ({"rotate": 90}, lambda p: p.transpose(Image.Transpose.ROTATE_270)), ({"rotate": 180}, lambda p: p.transpose(Image.Transpose.ROTATE_180)),
        ({"rotate": 270}, lambda p: p.transpose(Image.Transpose.ROTATE_90)), ({"flip": 1}, lambda p: p.transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
        ({"flop": 1}, lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), ({"crop": "32,24", "gravity": "southeast"}, lambda p: p.crop((128, 96, 256, 192))),
    ],
)  # fmt: skip
def test_turned(asked, done):
    """Quarter turns, mirrors and crops, at four times the size."""
    for name in ("shapes", "off the shape", "use"):
        wanted = done(reference(DRAWN[name], 256, 192))
        assert_like(made(DRAWN[name], width=wanted.width, **asked), wanted)


def test_fits():
    """Every way to meet a box: exact, filled from edge to edge."""
    file = svg('<rect width="64" height="48" fill="#c30"/>')
    for asked, size in (
        ({"width": 100, "height": 100, "fit": "cover"}, (100, 100)), ({"width": 101, "height": 7, "fit": "fill"}, (101, 7)),
        ({"width": 333}, (333, 250)), ({"height": 77}, (103, 77)), ({"width": 90, "height": 90, "fit": "outside"}, (120, 90)),
    ):  # fmt: skip
        picture = made(file, **asked)
        assert picture.size == size
        assert picture.getextrema() == ((0xCC, 0xCC), (0x33, 0x33), (0, 0), (255, 255)), asked
    assert made(file, width=90, height=90, fit="contain").getpixel((45, 1))[3] == 0


@pytest.mark.parametrize(
    "asked", [{"blur": "4"}, {"sharpen": "2"}, {"blur": "2", "background": "08f"}, {"background": "fff"}]
)
def test_pixels(asked):
    """The first operation on pixels, and those behind it, meet a drawing of the size that is wanted."""
    wanted = expected(np.asarray(reference(DRAWN["shapes"], 256, 192).convert("RGBA"), float), **asked)
    found = np.asarray(made(DRAWN["shapes"], width=256, **asked).convert("RGBA"), float)
    assert difference(found, wanted) <= 2 * MEAN


@pytest.mark.parametrize(("format_", "wanted"), [("keep", Format.PNG), ("jpeg", Format.JPEG), ("webp", Format.WEBP), ("gif", Format.GIF), ("avif", Format.AVIF)])  # fmt: skip
def test_formats(format_, wanted):
    """Drawn as any of them; never handed on as it is. Ground is white where there is no transparency."""
    file = svg('<circle cx="32" cy="24" r="20" fill="#c30"/>')
    rendition = mill(file.encode(), format=format_, width=128)
    assert rendition.format is wanted
    assert b"<svg" not in rendition.body
    corner = Image.open(io.BytesIO(rendition.body)).convert("RGBA").getpixel((2, 2))
    assert corner == (255, 255, 255, 255) if wanted is Format.JPEG else corner[3] == 0


def test_density():
    """Inches and points come out at so many pixels; pixels cannot be read at another density."""
    file = svg('<rect width="100%" height="100%" fill="#c30"/>', 'width="1in" height="36pt"')
    assert made(file).size == (96, 48)
    assert made(file, density=300).size == (300, 150)
    assert made(file, density=300, crop="0,0,150,150").size == (150, 150)
    out = io.BytesIO()
    Image.new("RGB", (9, 9)).save(out, "PNG")
    with pytest.raises(BadOption, match="vector"):
        mill(out.getvalue(), density=300)


def test_trimmed():
    """What a trim leaves is drawn at the size that is wanted: as sharp as the rest."""
    file = svg('<rect x="16" y="12" width="32" height="24" fill="#c30"/><circle cx="32" cy="24" r="6"/>')
    wanted = reference(file, 640, 480).crop((160, 120, 480, 360))
    assert_like(made(file, trim=10, width=320), wanted)


def test_as_a_layer():
    """A vector picture is laid on another one at the size that it is to have there, in its own recipe."""
    out = io.BytesIO()
    Image.new("RGB", (400, 300), "white").save(out, "PNG")
    icon = svg('<circle cx="32" cy="24" r="20" fill="#c30"/>')
    rendition = mill(
        out.getvalue(), format="png", layers={"local:w/m": icon.encode()}, watermark="local:w/m", wm_gravity="northwest",
        wm_ops="resize:200",
    )  # fmt: skip
    picture = Image.open(io.BytesIO(rendition.body)).convert("RGB")
    assert picture.size == (400, 300)
    assert picture.getpixel((100, 75)) == (0xCC, 0x33, 0)
    assert picture.getpixel((300, 200)) == (255, 255, 255)


def test_told():
    """What ``/info`` tells of a vector picture: its own size, colours of its drawing, the size of what is made of it."""
    file = svg('<rect width="64" height="48" fill="#c30"/>').encode()
    asked = (Density(192), AutoOrient(), Describe(colours=2))
    (made,) = Vips(Limits(), Engine()).run(memoryview(file), probe(file), [Task(asked)])
    told = json.loads(made.body)
    assert (told["format"], told["width"], told["height"], told["alpha"], told["color_space"]) == (
        "svg",
        64,
        48,
        True,
        "rgb",
    )
    assert (told["rendition"], told["dominant_color"]) == ({"width": 128, "height": 96}, "#cc3300")


def test_texts_do_not_tell_what_was_written_before():
    """A new worker draws a text in a vector picture as one does that has written texts: in our font."""
    script = f"""
from golden.mill import mill

def drawn(family):
    file = '<svg {NS} width="90" height="30"><text y="20" font-family="{{}}">mill</text></svg>'.format(family)
    return mill(file.encode(), format="png").body

first = drawn("DejaVu Sans")
mill(b'<svg {NS} width="90" height="30"/>', format="png", text="mill", text_font="DejaVu%20Sans%20Bold")
assert drawn("DejaVu Sans") == first
"""
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)

    assert ran.returncode == 0, ran.stderr
