"""What a speed means: its options, the knobs above it, the quality under it, its cost."""

import itertools

import pytest

from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import Encode, Resize, Speed
from imagemill.plan.cost import estimate_us
from imagemill.plan.profiles import PROFILES, chosen, encoder_quality
from imagemill.plan.resolve import resolve
from imagemill.settings import Engine, Limits

PHOTO = MediaInfo(Format.JPEG, 4000, 3000)
CLIP = MediaInfo(Format.GIF, 480, 270, frames=40)
LOSSY = [Format.JPEG, Format.WEBP, Format.AVIF]


def steps(format_, quality=0, speed=None, info=PHOTO):
    return resolve((Resize(300), Encode(format_, quality, speed)), (), info, Limits())


def asked_of_encoder(format_, quality=0, speed=None, engine=Engine(), info=PHOTO):  # noqa: B008 - frozen
    return encoder_quality(steps(format_, quality, speed, info), engine, chosen(engine, speed))


def test_the_request_decides_else_the_server():
    """``speed`` of a URL holds against the server's; without either it is balanced."""
    assert chosen(Engine(), None) == PROFILES[Speed.BALANCED]
    for server, speed in itertools.product(Speed, Speed):
        assert chosen(Engine(speed=server.value), None) == PROFILES[server]
        assert chosen(Engine(speed=server.value), speed) == PROFILES[speed]


@pytest.mark.parametrize("speed", [None, *Speed])
def test_a_knob_holds_whatever_the_speed(speed):
    """A number that the operator sets is what every request gets; what is not set stays the speed's."""
    found = chosen(Engine(webp_effort=0, avif_effort=7, png_compression=5, jpeg_optimize=False), speed)

    assert (found.webp_effort, found.webp_alpha_effort, found.webp_animated_effort) == (0, 0, 0)
    assert (found.avif_effort, found.png_compression, found.jpeg_optimize) == (7, 5, False)
    assert found.png_filter == PROFILES[speed or Speed.BALANCED].png_filter


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(Speed, 2)))
def test_speeds_differ(one, other):
    """Each is another choice, in more than one format."""
    pairs = [(getattr(PROFILES[one], f), getattr(PROFILES[other], f)) for f in PROFILES[one].__struct_fields__]
    assert sum(a != b for a, b in pairs) >= 3


@pytest.mark.parametrize("format_", LOSSY)
@pytest.mark.parametrize("speed", Speed)
def test_a_quality_stays_near_its_number(format_, speed):
    """More quality is never less for the encoder; the best stays the best; nothing leaves the scale."""
    given = [asked_of_encoder(format_, quality, speed) for quality in range(1, 101)]

    assert given == sorted(given)
    assert given[-1] == 100
    assert min(given) >= 1
    assert all(abs(got - quality) <= 2 for quality, got in enumerate(given, 1))


def test_the_usual_encoder_is_asked_for_just_that():
    """Balanced stills are made by the encoders that the numbers are defined by."""
    assert [asked_of_encoder(f, 70) for f in LOSSY] == [70, 70, 70]


def test_the_defaults_of_a_format_are_mapped_too():
    """No quality is the format's default, which means the same look at every speed."""
    engine = Engine(jpeg_quality=61, webp_quality=62, avif_quality=63)
    for format_, default in zip(LOSSY, (61, 62, 63), strict=True):
        for speed in Speed:
            assert asked_of_encoder(format_, 0, speed, engine) == asked_of_encoder(format_, default, speed, engine)
    assert asked_of_encoder(Format.PNG, 0) == 0


def test_animations_have_their_own_number():
    """Frames keep their colours until they are encoded, and need a point less."""
    assert asked_of_encoder(Format.WEBP, 80, info=CLIP) == 79


@pytest.mark.parametrize("format_", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF])
@pytest.mark.parametrize("info", [PHOTO, CLIP])
def test_cost_follows_the_speed(format_, info):
    """R09: what saves bytes is estimated dearer, for each format, however it is chosen."""
    fast, balanced, small = (estimate_us(steps(format_, speed=s, info=info), Engine()) for s in Speed)
    assert fast <= balanced <= small
    assert fast < small
    for speed, cost_us in zip(Speed, (fast, balanced, small), strict=True):
        assert estimate_us(steps(format_, info=info), Engine(speed=speed.value)) == cost_us


def test_the_last_effort_is_dear_with_transparency():
    """R09: WebP's effort 6 tries much out on it, also on a small picture; no speed asks for that, a knob may."""
    drawing = MediaInfo(Format.PNG, 60, 40, channels=4, has_alpha=True)
    costs_us = [estimate_us(steps(Format.WEBP, info=drawing), Engine(webp_effort=n)) for n in (5, 6)]
    assert costs_us[1] - costs_us[0] > 100_000
    assert estimate_us(steps(Format.WEBP, speed=Speed.SMALL, info=drawing), Engine()) == costs_us[0]
    opaque = MediaInfo(Format.PNG, 60, 40)
    assert estimate_us(steps(Format.WEBP, info=opaque), Engine(webp_effort=6)) < 100_000
