"""When a source may stand for its rendition."""

import pytest
from msgspec.structs import replace

from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import Encode, Metadata, Space, Speed, Subsampling
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Crisp, Steps, Turn, Underlay
from imagemill.plan.untouched import is_untouched

SOURCE = MediaInfo(Format.JPEG, 30, 20)


def steps(*todo, info=SOURCE, format_=Format.JPEG, frames=1, encode=Encode()):  # noqa: B008 - frozen
    return Steps(info, todo, format_, 0, Size(30, 20), frames, encode=encode)


@pytest.mark.parametrize(
    "encode",
    [
        Encode(),
        Encode(Format.JPEG),
        Encode(quality=5),
        Encode(speed=Speed.SMALL),
        Encode(effort=3),
        Encode(max_bytes=9),
    ],
)
def test_how_hard_an_encoder_tries_changes_nothing(encode):
    """Those are asked so that there be fewer bytes."""
    assert is_untouched(steps(encode=encode))
    assert is_untouched(steps(Underlay(0xFFFFFFFF), encode=encode))


@pytest.mark.parametrize(
    "made",
    [
        steps(Crisp(1.0)), steps(Turn(2)), steps(format_=Format.PNG), steps(frames=2), steps(info=replace(SOURCE, orientation=6)),
        steps(info=replace(SOURCE, bits=16)), steps(info=replace(SOURCE, bits=12)), steps(info=replace(SOURCE, icc_bytes=3)),
        steps(info=replace(SOURCE, frames=2)), replace(steps(), loops=0), replace(steps(), delay_ms=50), steps(Underlay(0xFFFFFFFF), info=replace(SOURCE, has_alpha=True)),
        *(steps(encode=e) for e in (
            Encode(lossless=True), Encode(colours=9), Encode(progressive=False), Encode(subsampling=Subsampling.NONE), Encode(bits=16),
            Encode(space=Space.P3), Encode(profile=True), Encode(metadata=Metadata.COPYRIGHT), Encode(dither_percent=5),
        )),
    ],
)  # fmt: skip
def test_what_a_source_does_not_keep(made):
    """Pixels that change, and whatever was asked of the file itself."""
    assert not is_untouched(made)
