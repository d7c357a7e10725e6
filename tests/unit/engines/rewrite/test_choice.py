"""Which sources are tried at all in place of a rendition that came out larger."""

import pytest

from imagemill.engines.rewrite import choice
from imagemill.model.media import Format, MediaInfo
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Steps

MOST = choice.MOST_PIXELS


@pytest.mark.parametrize(
    ("format_", "width", "height", "frames", "tried"),
    [
        (Format.WEBP, 16_000, MOST // 16_000, 1, True), (Format.WEBP, 16_000, MOST // 16_000 + 1, 1, False), (Format.WEBP, MOST // 500, 500, 1, True),
        (Format.WEBP, MOST // 500 + 1, 500, 1, False), (Format.AVIF, 1000, MOST // 1000 + 1, 1, False), (Format.WEBP, 1000, MOST // 4_000 + 1, 4, False),
        (Format.WEBP, 1000, MOST // 4_000, 4, True), (Format.GIF, 1000, MOST // 4_000 + 1, 4, False), (Format.GIF, 1000, MOST // 4_000, 4, True),
        (Format.GIF, 1000, MOST // 1000 + 1, 1, True), (Format.PNG, 9000, 9000, 1, True), (Format.JPEG, 9000, 9000, 1, True), (Format.TIFF, 9, 9, 1, False),
    ],
)  # fmt: skip
def test_what_would_take_too_long(format_, width, height, frames, tried, monkeypatch):
    """All frames count, and only where they would have to be decoded again and again."""
    asked = []
    if format_ in choice._WRITERS:
        monkeypatch.setitem(choice._WRITERS, format_, asked.append)
    steps = Steps(MediaInfo(format_, width, height, frames=frames), (), format_, 0, Size(width, height), frames)

    assert choice.smaller(memoryview(b"small"), steps, b"larger") == b"larger"
    assert asked == [b"small"] * tried


@pytest.mark.parametrize("source", [b"larger", b"larger than that"])
def test_only_what_is_smaller(source, monkeypatch):
    """A source that would win nothing is not even looked into."""
    asked = []
    monkeypatch.setitem(choice._WRITERS, Format.PNG, asked.append)
    steps = Steps(MediaInfo(Format.PNG, 4, 4), (), Format.PNG, 0, Size(4, 4), 1)
    assert choice.smaller(memoryview(source), steps, b"larger") == b"larger"
    assert asked == []
