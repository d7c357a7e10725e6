"""R15: which names a picture may be saved under, and which suffix they get."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.errors import BadOption
from imagemill.model.filename import MAX_CHARS, checked, suffixed
from imagemill.model.media import MEDIA_TYPES, Format

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    "name",
    ["a", "cats", "cats.jpg", "a b", "a.b.c", "-rf", "été", "猫", "\N{GRINNING FACE}", 'say "cheese"', "100%", "%0d%0a", "a'b;c=d", "x" * MAX_CHARS,
     "猫" * MAX_CHARS, "می\u200cخواهم", "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}", "a..b", "e\u0301"],
)  # fmt: skip
def test_names(name):
    """As given, nothing taken out or put in."""
    assert checked(name) == name


BAD = [
    "", "x" * (MAX_CHARS + 1), ".", "..", ".htaccess", "...", " a", "a ", "\u00a0a", "a\u3000", " ", "a/b", "/", "../a", "a\\b", "\\\\host\\a",
    "C:\\a", "a\r\nb", "a\nb", "a\rSet-Cookie: x", "\0", "a\tb", "a\x7f", "a\x80b", "a\x9fb", "a\u2028b", "a\u2029b", "a\ufeffb", "a\u200bb", "a\u00adb",
    "\ud800", "a\U000e0041b", *(f"a{c}gpj.exe" for c in BIDI), *BIDI,
]  # fmt: skip


@pytest.mark.parametrize("name", BAD, ids=[ascii(name[:20]) for name in BAD])
def test_no_names(name):
    """Line ends, controls, direction, what is not shown, paths, hidden files, surrounding space, too much."""
    with pytest.raises(BadOption, match=r"^filename: "):
        checked(name)


@given(st.text(max_size=MAX_CHARS + 5))
def test_whatever_is_taken_is_a_plain_name(text):
    try:
        name = checked(text)
    except BadOption as e:
        assert str(e).isascii()  # noqa: PT017 - what it says is what is tested
        return

    assert 0 < len(name) <= MAX_CHARS
    assert name[0] != "."
    assert not set(name) & set("/\\\r\n\0" + BIDI)
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} for c in name)


@pytest.mark.parametrize(
    ("name", "format_", "wanted"),
    [
        ("cats", "webp", "cats.webp"), ("cats.jpg", "webp", "cats.webp"), ("cats.JPEG", "jpeg", "cats.jpg"), ("cats.webp", "webp", "cats.webp"),
        ("cats.exe", "png", "cats.exe.png"), ("v1.2", "avif", "v1.2.avif"), ("a.png.html", "gif", "a.png.html.gif"), ("", "avif", "image.avif"),
        ("jpg", "png", "jpg.png"), ("a.jpg.png", "gif", "a.jpg.gif"), ("été.gif", "jpeg", "été.jpg"), ("a.", "png", "a..png"), ("İ.png", "gif", "İ.gif"),
    ],
)  # fmt: skip
def test_suffixes(name, format_, wanted):
    """Another picture's suffix is replaced, anything else is part of the name."""
    assert suffixed(name, Format(format_)) == wanted


@given(st.text(min_size=1, max_size=MAX_CHARS), st.sampled_from(sorted(MEDIA_TYPES)))
def test_the_last_suffix_is_ours(name, format_):
    """Whatever a caller chooses, what is saved is opened as the picture it is."""
    made = suffixed(name, format_)

    assert made.endswith(".jpg" if format_ is Format.JPEG else f".{format_}")
    assert len(made) <= len(name) + 5 + len("image")
