"""Animations as they are written: frames, times and loops in GIF, WebP, APNG and AVIF, read by Pillow."""

import numpy as np
import pytest
from PIL import Image

from golden import pictures, reference, reference_encoding
from golden.mill import mill
from golden.reference_encoding import opened

TO = ["gif", "webp", "apng", "avif"]
LOSSLESS = {"webp": {"lossless": "1"}, "apng": {}}
DURATIONS = (40, 120, 70, 300)


def timing(body):
    picture, times = opened(body), []
    for n in range(picture.n_frames):
        picture.seek(n)
        picture.load()
        times.append(picture.info.get("duration"))
    return times


def plays(body):
    """Showings; 0 = for ever."""
    picture = opened(body)
    if picture.format == "AVIF":
        return reference_encoding.avif_plays(body)
    if picture.format == "GIF":  # its extension says how often it is repeated, and is missing where it is not
        return picture.info["loop"] + 1 if picture.info.get("loop") else 0 if "loop" in picture.info else 1
    return picture.info["loop"]


@pytest.mark.parametrize("loop", [0, 1, 5])
@pytest.mark.parametrize("source", ["GIF", "WEBP"])
@pytest.mark.parametrize("to", TO)
def test_frames_times_and_plays(to, source, loop):
    """Each frame as long, and the whole as often, as in the source."""
    body = pictures.animation(source, DURATIONS, loop)
    made = mill(body, format=to, width="30")
    assert made.frames == len(DURATIONS)
    assert timing(made.body) == list(DURATIONS)
    assert plays(made.body) == plays(body)


@pytest.mark.parametrize("to", ["webp", "apng", "avif"])
def test_long_and_odd_times(to):
    """To the millisecond, beyond 16 bits of them too."""
    durations = (11, 33, 65_535, 70_000, 70_010)
    assert timing(mill(pictures.animation("WEBP", durations), format=to).body) == list(durations)


@pytest.mark.parametrize("to", ["webp", "apng", "avif"])
def test_short_times_are_what_browsers_show(to):
    """Up to 10 ms is a tenth of a second; of a GIF that is known, and it keeps what was said."""
    assert timing(mill(pictures.animation("WEBP", (5, 10, 50)), format=to).body) == [100, 100, 50]


@pytest.mark.parametrize(
    "given", [{}, {"width": "30"}, {"rotate": "90"}, {"blur": "2"}, {"width": "30", "height": "30", "fit": "contain"}]
)
@pytest.mark.parametrize("to", TO)
def test_every_frame(to, given):
    """What stands on each frame, transparency too."""
    frames = []
    for n in range(4):
        frame = pictures.disc(size=60).rotate(0)
        frame.paste((10, 40 * n, 200, 255), (10 * n, 5, 10 * n + 12, 50))
        frames.append(frame)
    body = pictures.encoded(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True, exact=True
    )
    made = mill(body, format=to, **given, **({"quality": "95"} if to in {"avif", "webp"} else {}))
    for n in range(4):
        wanted = reference.expected(reference.opened(body, n), **given)
        found = reference.opened(made.body, n)
        if to == "gif":  # a pixel of it is there or not
            sure = (wanted[..., 3] < 3) | (wanted[..., 3] > 252)
            found, wanted = found[sure][None], wanted[sure][None]
        assert reference.difference(found, wanted) < {"gif": 12, "webp": 6}.get(to, 4), n


@pytest.mark.parametrize("to", LOSSLESS)
@pytest.mark.parametrize("speed", ["fast", "balanced", "small"])
def test_lossless_frames(to, speed):
    """Not one pixel differs, whatever changed between frames."""
    rng = np.random.default_rng(9)
    frames = [rng.integers(0, 256, (40, 50, 3), np.uint8)]
    for box in ((0, 0, 5, 5), (39, 49, 40, 50), (0, 0, 0, 0), (10, 3, 30, 44)):
        frame = frames[-1].copy()
        frame[box[0] : box[2], box[1] : box[3]] ^= 0x5A
        frames.append(frame)
    # frames that do not differ are joined by the writer of the source unless something tells them apart
    pics = [Image.fromarray(frame) for frame in frames]
    body = pictures.encoded(
        pics[0], "WEBP", save_all=True, append_images=pics[1:], duration=[20, 30, 40, 50, 60], lossless=True
    )
    made = mill(body, format=to, speed=speed, **LOSSLESS[to])
    assert sum(timing(made.body)) == sum(timing(body)) == 200
    source = opened(body)
    for n in range(source.n_frames):
        assert (reference.opened(made.body, n) == reference.opened(body, n)).all()


def test_apng_is_a_png():
    """A reader that knows no frames sees the first; there are no frames in one that has one."""
    body = mill(pictures.animation("GIF"), format="apng").body
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    assert body.index(b"acTL") < body.index(b"IDAT") < body.index(b"fdAT")
    still = mill(pictures.encoded(pictures.photo(60, 40), "PNG"), format="apng")
    assert still.frames == 1
    assert (reference.opened(still.body) == np.asarray(pictures.photo(60, 40).convert("RGBA"))).all()


@pytest.mark.parametrize("to", ["webp", "apng"])
def test_animations_in_p3(to):
    """Every frame in the colours that the profile names."""
    body = pictures.animation("WEBP")
    made = mill(body, format=to, colorspace="p3", **LOSSLESS[to])
    assert "icc_profile" in opened(made.body).info
    for n in range(len(DURATIONS)):
        wanted = reference_encoding.p3_of(reference.opened(body, n)[..., :3])
        assert np.abs(reference.opened(made.body, n)[..., :3] - wanted).mean() < 1.5
