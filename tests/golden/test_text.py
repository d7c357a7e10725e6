"""Texts against Pillow's drawing with the same fonts: each pixel where no letter moves another, else to a pixel."""

import io
import unicodedata
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image, ImageFont

from golden import pictures, reference, reference_text, sources
from golden.mill import mill
from imagemill.engines import typefaces
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.operations.lettering import Lettering
from imagemill.engines.vips import Vips
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Gravity, Text
from imagemill.settings import Engine, Limits
from imagemill.settings import Text as Settings

DARK = pictures.encoded(Image.new("RGB", (420, 260)), "PNG")
CLOSE = 0.6
"""Levels of 255, mean."""


def given(text, **how):
    return {"text": quote(text, safe="")} | {f"text_{name}": quote(str(value), safe="") for name, value in how.items()}


def dense(text, **how):
    """How dense each pixel of a white text on black is."""
    return reference.opened(mill(DARK, format="png", **given(text, **how)).body)[..., 0] / 255


def on_dark(mask, **how):
    black = np.dstack([np.zeros((260, 420, 3)), np.full((260, 420), 255.0)])
    return reference_text.written(black, mask, **how)[..., 0] / 255


def ink(pixels):
    """Left, top, right and bottom of what is not faint."""
    rows, columns = np.nonzero(pixels > 0.1)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("size", [9, 32, 57])
@pytest.mark.parametrize("font", ["", "DejaVu Sans Bold"])
def test_glyphs(size, font):
    """Letters without kerning are what FreeType draws, to two levels of each pixel, and lie where they are placed."""
    made = dense("mono", size=size, font=font or "dejavu sans", gravity="northwest", x=3, y=2)

    wanted = on_dark(reference_text.block("mono", size, font), gravity="northwest", x=3, y=2)
    assert np.abs(made - wanted).max() <= 2 / 255


@pytest.mark.parametrize("gravity", list(Gravity))
@pytest.mark.parametrize(("x", "y"), [(7, 12), (-9, -4)])
def test_place(gravity, x, y):
    """What is seen of it lies so far inward of the edges that gravity names, and is cut beyond them."""
    made = dense("mono", size=40, gravity=gravity, x=x, y=y)

    wanted = on_dark(reference_text.block("mono", 40), gravity=gravity, x=x, y=y)
    assert np.abs(made - wanted).max() <= 2 / 255


@pytest.mark.parametrize("align", ["left", "center", "right"])
@pytest.mark.parametrize("width", [0, 140, 200, 333])
def test_lines(width, align):
    """Lines are as full as they can be, and lie left, in the middle or right of a block of exactly the width asked."""
    text = "one more moon\nmore or less one moon more soon" if not width else "one more moon more or less one moon more"

    made = dense(text, size=24, gravity="northwest", x=10, y=10, align=align, **({"width": width} if width else {}))

    wanted = on_dark(reference_text.block(text, 24, width=width, align=align), gravity="northwest", x=10, y=10)
    assert np.abs(np.subtract(ink(made), ink(wanted))).max() <= 2
    assert made.sum() == pytest.approx(wanted.sum(), rel=0.01)
    rows = (made.max(axis=1) > 0.1, wanted.max(axis=1) > 0.1)
    assert (rows[0] == rows[1]).mean() > 0.98  # lines and the gaps between them


def test_lines_are_no_wider_than_the_picture():
    """Without a width of its own a text is broken to the picture's; words that are too long, in their midst."""
    text = "one more moon more or less one moon more soon one more moon"
    made, long = dense(text, size=30), dense("moon" * 30, size=30)

    assert np.abs(made.sum(axis=1) - on_dark(reference_text.block(text, 30, widest=420)).sum(axis=1)).max() < 8
    assert long.sum() == pytest.approx(reference_text.block("moon" * 30, 30).sum(), rel=0.02)
    assert ink(long)[2] - ink(long)[0] > 380


@sources.everywhere
@pytest.mark.parametrize(
    ("colour", "shadow"), [((255, 230, 0, 255), None), ((20, 40, 250, 150), (3, -2, (0, 0, 0, 200)))]
)
def test_everywhere(source, colour, shadow):
    """On every kind of source and every frame: in its colour, over its shadow, at its place; sizes do not change."""
    mask = reference_text.block("mo", 40, "DejaVu Sans Bold")
    how = {
        "size": 40,
        "font": "DejaVu Sans Bold",
        "color": bytes(colour).hex(),
        "gravity": "southeast",
        "x": 9,
        "y": 11,
    }
    if shadow:
        how["shadow"] = f"{shadow[0]},{shadow[1]},0,{bytes(shadow[2]).hex()}"

    source.check(
        lambda pixels: reference_text.written(pixels, mask, colour, "southeast", 9, 11, shadow),
        CLOSE, **given("mo", **how),
    )  # fmt: skip
    plain = source.rendered()
    assert (
        reference.difference(reference.opened(plain.body), reference.opened(source.rendered(**given("mo", **how)).body))
        > CLOSE + sources.LOSSY
    )


