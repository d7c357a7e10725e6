"""Frames and pages: which are read, how they are composed, how they are played."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from golden import inputs, pictures, reference
from golden.mill import mill
from imagemill.engines import decoders
from imagemill.engines.headers import probe
from imagemill.model.errors import BadOption, ImageCorrupt, LimitExceeded, PageMissing
from imagemill.model.media import Format
from imagemill.settings import Limits

DURATIONS = (40, 120, 70, 300)
CANVAS = (40, 60)


def square(colour, size=(14, 20), alpha=255):
    return np.full((*size, 4), (*colour, alpha), np.uint8)


def scenes(blend, dispose):
    """Frames at offsets, of every disposal, opaque and half transparent."""
    ground = np.dstack([np.asarray(pictures.gradient(60, 40)), np.full(CANVAS, 255)])
    return [
        (ground, (0, 0), (4, 100), 0, 0),
        (square((250, 0, 0), alpha=128), (5, 6), (1, 10), dispose, blend),
        (square((0, 250, 0), alpha=200), (20, 10), (70, 1000), dispose, blend),
        (square((0, 0, 250), (40, 60), alpha=90), (0, 0), (3, 10), 0, blend),
    ]


def played(body):
    """Every frame, its time, and the loop, by Pillow."""
    picture, frames, times = Image.open(io.BytesIO(body)), [], []
    for n in range(picture.n_frames):
        picture.seek(n)
        picture.load()
        frames.append(inputs.rgba(picture))
        times.append(picture.info.get("duration"))
    return frames, times, picture.info.get("loop")


@pytest.mark.parametrize("dispose", [0, 1, 2])
@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize("given", [{}, {"flip": "1"}, {"width": 30}])
def test_apng_is_composed(blend, dispose, given):
    """Offset, disposal and blending, frame by frame, as the specification has them."""
    frames = scenes(blend, dispose)
    body = inputs.apng(CANVAS, frames, plays=3)

    made = mill(body, format="webp", quality=100, **given)

    found, times, loop = played(made.body)
    assert (made.frames, times, loop) == (4, [40, 100, 70, 300], 3)
    for n, wanted in enumerate(inputs.composed(CANVAS, frames)):
        assert reference.difference(found[n], reference.expected(wanted, **given)) < 7, n
        still = mill(body, format="png", page=n, **given)
        assert reference.difference(inputs.read(still.body), reference.expected(wanted, **given)) < (
            2 if given else 0.6
        ), n


def test_hidden_picture_of_an_apng():
    """What only viewers without APNG would see is no frame."""
    frames = scenes(0, 0)
    body = inputs.apng(CANVAS, frames, hidden=square((9, 9, 9), CANVAS))
    wanted = inputs.composed(CANVAS, frames)
    found, times, _ = played(mill(body, format="webp", quality=100).body)
    assert times == [40, 100, 70, 300]
    assert reference.difference(found[0], wanted[0]) < 5
    assert reference.difference(inputs.read(mill(body, format="png").body), wanted[0]) < 1
    assert reference.difference(inputs.read(mill(body, format="png", page=2).body), wanted[2]) < 1


def moving(kind):
    """Four frames, their times and four loops, in any format that moves."""
    if kind == "APNG":
        frames = [
            (np.asarray(f.convert("RGBA")), (0, 0), (ms, 1000), 0, 0) for f, ms in zip(drawn(), DURATIONS, strict=True)
        ]
        return inputs.apng(CANVAS, frames, plays=5)
    if kind == "AVIF":
        first, *rest = drawn()
        return pictures.encoded(first, "AVIF", save_all=True, append_images=rest, duration=list(DURATIONS), quality=95)
    return pictures.animation(kind)


def drawn():
    """The frames of `pictures.animation`."""
    body = pictures.animation("WEBP")
    return [Image.fromarray(reference.opened(body, n).astype(np.uint8)).convert("RGB") for n in range(4)]


KINDS = ["GIF", "WEBP", "APNG", "AVIF"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("to", ["gif", "webp"])
@pytest.mark.parametrize("given", [{}, {"width": 30}, {"crop": "10,5,30,20", "rotate": "90"}, {"blur": "1"}])
def test_every_source_that_moves(kind, to, given):
    """Frames, times and pixels from every format that moves into every one that does."""
    made = mill(moving(kind), format=to, quality=100, **given)

    found, times, _ = played(made.body)
    assert (made.frames, times) == (4, list(DURATIONS))
    for n, frame in enumerate(drawn()):
        assert reference.difference(found[n], reference.expected(inputs.rgba(frame), **given)) < 9, n


def test_apng_whose_first_frame_is_smaller():
    """Its canvas is clear before, also where no pixel of the file is: a picture that is no frame came first."""
    frames = [
        (square((250, 0, 0))[..., :3], (5, 6), (1, 10), 0, 0),
        (square((0, 250, 0))[..., :3], (20, 10), (1, 10), 0, 0),
    ]
    body = inputs.apng(CANVAS, frames, hidden=np.zeros((*CANVAS, 3)))
    body = body[:8] + pictures.chunk(b"IHDR", body[16:25] + b"\2" + body[26:29]) + body[33:]

    made = mill(body, format="apng")

    found, _, _ = played(made.body)
    opaque = [(np.dstack([pixels, np.full(pixels.shape[:2], 255)]), *rest) for pixels, *rest in frames]
    for n, wanted in enumerate(inputs.composed(CANVAS, opaque)):
        assert reference.difference(found[n], wanted) == 0, n


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("to", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("page", [None, 0, 1, 3])
def test_page_of_what_moves(kind, to, page):
    """A still format gets the frame that is named, else the first."""
    given = {} if page is None else {"page": page}
    made = mill(moving(kind), format=to, quality=95, width=30, **given)
    assert made.frames == 1
    wanted = reference.expected(inputs.rgba(drawn()[page or 0]), width=30)
    assert reference.difference(inputs.read(made.body), wanted) < 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("given", "which"), [({"frames": 2}, [0, 1]), ({"page": 1}, [1, 2, 3]), ({"page": 2, "frames": 1}, [2]), ({"page": 1, "frames": 9}, [1, 2, 3])]
)  # fmt: skip
def test_frames_are_chosen(kind, given, which):
    """From page on, at most so many, each with its own time."""
    made = mill(moving(kind), format="webp", quality=100, **given)
    found, times, _ = played(made.body)
    assert made.frames == len(which)
    if len(which) > 1:
        assert times == [DURATIONS[n] for n in which]
    for n, frame in zip(which, found, strict=True):
        assert reference.difference(frame, inputs.rgba(drawn()[n])) < 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("to", ["gif", "webp"])
def test_loop_and_delay(kind, to):
    """Both are changed where that is asked for, and only then."""
    body = moving(kind)
    _, times, _ = played(mill(body, format=to, delay=90).body)
    assert times == [90] * 4
    loops = {n: played(mill(body, format=to, loop=n).body)[2] for n in (0, 1, 2, 7)}
    showings = {n: n - 1 if to == "gif" and n else n for n in loops}  # GIF counts what comes after the first showing
    assert {n: loop or 0 for n, loop in loops.items()} == showings


@pytest.mark.parametrize("kind", KINDS)
def test_auto_sees_what_is_chosen(kind):
    """One frame of an animation is a still."""
    for accept, format_ in ((b"image/avif,image/webp", Format.WEBP), (b"", Format.GIF)):
        assert mill(moving(kind), accept, format="auto").format == format_
    assert mill(moving(kind), format="auto", frames=1).format in {Format.JPEG, Format.PNG}


@pytest.mark.parametrize("kind", [*KINDS, "TIFF", "ICO", "PNG", "JPEG"])
def test_page_that_is_not_there(kind):
    """422, with the number of those that are."""
    if kind == "TIFF":
        body, there = inputs.pages(pictures.corners(), pictures.gradient()), 2
    elif kind == "ICO":
        body, there = inputs.icon(np.asarray(pictures.disc(size=32))), 1
    elif kind in KINDS:
        body, there = moving(kind), 4
    else:
        body, there = pictures.encoded(pictures.corners(), kind), 1
    with pytest.raises(PageMissing, match=f"page: {there} of {there}; the first is 0"):
        mill(body, page=there)
    assert mill(body, page=there - 1).frames >= 1


@pytest.mark.parametrize("page", [None, 0, 1, 2])
def test_pages_of_a_tiff(page):
    """Of any size each; the first by itself."""
    sheets = [pictures.corners(), pictures.gradient(), pictures.photo(90, 60).convert("L")]
    made = mill(inputs.pages(*sheets), format="png", **({} if page is None else {"page": page}))
    wanted = inputs.rgba(sheets[page or 0])
    assert (made.width_px, made.height_px, made.frames) == (wanted.shape[1], wanted.shape[0], 1)
    assert reference.difference(inputs.read(made.body), wanted) < 1


def test_pages_become_an_animation_where_that_is_asked():
    """Never by themselves; of one size only; with a time of their own."""
    sheets = [pictures.corners(60, 40), pictures.gradient(60, 40), pictures.photo(60, 40)]
    body = inputs.pages(*sheets)
    assert mill(body, format="webp").frames == 1
    made = mill(body, format="webp", frames=9, delay=250, loop=2, quality=100)
    found, times, loop = played(made.body)
    assert (times, loop) == ([250] * 3, 2)
    for sheet, frame in zip(sheets, found, strict=True):
        assert reference.difference(frame, inputs.rgba(sheet)) < 6
    assert played(mill(body, format="webp", page=1, frames=2).body)[1] == [100, 100]
    mixed = inputs.pages(pictures.corners(60, 40), pictures.corners(60, 41))
    with pytest.raises(BadOption, match="frames: of 2 pages 1 are of one size"):
        mill(mixed, format="webp", frames=2)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"loop": 3}, "loop: one frame"),
        ({"delay": 30}, "delay: one frame"),
        ({"frames": 1, "loop": 2}, "loop: one frame"),
    ],
)
def test_nothing_to_play(given, why):
    """What would do nothing is refused, also where only the source says that it would."""
    body = pictures.animation("GIF") if "frames" in given else pictures.encoded(pictures.corners(), "WEBP")
    with pytest.raises(BadOption, match=why):
        mill(body, **given)


def test_frames_for_a_format_that_holds_one():
    """Where the format is known by the source only, that is refused then."""
    with pytest.raises(BadOption, match="frames: tiff holds one"):
        mill(inputs.pages(pictures.corners(), pictures.corners()), frames=2)


def test_renditions_of_several_pages():
    """One run may ask for several pages of one source: each is the one that was asked for, in the order asked."""
    from imagemill.engines.base import Task
    from imagemill.engines.vips import Vips
    from imagemill.model.recipe import Encode, Frames
    from imagemill.settings import Engine

    sheets = [pictures.corners(), pictures.gradient(), pictures.photo(90, 60)]
    body = inputs.pages(*sheets)
    tasks = [Task((Frames(n), Encode(Format.PNG))) for n in (2, 0, 0, 1)] + [Task((Encode(Format.PNG),))]
    made = list(Vips(Limits(), Engine()).run(memoryview(body), probe(body), tasks))
    for rendition, n in zip(made, (2, 0, 0, 1, 0), strict=True):
        assert reference.difference(inputs.read(rendition.body), inputs.rgba(sheets[n])) < 1


def test_limits_hold_for_every_source_that_moves():
    """D04: too many frames are named; the first of them is no trouble; what is skipped is counted in the cost."""
    frames = [(square((n % 250, 0, 0), (8, 8)), (0, 0), (1, 50), 0, 0) for n in range(201)]
    body = inputs.apng((8, 8), frames)
    assert mill(body, format="png").frames == 1
    for name, limits in (("frames", Limits()), ("total_pixels", Limits(frames=500, total_pixels=10_000))):
        with pytest.raises(LimitExceeded) as caught:
            mill(body, format="webp", limits=limits)
        assert caught.value.limit == name
    large = pictures.animation("GIF", durations=(50,) * 30, size=(400, 300))
    assert mill(large, format="png", limits=Limits(cpu_s=0.03)).frames == 1
    with pytest.raises(LimitExceeded, match="estimated CPU"):
        mill(large, format="png", page=29, limits=Limits(cpu_s=0.03))


def test_an_apng_that_promises_more_frames():
    """D05: frames that are said to be there and are not."""
    body = bytearray(inputs.apng(CANVAS, scenes(0, 0)))
    at = body.index(b"acTL") + 4
    actl = (9).to_bytes(4, "big") + bytes(4)
    body[at - 8 : at + 12] = pictures.chunk(b"acTL", actl)
    with pytest.raises(ImageCorrupt):
        mill(bytes(body), format="webp")


def test_apng_is_composed_in_bounded_memory():
    """Beside the frames that are asked for, no more than a few of them at a time: workers have 2 GiB for 50 megapixels."""
    canvas = (600, 900)
    ground = np.full((*canvas, 4), (200, 100, 50, 128), np.uint8)
    body = inputs.apng(canvas, [(ground, (0, 0), (1, 10), 0, 1)] * 2)
    info = probe(body)

    tracemalloc.start()
    decoders.opened(memoryview(body), info, frames=2)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most_bytes < 12 * ground.nbytes, most_bytes / ground.nbytes
