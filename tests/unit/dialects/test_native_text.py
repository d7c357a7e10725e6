"""Native parameters of texts: what they stand for, what they refuse, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.dialects.native import PARAMETERS, Native
from imagemill.dialects.native.text import TEXT
from imagemill.model.errors import BadOption
from imagemill.model.keys import result_key
from imagemill.model.recipe import (
    Align,
    AutoOrient,
    Background,
    Encode,
    Gravity,
    Place,
    Position,
    Resize,
    Shadow,
    Sharpen,
    Text,
)  # fmt: skip
from imagemill.model.source import SourceRef
from imagemill.settings import Limits

DIALECT = Native(Limits(), lambda url: url)
EXAMPLES = {
    "text": "Hi", "text_font": "DejaVu Sans Bold", "text_size": "48", "text_color": "f80", "text_width": "300", "text_align": "right",
    "text_gravity": "southeast", "text_x": "12", "text_y": "-7", "text_rotate": "-30.5", "text_opacity": "60", "text_shadow": "3,-4,2.5,00000080",
}  # fmt: skip
ALL = Text(
    "Hi", "DejaVu Sans Bold", 48, 0xFF8800FF, 300, Align.RIGHT,
    Place(Position.of(Gravity.SOUTHEAST), 12, -7, -3050, 60), Shadow(3, -4, 250, 0x00000080),
)  # fmt: skip


def recipe(query):
    return DIALECT.parse(f"source=local:a/b&{query}".encode()).recipe


def url(given):
    return "&".join(f"{name}={value.replace(' ', '%20')}" for name, value in given.items())


def text(query):
    (found,) = (op for op in recipe(query) if isinstance(op, Text))
    return found


def test_every_parameter():
    """All of them at once, by long names and by short ones, alone and in ops."""
    alias = {p.name: p.alias for p in PARAMETERS}
    assert {*EXAMPLES, "dpr"} == set(TEXT.parameters)
    assert text(url(EXAMPLES)) == ALL
    assert text(url({alias[name]: value for name, value in EXAMPLES.items()})) == ALL
    assert (
        text("ops=text:Hi;" + ";".join(f"{n}={v.replace(' ', '%20')}" for n, v in EXAMPLES.items() if n != "text"))
        == ALL
    )


def test_defaults():
    """A text alone: white, 32 px, upright, in the middle."""
    assert text("text=Hi") == Text("Hi")


def test_order():
    """After what changes the picture, before what is laid below it; in ops where it stands."""
    kinds = [type(op) for op in recipe("text=Hi&background=fff&sharpen=1&width=5")]
    assert kinds == [AutoOrient, Resize, Sharpen, Text, Background, Encode]
    assert [type(op) for op in recipe("ops=text:Hi/resize:5/text:Ho")] == [AutoOrient, Text, Resize, Text, Encode]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [("text=a%0Ab", "a\nb"), ("text=a+b", "a+b"), ("text=%3Cb%3E%26amp;", "<b>&amp;"), ("text=@/etc/passwd", "@/etc/passwd"),
     ("text=%25s", "%s"), ("text=%E6%97%A5", "日"), ("ops=text:a%252Fb%253Bc%253Dd", "a/b;c=d"), ("ops=text:a%250Ab", "a\nb")],
)  # fmt: skip
def test_text_is_as_it_was_written(query, wanted):
    """Decoded once, twice in ops, and nothing else done to it; a line may end."""
    assert text(query).text == wanted


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"text"}))
def test_idle(name):
    """400: what says how a text is written, where there is none, would do nothing."""
    with pytest.raises(BadOption, match=f"{name}: needs text"):
        recipe(f"{name}={EXAMPLES[name].replace(' ', '%20')}&width=5")


@pytest.mark.parametrize(
    "query",
    [
        "text=", "text=%20", "text=%0A", "text=a%00b", "text=a%0Db", "text=a%09b", "text=a%1Bb", "text=a%7Fb", "text=a%C2%85b",
        "text=" + "a" * 513, "text=" + "a" * 8000, "text=%ED%A0%80", "text=%FF", "text=a%E2%80%AEb", "text=a%E2%81%A6b", "text=a%E2%80%A8b",
        "text=a" + "%CC%81" * 31, "text=a" + "%CC%81" * 500, "text=a" + "%E2%83%9D" * 31,
        "text=a&text_font=../../etc/passwd", "text=a&text_font=/etc/a.ttf", "text=a&text_font=a%0Ab", "text=a&text_font=a,b", "text=a&text_font=a%22b",
        "text=a&text_font=" + "a" * 65, "text=a&text_font=@a", "text=a&text_size=3", "text=a&text_size=1001", "text=a&text_size=9.5", "text=a&text_size=",
        "text=a&text_color=red", "text=a&text_color=%23fff", "text=a&text_width=0", "text=a&text_width=16384", "text=a&text_align=justify",
        "text=a&text_gravity=up", "text=a&text_x=16384", "text=a&text_y=--1", "text=a&text_rotate=360", "text=a&text_rotate=1.234", "text=a&text_rotate=-",
        "text=a&text_opacity=0", "text=a&text_opacity=101", "text=a&text_shadow=1", "text=a&text_shadow=1,2,3,000,5", "text=a&text_shadow=1,2,101",
        "text=a&text_shadow=1001,0", "text=a&text_shadow=1,2,,000", "text=a&text_shadow=1,2,3,red", "ops=text", "ops=text:", "ops=text:a;text=b",
        "ops=text:a;width=5", "ops=text:a&text=b",
    ],
)  # fmt: skip
def test_refused(query):
    """V13: 400, and nothing has been read, let alone drawn."""
    with pytest.raises(BadOption):
        recipe(query)


@given(st.text(max_size=600))
def test_any_text(written):
    """What is taken is short, has no control characters but line ends, no forced direction, and few marks on a letter."""
    try:
        found = Text(written)
    except BadOption:
        return

    assert found.text == written
    assert len(written) <= 512
    assert not {c for c in written if c < " " and c != "\n"} | set("\x7f\u202e\u2066\u2028") & set(written)


def test_keys_differ():
    """Whatever changes pixels changes the key."""
    keys = {
        result_key(
            SourceRef("local", "a/b"), recipe(url({k: v for k, v in EXAMPLES.items() if k == "text" or k in kept})), ()
        )
        for kept in [set(), *({name} for name in EXAMPLES)]
    }
    assert len(keys) == len(EXAMPLES)