def test_turned():
    """Clockwise, about the middle of what is seen: by a quarter to the pixel, by others with its weight kept."""
    upright = reference_text.block("moon", 48)

    quarter, tilted = dense("moon", size=48, rotate=90), dense("moon", size=48, rotate="-33.5")

    assert np.abs(quarter - on_dark(np.rot90(upright, -1))).max() <= 2 / 255
    assert tilted.sum() == pytest.approx(upright.sum(), rel=0.02)
    rows, columns = np.nonzero(tilted > 0.1)
    assert np.polyfit(columns, rows, 1)[0] < -0.4  # it climbs


def test_opacity():
    """Half as dense is half as bright."""
    made, half = dense("moon", size=60), dense("moon", size=60, opacity=50)

    assert np.abs(made / 2 - half).max() <= 1.01 / 255


def test_soft_shadow():
    """Blurred, moved, below the letters, and no reason to move them."""
    light = pictures.encoded(Image.new("RGB", (420, 260), "white"), "PNG")
    how = given("moon", size=60, color="f00") | {"format": "png"}

    plain = reference.opened(mill(light, **how).body)
    made = reference.opened(mill(light, text_shadow="12,20,5,000000ff", **how).body)

    letters = plain[..., 1] == 0
    assert (made[letters] == plain[letters]).all()
    dark = 255 - made[..., 2] - (255 - plain[..., 2])
    rows, columns = np.mgrid[0:260, 0:420]
    middle = [(axis * dark).sum() / dark.sum() for axis in (columns, rows)]
    was = [(axis * (255 - plain[..., 1])).sum() / (255 - plain[..., 1]).sum() for axis in (columns, rows)]
    assert middle[0] - was[0] > 8
    assert middle[1] - was[1] > 16


@pytest.mark.parametrize(
    "text", ["<b>moon</b>", "&lt;b&gt;", "@moon.txt", "</span>", '<span size="1">', "%s&amp;\\n", "<!--", "--moon"]
)
def test_text_is_drawn_as_it_stands(text):
    """V13: no markup, no file, no escape: as wide as Pillow finds these very characters."""
    face = ImageFont.truetype(str(typefaces.home() / "DejaVuSans.ttf"), 24, layout_engine=ImageFont.Layout.BASIC)
    left, top, right, bottom = face.getbbox(text)

    made = dense(text, size=24)

    found = ink(made)
    assert found[2] - found[0] == pytest.approx(right - left, abs=8)
    assert found[3] - found[1] == pytest.approx(bottom - top, abs=1)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("שלום", 40, 120), ("مرحبا", 40, 120), ("😀", 20, 60), ("e\u0301", 10, 40), ("a" + "\u0301" * 30, 10, 60), ("\u200fabc\u200e", 30, 90),
     ("a\u200db\ufe0f", 20, 60), ("→ ✓ €", 50, 120)],
)  # fmt: skip
def test_scripts(text, least, most):
    """V13: right to left, joined letters, marks, pictures among letters: what our own font has is drawn, and bounded."""
    left, _, right, _ = ink(dense(text, size=32))

    assert least <= right - left <= most


def test_right_to_left():
    """Letters that run right to left do so within a text that runs left to right, and the other way around."""
    alef, bet = "\u05d0", "\u05d1"
    parts = {letter: reference_text.block(letter, 60) for letter in (alef, bet)}

    made = dense(f"o{alef}{bet}", size=60, gravity="northwest")

    alone = np.zeros_like(made)
    alone[: parts[alef].shape[0], -parts[alef].shape[1] :] = parts[alef]
    right = made[:, ink(made)[2] - parts[alef].shape[1] : ink(made)[2]]
    left = dense("o", size=60, gravity="northwest")
    assert np.abs(made[:, :30] - left[:, :30]).sum() < np.abs(left[:, :30]).sum()
    assert right.sum() == pytest.approx(parts[alef].sum(), rel=0.1)  # alef, the first, is at the far right


def test_joined():
    """Arabic letters are joined: shaped, they are narrower than four that stand alone."""
    alone = sum(ink(dense(letter, size=48))[2] - ink(dense(letter, size=48))[0] for letter in "بببب")
    left, _, right, _ = ink(dense("بببب", size=48))

    assert right - left < alone


MISSING = ["日本", "\U0001f9ff", "\ue123", "\u0b95", "ab\U000e0041c", "\U0010fffd", "\u0378"]


@pytest.mark.parametrize("text", MISSING)
def test_a_character_that_no_font_has(text):
    """V13: an error that names its code point; or a box, by setting. What is never seen needs no font."""
    missing = next(c for c in text if ord(c) > 0x7F)
    recipe = (Text(text), Encode(Format.PNG))
    boxes = Lettering(typefaces.found(Settings(missing="box")), 10**6)
    if unicodedata.category(missing) == "Cf":
        assert dense(text).sum() > 0
        return

    with pytest.raises(BadOption, match=f"U\\+{ord(missing):04X}"):
        dense(text)
    (made,) = Vips(Limits(), Engine(), boxes).run(memoryview(DARK), probe(DARK), [Task(recipe)])

    assert reference.opened(made.body)[..., 0].sum() > 0


