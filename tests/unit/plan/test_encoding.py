"""What of `Encode` is refused because it would do nothing, where it is known, and what the rest costs."""

import pytest
from msgspec.structs import replace

from imagemill.model.errors import BadOption
from imagemill.model.media import LOSSLESS, LOSSY, MEDIA_TYPES, Format, MediaInfo
from imagemill.model.recipe import (
    Blur,
    Encode,
    Fit,
    Layer,
    Metadata,
    Resize,
    Round,
    SourceRef,
    Space,
    Speed,
    Subsampling,
)
from imagemill.plan.cost import estimate_us
from imagemill.plan.operations.encoding import ABILITIES, MOST_ENCODES
from imagemill.plan.prepare import check
from imagemill.plan.profiles import profile_of
from imagemill.plan.resolve import resolve
from imagemill.settings import Engine, Limits

PHOTO, DRAWING = MediaInfo(Format.JPEG, 1500, 1000), MediaInfo(Format.PNG, 600, 400, channels=4, has_alpha=True)
CLIP = MediaInfo(Format.GIF, 480, 270, frames=40)
CHOICES = {
    "lossless": ({"lossless": True}, set(MEDIA_TYPES) - {Format.JPEG, Format.GIF}),
    "max_bytes": ({"max_bytes": 9_000}, LOSSY),
    "colors": ({"colours": 16}, {Format.PNG, Format.GIF}),
    "dither": ({"dither_percent": 50}, {Format.GIF}),
    "progressive": ({"progressive": False}, {Format.JPEG, Format.PNG, Format.GIF}),
    "subsampling": ({"subsampling": Subsampling.HALF}, {Format.JPEG, Format.AVIF}),
    "icc": ({"profile": True}, set(MEDIA_TYPES) - {Format.GIF, Format.JXL}),
    "colorspace": ({"space": Space.P3}, set(MEDIA_TYPES) - {Format.GIF, Format.JXL}),
    "metadata": ({"metadata": Metadata.ALL}, set(MEDIA_TYPES) - {Format.GIF}),
    "bits": ({"bits": 16}, {Format.PNG, Format.TIFF}),
    "bits of AVIF": ({"bits": 12}, {Format.AVIF}),
    "effort": ({"effort": 0}, set(MEDIA_TYPES) - {Format.GIF, Format.JXL}),
    "effort of GIF": ({"effort": 10}, {Format.GIF}),
}


def steps(last, info=PHOTO, *ops):
    return resolve((*ops, last), (), info, Limits())


@pytest.mark.parametrize("format_", MEDIA_TYPES)
@pytest.mark.parametrize("name", CHOICES)
def test_what_a_format_cannot_do_is_refused_before_the_source_is_read(name, format_):
    """And named; what it can do is not."""
    asked, able = CHOICES[name]
    last = Encode(format_, **asked)

    if format_ in able:
        check((last,), Limits())
        return
    with pytest.raises(BadOption, match=f"^{name.split()[0]}: "):
        check((last,), Limits())


@pytest.mark.parametrize("name", CHOICES)
def test_with_keep_it_is_refused_once_the_format_is_known(name):
    """The same words, then."""
    asked, able = CHOICES[name]
    last = Encode(Format.KEEP, **asked)
    check((last,), Limits())
    for info in (PHOTO, DRAWING, MediaInfo(Format.GIF, 40, 40), MediaInfo(Format.WEBP, 40, 40)):
        if info.format in able:
            assert steps(last, info).encode == last
            continue
        with pytest.raises(BadOption, match=f"^{name.split()[0]}: ") as found:
            steps(last, info)
        with pytest.raises(BadOption) as named:
            check((replace(last, format=info.format),), Limits())
        assert str(found.value) == str(named.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"lossless": True, "quality": 50}, {"lossless": True, "max_bytes": 50}, {"lossless": True, "bits": 10},
        {"lossless": True, "subsampling": Subsampling.HALF}, {"lossless": True, "colours": 9}, {"colours": 4, "bits": 16}, {"bits": 9}, {"colours": 1},
        {"bits": 16, "space": Space.P3}, {"profile": True, "space": Space.KEEP}, {"max_bytes": -1}, {"effort": 11},
        {"colours": 257}, {"dither_percent": 101}, {"lossless": True, "target_centi": 50},
    ],
)  # fmt: skip
def test_what_excludes_one_another(fields):
    """No order, no format and no source makes it acceptable."""
    with pytest.raises(BadOption):
        Encode(**fields)


@pytest.mark.parametrize("format_", MEDIA_TYPES)
def test_efforts_have_the_bounds_of_the_format(format_):
    """Every effort within them is the encoder's own, the error names both."""
    least, most = ABILITIES[format_].effort
    profiles = {profile_of(steps(Encode(format_, effort=n)), Engine()) for n in range(least, most + 1)}
    assert len(profiles) == most - least + 1
    for beyond in {least - 1, most + 1} - {-1, 11}:
        with pytest.raises(BadOption, match=f"{least} to {most}"):
            check((Encode(format_, effort=beyond),), Limits())


def test_an_effort_holds_above_speed_and_settings():
    """What a request names is the nearest to what it wants."""
    for speed in (None, *Speed):
        asked = steps(Encode(Format.WEBP, speed=speed, effort=1))
        assert profile_of(asked, Engine(webp_effort=6)).webp_effort == 1


