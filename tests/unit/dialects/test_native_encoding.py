"""How a picture is to be written, as native parameters say it."""

import pytest

from imagemill.dialects.native import Native
from imagemill.model.errors import BadOption
from imagemill.model.media import MEDIA_TYPES, Format
from imagemill.model.recipe import AutoOrient, Blur, Encode, Metadata, Space, Subsampling
from imagemill.plan.prepare import prepare
from imagemill.settings import Limits

NATIVE = Native(Limits(), str)


def request(query):
    return NATIVE.parse(f"source=local:a/b&{query}".encode())


def encode(query):
    return request(query).recipe[-1]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("max_bytes=5000", {"max_bytes": 5000}), ("mb=1", {"max_bytes": 1}), ("lossless=1", {"lossless": True}),
        ("ll=0", {}), ("colors=2", {"colours": 2}), ("colors=256&dither=0", {"colours": 256, "dither_percent": 0}),
        ("progressive=1", {"progressive": True}), ("il=0", {"progressive": False}),
        ("subsampling=420", {"subsampling": Subsampling.HALF}), ("ss=444", {"subsampling": Subsampling.NONE}),
        ("ss=auto", {}), ("effort=0", {"effort": 0}), ("effort=10", {"effort": 10}), ("bits=16", {"bits": 16}),
        ("bits=8", {}), ("colorspace=p3", {"space": Space.P3}), ("cs=keep", {"space": Space.KEEP}),
        ("icc=1", {"profile": True}), ("icc=0", {}), ("metadata=copyright", {"metadata": Metadata.COPYRIGHT}),
        ("md=all", {"metadata": Metadata.ALL}), ("metadata=strip", {}),
    ],
)  # fmt: skip
def test_values(query, fields):
    """Each parameter is one field, by its long name and its alias."""
    assert encode(query) == Encode(**fields)


@pytest.mark.parametrize(
    "query",
    [
        "max_bytes=0", "max_bytes=1000000000", "max_bytes=5k", "lossless=yes", "colors=1", "colors=257", "dither=101",
        "format=png&dither=50", "progressive=2", "subsampling=422", "effort=11", "effort=-1", "bits=9", "bits=32",
        "colorspace=adobe", "icc=2", "icc=0&colorspace=p3", "icc=1&colorspace=keep", "metadata=none", "format=heic",
        "format=svg", "lossless=1&quality=80", "lossless=1&max_bytes=9",
    ],
)  # fmt: skip
def test_refused(query):
    """What is out of range, unknown, or would do nothing: the message names the parameter."""
    with pytest.raises(BadOption, match=f"^({'|'.join(p.partition('=')[0] for p in query.split('&'))}): "):
        encode(query)


def test_a_format_that_is_none_is_told_those_that_are_written():
    """Not those that are read."""
    for format_ in ("tga", "svg", "json"):
        with pytest.raises(BadOption) as refused:
            encode(f"format={format_}")
        assert str(refused.value).endswith("; one of jpeg, png, webp, avif, gif, apng, tiff, jxl, keep, auto")


@pytest.mark.parametrize("format_", MEDIA_TYPES)
def test_every_format_that_is_written_can_be_asked_for(format_):
    """By the name of its media type."""
    assert encode(f"format={format_}") == Encode(Format(format_))


def test_it_stands_beside_ops():
    """How a picture is written is said there as everywhere."""
    query = "ops=blur:2&format=png&colors=16&dither=50&metadata=all"
    assert request(query).recipe == (AutoOrient(), Blur(200), encode("format=png&colors=16&dither=50&metadata=all"))


def test_each_has_a_key_of_its_own():
    """R13: what changes bytes changes the key."""
    choices = (
        "quality=50", "max_bytes=900", "lossless=1", "subsampling=420", "effort=2", "bits=10", "colorspace=p3",
        "colorspace=keep", "icc=1", "metadata=all", "metadata=copyright", "speed=small",
    )  # fmt: skip
    keys = {prepare(request(f"format=avif&{choice}"), Limits()).key for choice in choices}
    assert len(keys) == len(choices)
    assert prepare(request("format=avif"), Limits()).key not in keys


@pytest.mark.parametrize("query", ["format=jpeg&lossless=1", "format=webp&colors=8", "format=webp&progressive=0"])
def test_what_the_format_cannot_do_is_known_at_once(query):
    """No source is read for it."""
    with pytest.raises(BadOption):
        prepare(request(query), Limits())
