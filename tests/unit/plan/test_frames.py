"""Which frames and pages are read, without a picture."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagemill.model.errors import BadOption, PageMissing
from imagemill.model.media import ANIMATED, MEDIA_TYPES, PAGED, Format, MediaInfo, kept
from imagemill.model.recipe import Encode, Frames
from imagemill.plan.frames import Selection, asked, played, selected
from imagemill.plan.resolve import resolve
from imagemill.settings import Limits

GIF = MediaInfo(Format.GIF, 20, 10, frames=8)
TIFF = MediaInfo(Format.TIFF, 20, 10, pages=5, page=1, alike=2)
ICON = MediaInfo(Format.ICO, 64, 64, pages=3, page=2)


@pytest.mark.parametrize(
    ("op", "info", "wanted"),
    [
        (None, GIF, (0, 8)), (Frames(3), GIF, (3, 5)), (Frames(3, 2), GIF, (3, 2)), (Frames(most=99), GIF, (0, 8)),
        (Frames(7), GIF, (7, 1)), (None, TIFF, (1, 1)), (Frames(most=2), TIFF, (1, 2)), (Frames(1, 1), TIFF, (1, 1)),
        (None, ICON, (2, 1)), (Frames(2), ICON, (2, 1)), (Frames(loops=3), GIF, (0, 8)),
    ],
)  # fmt: skip
def test_selected(op, info, wanted):
    """All frames of an animation from the first on, one page of what has pages, unless more is said."""
    assert selected(asked((op, Encode()) if op else (Encode(),)), info) == Selection(*wanted)


@pytest.mark.parametrize(("info", "there"), [(GIF, 8), (TIFF, 5), (ICON, 3), (MediaInfo(Format.JPEG, 5, 5), 1)])
def test_missing(info, there):
    """What is not there is named, with the number of those that are."""
    with pytest.raises(PageMissing, match=f"page: {there} of {there}; the first is 0"):
        selected(asked((Frames(there),)), info)


@given(
    st.integers(-1, 12), st.integers(0, 12), st.integers(1, 9), st.sampled_from([Format.GIF, Format.WEBP, Format.APNG])
)
def test_never_beyond_the_file(first, most, frames, format_):
    """Whatever is asked: what is selected is there, and no more than was asked for."""
    assume((first, most) != (-1, 0))
    try:
        found = selected(asked((Frames(first, most),)), MediaInfo(format_, 5, 5, frames=frames))
    except PageMissing:
        assert first >= frames
        return
    assert 0 <= found.first < frames
    assert 1 <= found.count <= min(most or frames, frames - found.first)


@pytest.mark.parametrize("format_", sorted(MEDIA_TYPES))
def test_played(format_):
    """One frame where the format holds one; what would then be in vain is refused."""
    many = Selection(0, 8)
    if format_ in ANIMATED:
        assert played(asked((Frames(most=8, loops=2, delay_ms=5),)), many, format_) == 8
        return
    assert played(asked(()), many, format_) == 1
    for op, name in ((Frames(most=8), "frames"), (Frames(loops=0), "loop"), (Frames(delay_ms=9), "delay")):
        with pytest.raises(BadOption, match=f"^{name}: "):
            played(asked((op,)), many, format_)


def test_steps_say_what_is_read():
    """What the engine is told: where to begin, how many, how they are played."""
    steps = resolve((Frames(2, 3, 4, 50), Encode(Format.WEBP)), (), GIF, Limits())
    assert (steps.first, steps.frames, steps.loops, steps.delay_ms, steps.steps) == (2, 3, 4, 50, ())
    still = resolve((Frames(2), Encode(Format.PNG)), (), GIF, Limits())
    assert (still.first, still.frames) == (2, 1)


@pytest.mark.parametrize("format_", [f for f in Format if f not in {Format.KEEP, Format.AUTO}])
@pytest.mark.parametrize("alpha", [True, False])
def test_kept_is_always_written(format_, alpha):
    """``keep`` of any source is a format that is written; with transparency, one that holds it."""
    made = kept(format_, has_alpha=alpha)
    assert made in MEDIA_TYPES
    assert made is format_ or format_ not in MEDIA_TYPES
    if format_ in {Format.HEIC, Format.JXL} - MEDIA_TYPES.keys():
        assert made is (Format.PNG if alpha else Format.JPEG)
    assert PAGED <= {Format.TIFF, Format.ICO}