def test_more_bits_only_where_all_steps_keep_them():
    """Refused before the source is read where an operation says so, else when the steps are known."""
    deep = Encode(Format.PNG, bits=16)
    for operation, parameter in (
        (Blur(100), "blur"),
        (Round(5), "radius"),
        (Layer(SourceRef("local", "l/m")), "watermark"),
    ):
        with pytest.raises(BadOption, match=f"bits: {parameter} works on eight"):
            check((operation, deep), Limits())
    boxed = Resize(90, 90, Fit.CONTAIN)
    check((boxed, deep), Limits())
    with pytest.raises(BadOption, match="bits: fit=contain works on eight"):
        steps(deep, PHOTO, boxed)
    assert steps(deep, PHOTO, Resize(90, 90, Fit.COVER)).encode.bits == 16


@pytest.mark.parametrize(
    ("asked", "info", "expected"),
    [
        ({"lossless": True}, PHOTO, {"both": Format.WEBP, "webp": Format.WEBP, "neither": Format.PNG}),
        ({"lossless": True}, DRAWING, {"both": Format.WEBP, "webp": Format.WEBP, "neither": Format.PNG}),
        ({"lossless": True}, CLIP, {"both": Format.WEBP, "webp": Format.WEBP, "neither": Format.APNG}),
        ({"max_bytes": 9_000}, PHOTO, {"both": Format.AVIF, "webp": Format.WEBP, "neither": Format.JPEG}),
        ({"progressive": True}, PHOTO, dict.fromkeys(("both", "webp", "neither"), Format.JPEG)),
        ({"progressive": True}, DRAWING, dict.fromkeys(("both", "webp", "neither"), Format.PNG)),
        ({"progressive": True}, CLIP, dict.fromkeys(("both", "webp", "neither"), Format.GIF)),
        ({"subsampling": Subsampling.NONE}, PHOTO, {"both": Format.AVIF, "webp": Format.JPEG, "neither": Format.JPEG}),
        ({"effort": 8}, PHOTO, {"both": Format.AVIF}),
        ({"bits": 10}, PHOTO, {"both": Format.AVIF}),
    ],
)
def test_auto_passes_over_what_cannot_do_it(asked, info, expected):
    """A URL that works for one client works for the next, as far as there is a format for it."""
    clients = {"both": (Format.AVIF, Format.WEBP), "webp": (Format.WEBP,), "neither": ()}
    for client, format_ in expected.items():
        recipe = (Encode(Format.AUTO, **asked),)
        assert resolve(recipe, clients[client], info, Limits(), engine=Engine(avif_budget_s=9_999)).format is format_
    for client in clients.keys() - expected:
        with pytest.raises(BadOption):
            resolve((Encode(Format.AUTO, **asked),), clients[client], info, Limits())


def test_auto_has_no_way_to_bound_what_is_transparent_for_clients_without_webp():
    with pytest.raises(BadOption, match="max_bytes: nothing that png could do"):
        resolve((Encode(Format.AUTO, max_bytes=9_000),), (), DRAWING, Limits())


def test_frames_that_cannot_be():
    """An animated AVIF is neither lossless nor deep; a still one may be."""
    for fields in ({"lossless": True}, {"bits": 10}):
        with pytest.raises(BadOption):
            steps(Encode(Format.AVIF, **fields), CLIP)
        assert steps(Encode(Format.AVIF, **fields), PHOTO).frames == 1


@pytest.mark.parametrize("format_", sorted(LOSSY))
def test_a_search_is_priced(format_):
    """R09: its encodes count, and a search makes no more than twice what is counted."""
    encode = {limited: estimate_us(steps(Encode(format_, max_bytes=limited)), Engine()) for limited in (0, 5_000)}
    without = estimate_us(steps(Encode(Format.JPEG, effort=0)), Engine()) if format_ is not Format.JPEG else encode[0]
    decode = min(without, encode[0])
    assert encode[5_000] > encode[0]
    assert 2 * encode[5_000] >= MOST_ENCODES * (encode[0] - decode)


@pytest.mark.parametrize(
    ("format_", "lossless"),
    [(f, False) for f in MEDIA_TYPES if f is not Format.GIF]
    + [(f, True) for f in (Format.JXL, Format.WEBP, Format.AVIF)],
)
def test_efforts_are_priced(format_, lossless):
    """R09: more effort is never cheaper, and the most is dearer than the least."""
    least, most = ABILITIES[format_].effort
    costs = [
        estimate_us(steps(Encode(format_, effort=n, lossless=lossless), DRAWING), Engine())
        for n in range(least, most + 1)
    ]
    assert costs == sorted(costs)
    assert costs[-1] > costs[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"format": Format.PNG, "colours": 100}, {"format": Format.PNG, "bits": 16}, {"format": Format.TIFF, "bits": 16},
        {"format": Format.JPEG, "progressive": True}, {"format": Format.AVIF, "bits": 10},
        {"format": Format.WEBP, "space": Space.P3}, {"format": Format.AVIF, "lossless": True},
    ],
)  # fmt: skip
def test_choices_are_priced(fields):
    """R09: what makes an encode dearer is estimated so."""
    assert estimate_us(steps(Encode(**fields)), Engine()) > estimate_us(steps(Encode(fields["format"])), Engine())


def test_a_quality_without_effect_makes_no_other_key():
    """Formats that lose nothing are named once, whatever quality is asked for."""
    assert LOSSLESS == {Format.PNG, Format.GIF, Format.APNG, Format.TIFF}
    assert LOSSLESS | LOSSY == set(MEDIA_TYPES)
