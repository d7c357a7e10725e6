"""Presets: parameters under a name, and where nothing else may be asked for (R10)."""

import pytest

from imagemill.dialects.native import Native
from imagemill.model.client import Client
from imagemill.model.errors import BadOption, SettingsError
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Blur, Encode, Fit, Resize
from imagemill.plan.prepare import prepare
from imagemill.settings import Limits, Presets

NAMED = {"thumb": "w=200&h=100&fit=cover", "soft": "blur=5", "small": "f=webp&q=50", "order": "ops=blur:5/resize:30"}


def dialect(*, only=False, named=NAMED, client_hints=False):
    return Native(Limits(), lambda url: url, Presets(named, only), client_hints=client_hints)


def recipe(query, **given):
    return dialect(**given).parse(f"source=local:a/b&{query}".encode()).recipe


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("preset=thumb", [Resize(200, 100, Fit.COVER), Encode()]),
        ("pr=thumb", [Resize(200, 100, Fit.COVER), Encode()]),
        ("preset=thumb&width=50", [Resize(50, 100, Fit.COVER), Encode()]),
        ("format=png&preset=small", [Encode(Format.PNG, 50)]),
        ("preset=thumb,soft,small", [Resize(200, 100, Fit.COVER), Blur(500), Encode(Format.WEBP, 50)]),
        ("preset=order", [Blur(500), Resize(30), Encode()]), ("preset=order&ops=blur:2", [Blur(200), Encode()]),
    ],
)  # fmt: skip
def test_applied(query, wanted):
    """A preset is its parameters; those of the URL, and of later presets, override them."""
    assert recipe(query) == (AutoOrient(), *wanted)


def test_later_presets_override_earlier_ones():
    """The order of names counts."""
    named = {"a": "width=10&blur=1", "b": "width=20"}
    assert recipe("preset=a,b", named=named)[1:3] == (Resize(20), Blur(100))
    assert recipe("preset=b,a", named=named)[1:3] == (Resize(10), Blur(100))


@pytest.mark.parametrize(
    ("preset", "asked"),
    [
        ("gravity=north", "focus=0.1,0.2"), ("focus=0.1,0.2", "gravity=north"), ("gravity=face", "gravity=west"),
        ("trim=9&trim_color=f00", "trim_corner=bottom-right"), ("trim=9&trim_corner=bottom-right", "trim_color=f00"),
    ],
)  # fmt: skip
def test_one_thing_in_two_ways(preset, asked):
    """What a URL says in one way overrides what a preset, or an earlier one, says in the other."""
    box, trim = "width=9&height=9&fit=cover", "trim=9&" if "trim" in preset else ""
    named = {"a": f"{box}&{preset}", "b": f"{box}&{trim}{asked}"}
    wanted = recipe(f"{box}&{trim}{asked}")
    assert recipe(f"preset=a&{asked}", named=named) == wanted
    assert recipe("preset=a,b", named=named) == wanted


def test_two_ways_in_one_url_stay_refused():
    with pytest.raises(BadOption, match="not together with gravity"):
        recipe("preset=thumb&gravity=north&focus=0,0")


def test_the_key_is_of_what_is_done():
    """Whoever asks for the same by a preset or by parameters shares the entry; a preset that changes has another."""
    by_name = dialect().parse(b"source=local:a/b&preset=thumb")
    by_hand = dialect().parse(b"source=local:a/b&width=200&height=100&fit=cover")
    changed = dialect(named={"thumb": "w=201&h=100&fit=cover"}).parse(b"source=local:a/b&preset=thumb")
    keys = [prepare(request, Limits()).key for request in (by_name, by_hand, changed)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("query", ["preset=", "preset=none", "preset=thumb,", "preset=Thumb", "preset=thumb&pr=thumb", "preset=order&width=5",
                                   "preset=thumb&ops=blur:5", "preset=" + ",".join(["thumb"] * 9), "preset=thumb%2520"])  # fmt: skip
def test_refused(query):
    """400 for what is no preset, and for what its parameters do not go with."""
    with pytest.raises(BadOption):
        recipe(query)


def test_only_presets():
    """R10: where nothing else may be asked for, nothing else is made; terms of delivery are free."""
    free = "ttl=86400&tags=a&expires=1999999999&filename=x&attachment=1"
    assert recipe(f"preset=thumb&{free}", only=True)[1:] == (Resize(200, 100, Fit.COVER), Encode())
    for query in (
        "width=5",
        "preset=thumb&width=5",
        "preset=thumb&format=png",
        "preset=thumb&quality=1",
        "preset=thumb&ops=blur:5",
        "",
    ):
        with pytest.raises(BadOption):
            recipe(query, only=True)
    with pytest.raises(BadOption, match="preset: one is wanted"):
        dialect(only=True).parse(b"source=local:a/b")
    assert dialect(only=True).source("local:a/b").address == "a/b"


@pytest.mark.parametrize(
    ("named", "only"),
    [
        ({"a": "width=0"}, False), ({"a": "gravity=north"}, False), ({"a": "source=local:a/b"}, False), ({"a": "preset=b"}, False), ({"a": "ttl=86400"}, False),
        ({"a b": "width=5"}, False), ({"": "width=5"}, False), ({"a": "width=5&w=6"}, False), ({"a": "blur=1000000000"}, False), ({}, True),
    ],
)  # fmt: skip
def test_settings(named, only):
    """What could never be asked for stops the start, and names the preset."""
    with pytest.raises(SettingsError, match="presets"):
        dialect(named=named, only=only)


@pytest.mark.parametrize("text", ["width=auto:300&format=auto", "width=auto", "width=300&dpr=auto"])
def test_what_the_client_says(text):
    """A preset may leave numbers to the client where hints are heard; where they are not, it stops the start."""
    heard = dialect(named={"hero": text}, client_hints=True)

    request = heard.parse(b"source=local:a/b&preset=hero", Client(width_px=640, dpr_centi=200))

    assert request.vary
    assert Resize(640 if "auto" in text.partition("&")[0] else 600) in request.recipe
    with pytest.raises(SettingsError, match=r"presets.named.hero: .*client hints"):
        dialect(named={"hero": text})
