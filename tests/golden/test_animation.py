"""Animations: every frame, its time and the loop; nothing bleeds from one frame into the next."""

import io

import numpy as np
import pytest
from PIL import Image

from golden import pictures, reference
from golden.mill import mill
from imagemill.model.errors import LimitExceeded
from imagemill.settings import Limits

DURATIONS = (40, 120, 70, 300)


def timing(body):
    picture = Image.open(io.BytesIO(body))
    times = []
    for n in range(picture.n_frames):
        picture.seek(n)
        picture.load()
        times.append(picture.info.get("duration"))
    return times, picture.info.get("loop")


@pytest.mark.parametrize("given", [{}, {"width": 30}, {"width": 23, "flip": "1"}])
@pytest.mark.parametrize("to", ["gif", "webp", "keep"])
@pytest.mark.parametrize("source", ["GIF", "WEBP"])
def test_frames_timing_and_loop(source, to, given):
    """Both animated formats, both ways, and kept."""
    body = pictures.animation(source)

    made = mill(body, format=to, **given)

    assert made.frames == len(DURATIONS)
    times, loop = timing(made.body)
    assert times == list(DURATIONS)
    # GIF counts repeats after the first showing; libvips and Pillow both speak of showings for WebP
    assert loop == timing(body)[1] or {source.lower(), made.format} == {"gif", "webp"}


@pytest.mark.parametrize(
    "given",
    [
        {"width": 30}, {"width": 30, "height": 30, "fit": "contain", "background": "fff"}, {"rotate": "90"},
        {"width": 20, "height": 30, "fit": "cover"}, {"crop": "10,5,30,20"}, {"flip": "1", "flop": "1"},
        {"blur": "1.2"}, {"width": 200, "enlarge": "1"}, {"sharpen": "1"},
    ],
)  # fmt: skip
def test_every_frame_alone(given):
    """Each frame is what it would be as a picture of its own: no line of its neighbours is in it."""
    body = pictures.animation("WEBP")

    made = mill(body, format="webp", quality="100", **given)

    for n in range(len(DURATIONS)):
        wanted = reference.expected(reference.opened(body, n), **given)
        assert reference.difference(reference.opened(made.body, n), wanted) < 6, n


def test_no_bleeding_at_the_edges():
    """The first and last lines of a frame have its own colour, when scaled and when blurred."""
    flat = [Image.new("RGB", (50, 50), colour) for colour in ("#000", "#fff", "#000", "#fff")]
    body = pictures.encoded(flat[0], "WEBP", save_all=True, append_images=flat[1:], duration=50, lossless=True)
    for given in ({"width": 17}, {"width": 99, "enlarge": "1"}, {"blur": "5"}):
        made = mill(body, quality="100", **given)
        for n in range(4):
            frame = reference.opened(made.body, n)[..., :3]
            assert np.abs(frame - 255 * (n % 2)).max() <= 2


@pytest.mark.parametrize("to", ["jpeg", "png", "tiff", "jxl"])
def test_first_frame_where_there_are_no_frames(to):
    """Other formats get the first frame."""
    body = pictures.animation("GIF")
    made = mill(body, format=to, quality=95)
    assert made.frames == 1
    assert reference.difference(reference.opened(made.body), reference.opened(body)) < 4


def test_auto_keeps_the_animation():
    """An animation is answered as WebP where that is accepted, else as GIF; never as a still AVIF."""
    body = pictures.animation("GIF")
    for accept, format_ in ((b"image/avif,image/webp", "webp"), (b"image/avif", "gif"), (b"", "gif")):
        made = mill(body, accept, format="auto")
        assert (made.format, made.frames) == (format_, 4)


def test_disposal_and_partial_frames():
    """Frames that paint a part over what was there come out whole."""
    frames = [Image.new("P", (60, 40), 0) for _ in range(3)]
    for n, frame in enumerate(frames):
        frame.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
        frame.paste(n + 1, (n * 20, 0, n * 20 + 20, 40))
    for disposal in (1, 2):
        body = pictures.encoded(
            frames[0], "GIF", save_all=True, append_images=frames[1:], duration=60, disposal=disposal, transparency=0
        )
        made = mill(body, format="gif")
        for n in range(3):
            wanted = reference.opened(body, n)
            assert reference.difference(reference.opened(made.body, n), wanted) < 1, (disposal, n)


def test_frames_limit_names_itself():
    """D04: 201 frames are too many to keep, and no trouble where only the first is wanted."""
    frames = [Image.new("L", (8, 8), n) for n in range(201)]
    body = pictures.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=20)
    assert mill(body, format="png").frames == 1
    with pytest.raises(LimitExceeded) as caught:
        mill(body, format="webp")
    assert caught.value.limit == "frames"
    with pytest.raises(LimitExceeded) as caught:
        mill(body, format="webp", limits=Limits(frames=500, total_pixels=10_000))
    assert caught.value.limit == "total_pixels"
