"""What a picture itself decides: which of its windows is kept. The window is looked for in the source, pixel by pixel."""

import io
import os
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from golden import pictures, reference, sources
from golden.mill import mill
from imagemill.engines import faces
from imagemill.model.errors import NotSupported
from imagemill.plan.geometry import Box

FOUND = ["attention", "entropy", "smart"]
PORTRAIT = Path(__file__).parent / "faces" / "portrait.jpg"
FACE = (60, 25, 72, 85)
"""About where it is in the portrait: left, top, width, height."""


def needs_faces():
    """Skips where the extra is not installed; CI has it wherever there is a wheel."""
    if not faces.AVAILABLE and not (os.environ.get("CI") == "true" and os.uname().machine == "x86_64"):
        pytest.skip("the extra faces is not installed")


def window(frames, found):
    """The offset at which *found*, of the same number of frames, is a part of *frames*: the one where it differs least."""
    height, width = found[0].shape[:2]
    offsets = product(range(frames[0].shape[1] - width + 1), range(frames[0].shape[0] - height + 1))

    dense = [[reference._premultiplied(f).astype(np.float32) for f in some] for some in (frames, found)]

    def off(offset):
        x, y = offset
        return max(
            float(np.abs(seen - frame[y : y + height, x : x + width]).mean())
            for frame, seen in zip(*dense, strict=True)
        )

    best = min(offsets, key=off)
    return best, off(best)


@sources.everywhere
@pytest.mark.parametrize("gravity", FOUND)
@pytest.mark.parametrize("given", [{"aspect": "3:4"}, {"crop": "100,80"}])
def test_some_window_of_every_source(source, gravity, given):
    """Exactly as large as promised, the pixels of the source, and in an animation the same window of all frames."""
    made = source.rendered(gravity=gravity, **given)

    found = sources.frames_of(made.body)
    assert found[0].shape[:2] == ((80, 60) if "aspect" in given else (80, 100))
    assert window(source.frames, found)[1] <= 1.0 + (sources.LOSSY if source.delays_ms else 0)


@cache
def with_patch(left, top, kind, size=(300, 200)):
    """Grey, and somewhere in it what draws the eye: colour, or much that happens."""
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    noise = np.random.default_rng(7).integers(0, 256, (40, 40, 3), np.uint8)
    pixels[top : top + 40, left : left + 40] = (230, 40, 30) if kind == "colour" else noise
    return pixels


@pytest.mark.parametrize("place", [(5, 80), (130, 150), (255, 10), (255, 155), (0, 0)])
@pytest.mark.parametrize(
    "asked", [{"crop": "90,90"}, {"width": 45, "height": 100, "fit": "cover"}, {"aspect": "1:3"}, {"aspect": "4:1"}]
)
@pytest.mark.parametrize(("gravity", "kind"), [("attention", "colour"), ("attention", "noise"), ("entropy", "noise")])
def test_what_draws_the_eye_is_kept(gravity, kind, asked, place):
    """All of a patch of 40 x 40 pixels is in the window, wherever it is."""
    made = mill(pictures.encoded(Image.fromarray(with_patch(*place, kind)), "PNG"), gravity=gravity, **asked)

    pixels = reference.opened(made.body)[..., :3]
    scale = (
        made.height_px
        / {"crop": 90, "fit": 200, "aspect": made.height_px}[next(n for n in ("crop", "fit", "aspect") if n in asked)]
    )
    kept = (np.abs(pixels - 128).max(axis=-1) > 20).sum() / scale**2
    assert kept >= 0.8 * 1600


def test_first_frame_decides():
    """A patch that leaves is followed by nobody: the window is that of the first frame."""
    frames = [Image.fromarray(with_patch(left, 80, "colour")) for left in (10, 130, 250)]
    source = pictures.encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True)

    made = mill(source, gravity="attention", crop="90,90", format="webp", quality="100")

    counts = [(np.abs(f[..., :3] - 128).max(axis=-1) > 20).sum() for f in sources.frames_of(made.body)]
    assert counts[0] >= 1400
    assert max(counts[1:]) <= 400, "what the encoder has smeared"


@pytest.mark.parametrize("width", [37, 75, 120, 150])
def test_a_smart_crop_loses_no_shrinking(width):
    """What is scaled before it is cut may be decoded small: the window is that of the whole picture, all the same."""
    pixels = np.asarray(Image.fromarray(with_patch(255, 80, "colour")).resize((1200, 800), Image.Resampling.NEAREST))
    source = pictures.encoded(Image.fromarray(pixels), "JPEG", quality=95)
    made = mill(source, width=width, height=width, fit="cover", gravity="attention", format="png")
    small = reference.opened(made.body)[..., :3]
    assert (small[:, :, 0] - small[:, :, 2] > 100).sum() >= 0.8 * (40 * width / 200) ** 2


@cache
def crowd(*places, size=(640, 200), ground=(70, 90, 80)):
    """The portrait at each of these lefts, on plain ground."""
    picture = Image.new("RGB", size, ground)
    portrait = Image.open(PORTRAIT).convert("RGB")
    for left in places:
        picture.paste(portrait, (left, 0))
    return pictures.encoded(picture, "PNG")


