"""Which face draws which character, and that nothing but named files is ever met. Pixels: tests/golden/test_text.py."""

import xml.etree.ElementTree as ET

import pytest

from imagemill.engines import typefaces
from imagemill.engines.operations.lettering import Lettering, _is_public, _is_right_to_left, _span
from imagemill.engines.sfnt import Coverage, Description
from imagemill.engines.typefaces import Fonts, Typeface
from imagemill.model.errors import BadOption


def face(family, weight=400, slant="normal"):
    style = {400: "Regular", 700: "Bold"}[weight] + ("" if slant == "normal" else " Italic")
    return Typeface(f"/{family}-{style}.ttf", Description(0, family, style, weight, 5, slant))


LATIN, LATIN_BOLD = face("DejaVu Sans"), face("DejaVu Sans", 700)
KANJI_BOLD, KANJI, HANGUL = face("Kanji", 700), face("Kanji"), face("Hangul")
HAVE = {LATIN: "abc\u0301 1", LATIN_BOLD: "abc1", KANJI_BOLD: "日本1", KANJI: "日本1\u0301", HANGUL: "한日"}


@pytest.fixture
def lettering(monkeypatch):
    made = Lettering(Fonts((KANJI_BOLD, KANJI, HANGUL, LATIN_BOLD, LATIN)), 10**6)
    made._covered = {one: Coverage([(ord(c), ord(c)) for c in have]) for one, have in HAVE.items()}
    monkeypatch.setattr(made, "_load", lambda _face: None)
    return made


@pytest.mark.parametrize(
    ("text", "chosen", "wanted"),
    [
        ("abc", LATIN, [(LATIN, "abc")]), ("a日b", LATIN, [(LATIN, "a"), (KANJI, "日"), (LATIN, "b")]),
        ("a日b", LATIN_BOLD, [(LATIN_BOLD, "a"), (KANJI_BOLD, "日"), (LATIN_BOLD, "b")]), ("日1", LATIN, [(KANJI, "日"), (LATIN, "1")]),
        ("日1", HANGUL, [(HANGUL, "日"), (KANJI, "1")]), ("한日本", LATIN, [(HANGUL, "한"), (KANJI, "日本")]),
        ("日 \n\u200d\ufe0f本", LATIN, [(KANJI, "日 \n\u200d\ufe0f本")]), ("日\u0301a\u0301", LATIN, [(KANJI, "日\u0301"), (LATIN, "a\u0301")]),
    ],
)  # fmt: skip
def test_faces(lettering, text, chosen, wanted):
    """The chosen one first; then the nearest in weight, in the order configured; marks and blanks stay where they are."""
    found = list(lettering._runs(text, chosen))

    assert [(one, run) for one, run in found if run] == wanted
    assert "".join(run for _, run in found) == text


def test_missing_characters_are_all_named_once(lettering):
    """Five by name, the others counted."""
    with pytest.raises(BadOption) as caught:
        list(lettering._runs("a" + "xxyzuvw", LATIN))

    names = ", ".join(f"U+00{ord(c):X} (LATIN SMALL LETTER {c.upper()})" for c in "xyzuv")
    assert str(caught.value) == f"text: no configured font has {names} and 1 more"


def test_a_font_is_called_as_it_calls_itself(lettering):
    """By family and style, whatever the case of letters; nothing else."""
    assert lettering._chosen("dejavu sans BOLD") == LATIN_BOLD
    assert lettering._chosen("") == LATIN
    for name in ("DejaVu", "DejaVu Sans Regular", "DejaVuSans", "DejaVu Sans  Bold"):
        with pytest.raises(BadOption, match="is none of Kanji Bold, Kanji, Hangul, DejaVu Sans Bold, DejaVu Sans"):
            lettering._chosen(name)


@pytest.mark.parametrize("text", ["<b>", "&amp;", "</span>", "'\"", "]]>", "<!--"])
def test_markup(text):
    """V13: one span, closed where it is to be, with the text in it; no other face may take its place."""
    quoted = Typeface("/x.ttf", Description(0, "A<'\"&B", "Regular", 400, 5, "normal"))
    span = ET.fromstring(_span(quoted, text))

    assert (span.tag, span.text, len(span)) == ("span", text, 0)
    assert (span.attrib["font_family"], span.attrib["fallback"]) == ("A<'\"&B,", "false")


@pytest.mark.parametrize(
    ("text", "wanted"), [("abc", False), ("שלום", True), ("12 مرحبا abc", True), ("a שלום", False), ("12!", False)]
)
def test_direction(text, wanted):
    """The first letter that has one decides."""
    assert _is_right_to_left(text) is wanted


def test_fontconfig_is_told_of_no_place(monkeypatch):
    """No directory, no other configuration, no cache: only what is added by name is met."""
    monkeypatch.setenv("FONTCONFIG_FILE", "/etc/fonts/fonts.conf")
    Lettering(typefaces.found(typefaces.Text()), 1)

    import os

    told = ET.parse(os.environ["FONTCONFIG_FILE"]).getroot()
    assert (told.tag, len(told)) == ("fontconfig", 0)


def test_public(tmp_path):
    """A file is anybody's where every folder above it is, too."""
    assert _is_public(typefaces.home().joinpath("/usr/bin/env").resolve())
    tmp_path.chmod(0o700)
    (tmp_path / "file").touch(0o644)
    assert not _is_public(tmp_path / "file")