def test_what_was_written_before_changes_nothing():
    """The same text is the same bytes, whichever texts and fonts came before it in the same worker."""
    first = dense("moon שלום", size=30).tobytes()
    for text, font in (("x", "DejaVu Sans Bold"), ("مرحبا", "DejaVu Sans"), ("<i>", "DejaVu Sans Bold")):
        dense(text, font=font)

    assert dense("moon שלום", size=30).tobytes() == first


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("m" * 512, {"size": 1000, "width": 8000}),
        ("\n".join("m" * 200), {"size": 1000}),
        ("m" * 512, {"size": 500, "width": 20}),
    ],
)
def test_too_large(text, how):
    """V13: a block of more pixels than a rendition may have is refused before it is drawn, and says how large it is."""
    patient = Limits(cpu_s=10_000.0)
    with pytest.raises(LimitExceeded, match=r"text: a block of about \d+ × \d+ px is too large"):
        mill(DARK, format="png", limits=patient, **given(text, **how))


def test_a_block_is_judged_with_its_width():
    """V13: a width beside a few letters makes no more pixels than a picture may have."""
    written = Text("a\na\na", width_px=600)
    small, large = (Lettering(typefaces.found(Settings()), pixels) for pixels in (50_000, 1_000_000))

    mask = large.block(written, 300).mask
    assert mask.width * mask.height > 50_000
    with pytest.raises(LimitExceeded, match=r"text: a block of about"):
        small.block(written, 300)


@pytest.mark.parametrize(
    ("how", "message"),
    [({"font": "Comic Sans"}, "none of DejaVu Sans Bold, DejaVu Sans"), ({"x": 5000, "gravity": "west"}, "text: .* outside a picture of 420 × 260")],
)  # fmt: skip
def test_refused(how, message):
    """400, with what is there instead."""
    with pytest.raises(BadOption, match=message):
        dense("moon", **how)


@pytest.mark.parametrize("text", ["\u200b", "\u2060\u00ad", "\u200e"])
def test_nothing_to_see(text):
    """A text that shows nothing is most likely a mistake: 400."""
    with pytest.raises(BadOption, match="nothing of it would be seen"):
        dense(text)


@pytest.mark.parametrize("how", [{"color": "ff000000"}, {"width": 8000}])
def test_letters_that_nobody_would_see(how):
    """So is one without any colour, and a block of which only the empty part lies on the picture."""
    with pytest.raises(BadOption, match="text: nothing of it would be seen"):
        dense("moon", **how)


def test_a_picture_that_is_smaller_than_a_letter():
    """One that lies between two strokes is no mistake of whoever writes on many pictures."""
    dot = pictures.encoded(Image.new("RGB", (1, 1)), "PNG")
    assert mill(dot, format="png", **given("Hello", size=40)).width_px == 1


@pytest.mark.parametrize("gravity", ["north", "northwest", "south"])
def test_on_what_is_streamed(gravity):
    """A large picture that nothing else is done to is written on, wherever that is: its rows come once, from top to bottom."""
    large = pictures.encoded(pictures.photo(3000, 2000), "JPEG", quality=90)

    made = mill(large, format="png", effort=0, **given("moon", size=300, gravity=gravity, color="f0f"))

    plain, found = (np.asarray(Image.open(io.BytesIO(body)).convert("RGB")) for body in (large, made.body))
    assert (found == np.array((255, 0, 255), np.uint8)).all(axis=2).sum() > 40_000
    assert np.abs(np.subtract(found[::3, -100:], plain[::3, -100:], dtype=float)).mean() < 1


def test_sixteen_bits():
    """Texts are of eight bits: with more asked for they are refused, and not left out."""
    with pytest.raises(BadOption, match="text"):
        mill(sources.source("deep").body, format="png", bits="16", **given("moon"))


@pytest.mark.parametrize("align", ["left", "center", "right"])
def test_left_is_left_in_every_script(align):
    """Lines that run right to left lie where the word says, not where their script begins."""
    made = dense(
        "\u05d0\u05d1\n\u05d0\u05d1\u05d2\u05d3\u05d4", size=30, width=300, align=align, gravity="northwest", x=20, y=20
    )

    short = made[: ink(made)[1] + 30]
    left, _, right, _ = ink(short)
    space = {"left": left - 20, "center": abs((left + right) / 2 - 170), "right": 320 - right}[align]
    assert space <= 5
    assert right - left < 60


@pytest.mark.parametrize("turns", [0, 90])
def test_letters_wider_than_their_block(turns):
    """They are drawn whole, and the block lies where it would with narrow ones."""
    made = dense("m", size=60, width=10, gravity="northwest", x=100, y=50, rotate=turns)

    left, top, right, bottom = ink(made)
    wide, high = (right - left, bottom - top) if not turns else (bottom - top, right - left)
    assert wide == pytest.approx(48, abs=3)
    assert high == pytest.approx(34, abs=2)
    start = (left, top) if not turns else (top, left)
    assert start[0] == pytest.approx({0: 100, 90: 50}[turns], abs=7)
    assert start[1] == pytest.approx({0: 50, 90: 100}[turns], abs=2)