def offset_of(source, made):
    whole, part = (np.asarray(Image.open(io.BytesIO(b)).convert("RGBA"), float) for b in (source, made.body))
    return window((whole,), (part,))[0]


@pytest.mark.parametrize("left", [0, 130, 300, 440])
def test_a_face_is_in_the_middle(left):
    """As far as the edges allow."""
    needs_faces()
    source = crowd(left)
    made = mill(source, crop="150,200", gravity="face")

    x, _ = offset_of(source, made)
    middle = left + FACE[0] + FACE[2] / 2
    assert abs(x - min(max(middle - 75, 0), 490)) <= 12


def test_as_many_faces_as_fit():
    """Two that fit are both kept; of three, those two that stand together."""
    needs_faces()
    both = crowd(60, 260)
    x, _ = offset_of(both, mill(both, crop="330,200", gravity="face"))
    assert x <= 60 + FACE[0]
    assert x + 330 >= 260 + FACE[0] + FACE[2]

    three = crowd(0, 240, 440)
    x, _ = offset_of(three, mill(three, crop="300,200", gravity="face"))
    assert x <= 240 + FACE[0]
    assert x + 300 >= 440 + FACE[0] + FACE[2]


def test_no_face_is_as_attention():
    """So is a picture of anything else."""
    needs_faces()
    source = pictures.encoded(Image.fromarray(with_patch(255, 80, "colour")), "PNG")
    assert mill(source, crop="90,90", gravity="face").body == mill(source, crop="90,90", gravity="attention").body


@sources.everywhere
def test_faces_are_looked_for_in_every_source(source):
    """Whatever the pixels are like: no source has one."""
    needs_faces()
    given = {"aspect": "1:1"}
    assert source.rendered(gravity="face", **given).body == source.rendered(gravity="attention", **given).body


@pytest.mark.parametrize("size", [(1200, 800), (500, 1000), (960, 960), (90, 60), (3000, 2), (2, 3000)])
def test_detector_sees_one_size(size, monkeypatch):
    """Whatever the picture: its longer side is `faces.SIDE_PX`, so that time and what counts as a face are the same."""
    seen = []
    monkeypatch.setattr(faces, "AVAILABLE", True)
    monkeypatch.setattr(faces, "boxes", lambda rows: seen.append(rows.shape[::-1]) or [])

    mill(pictures.encoded(Image.new("RGB", size), "PNG"), crop="1,1", gravity="face")

    (found,) = seen
    assert found == tuple(max(1, round(side * faces.SIDE_PX / max(size))) for side in size)


@pytest.mark.parametrize(
    "box", [(0, 0, 96, 96), (480, 192, 96, 48), (864, 544, 96, 96), (-48, -96, 192, 192), (900, 600, 192, 192)]
)
def test_a_face_is_where_it_was_seen(box, monkeypatch):
    """What the detector tells, in pixels of its copy, is brought back to the picture's own."""
    monkeypatch.setattr(faces, "AVAILABLE", True)
    monkeypatch.setattr(faces, "boxes", lambda _rows: [Box(*box)])
    y, x = np.mgrid[0:200, 0:300]
    source = pictures.encoded(Image.fromarray(np.dstack([x // 2, y, x % 2 * 255]).astype(np.uint8)), "PNG")
    left, top = max(0, box[0]) * 300 / 960, max(0, box[1]) * 200 / 640
    right, bottom = min(960, box[0] + box[2]) * 300 / 960, min(640, box[1] + box[3]) * 200 / 640
    wanted = [min(max((a + b - 20) / 2, 0), most) for a, b, most in ((left, right, 280), (top, bottom, 180))]

    made = reference.opened(mill(source, crop="20,20", gravity="face").body)

    assert abs(made[0, 0, 0] * 2 + made[0, 0, 2] / 255 - wanted[0]) <= 1
    assert abs(made[0, 0, 1] - wanted[1]) <= 1


@pytest.mark.parametrize("gravity", FOUND)
@pytest.mark.parametrize("size", [(600, 1), (1, 600), (3000, 2), (2, 3000)])
def test_thin_pictures(gravity, size):
    """The copy that is looked at has a pixel of every side."""
    made = mill(pictures.encoded(Image.new("RGB", size, (9, 99, 9)), "PNG"), crop="300,300", gravity=gravity)
    assert (made.width_px, made.height_px) == (min(300, size[0]), min(300, size[1]))


def test_without_the_extra(monkeypatch):
    """501, and it says what is missing; nothing else is made in its place."""
    monkeypatch.setattr(faces, "AVAILABLE", False)
    with pytest.raises(NotSupported, match=r"imagemill\[faces\]"):
        mill(crowd(0), crop="150,200", gravity="face")


def test_the_extra_is_no_part_of_other_work(monkeypatch):
    """Without it, all else is as with it."""
    monkeypatch.setattr(faces, "AVAILABLE", False)
    monkeypatch.setattr(faces, "boxes", None)
    assert mill(crowd(0), crop="150,200", gravity="smart").width_px == 150
