"""The three speeds: valid pictures, the same look, other bytes."""

import io

import pytest
from PIL import Image

from golden import pictures, reference
from golden.mill import mill
from imagemill.model.media import Format
from imagemill.settings import Engine

SPEEDS = ["fast", "balanced", "small"]
TOLERANCE = {"jpeg": 4, "png": 1.5, "webp": 4, "avif": 4, "gif": 16}
"""Mean difference at default quality; GIF has 256 colours and dithers."""
PHOTO = pictures.encoded(pictures.photo(), "PNG")


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("to", TOLERANCE)
def test_every_speed_in_every_format(to, speed):
    """The picture that was asked for, in the format that was asked for."""
    made = mill(PHOTO, format=to, width=300, speed=speed)

    found = Image.open(io.BytesIO(made.body))
    assert (made.format, found.format.lower(), found.size) == (Format(to), to, (300, 200))
    wanted = reference.expected(reference.opened(PHOTO), width=300)
    assert reference.difference(reference.opened(made.body), wanted) < TOLERANCE[to]


@pytest.mark.parametrize("to", ["jpeg", "webp", "avif"])
@pytest.mark.parametrize("quality", ["40", "80"])
def test_look_is_held(to, quality):
    """A quality means the same look at every speed: nearly the same difference from the source."""
    wanted = reference.opened(PHOTO)
    found = [reference.difference(reference.opened(mill(PHOTO, format=to, quality=quality, speed=s).body), wanted)
             for s in SPEEDS]  # fmt: skip
    assert max(found) < 1.25 * min(found)


@pytest.mark.parametrize("to", TOLERANCE)
def test_small_is_small(to):
    """It needs the fewest bytes, in every format."""
    sizes = {speed: len(mill(PHOTO, format=to, speed=speed).body) for speed in SPEEDS}
    assert sizes["small"] <= sizes["balanced"]
    assert sizes["small"] < sizes["fast"]


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("to", ["webp", "gif"])
def test_animations(to, speed):
    """Every frame is there and is what it was."""
    body = pictures.animation("WEBP")

    made = mill(body, format=to, width=30, speed=speed)

    assert made.frames == 4
    for n in range(made.frames):
        wanted = reference.expected(reference.opened(body, n), width=30)
        assert reference.difference(reference.opened(made.body, n), wanted) < TOLERANCE[to], n


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_server_says_what_a_url_does_not(speed):
    """Without ``speed`` it is the server's; with one, the server's does not count."""
    wanted = mill(PHOTO, format="png", speed=speed).body
    assert mill(PHOTO, format="png", settings=Engine(speed=speed)).body == wanted
    assert mill(PHOTO, format="png", settings=Engine(speed="fast"), speed=speed).body == wanted


def test_transparency_at_every_speed():
    """What shines through does so at every speed, also where libvips is not asked to encode it."""
    body = pictures.encoded(pictures.disc(), "PNG")
    for speed in SPEEDS:
        for to in ("png", "webp", "avif"):
            found = reference.opened(mill(body, format=to, width=80, speed=speed).body)
            assert reference.difference(found, reference.expected(reference.opened(body), width=80)) < 6


@pytest.mark.parametrize("background", ["11223380", "fff"])
def test_background_below_transparency_in_webp(background):
    """A colour is laid below before the rows are encoded."""
    body = pictures.encoded(pictures.disc(), "PNG")
    made = reference.opened(mill(body, format="webp", quality="100", background=background, width=80).body)
    assert reference.difference(made, reference.expected(reference.opened(body), width=80, background=background)) < 4
