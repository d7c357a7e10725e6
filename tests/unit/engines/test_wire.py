"""The front believes nothing a worker says before it was checked."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.engines import wire
from imagemill.engines.base import Task
from imagemill.engines.typefaces import found
from imagemill.model.media import ANSWERS, Format
from imagemill.model.recipe import Encode
from imagemill.settings import Engine, Limits, Text

GOOD = {
    "type": "Done", "length": 5, "format": "png", "etag": "0" * 40, "width_px": 1, "height_px": 1, "frames": 1,
    "probe_ms": 0.0, "render_ms": 1.5, "cpu_ms": 1.5, "private_bytes": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        wire.Setup(Limits(), Engine(), 1, 2, 3, found(Text())), wire.Next(),
        wire.Job(5, (Task((Encode(),)), Task((Encode(Format.AUTO),), (Format.AVIF,)))),
    ],
)  # fmt: skip
def test_round_trip_from_front(message):
    """Write and read are inverse."""
    assert wire.heard_from_front(wire.write(message)) == message


def test_round_trip_from_worker():
    """Write and read are inverse."""
    for message in (wire.Ready({"libvips": "8"}), wire.Failed("image_corrupt", "no")):
        assert wire.heard_from_worker(wire.write(message)) == message
    for format_ in sorted(ANSWERS):
        done = msgspec.convert(GOOD | {"format": format_}, wire.Done)
        assert wire.heard_from_worker(wire.write(done)) == done


@pytest.mark.parametrize(
    "lie",
    [
        {"length": 0}, {"length": -1}, {"format": "keep"}, {"format": "auto"}, {"format": "exe"}, {"etag": ""}, {"etag": "0" * 39},
        {"etag": "G" * 40}, {"etag": "0" * 38 + "\r\n"}, {"etag": "\u0660" * 40}, {"width_px": 0}, {"height_px": -5}, {"frames": 0},
        {"cpu_ms": float("nan")}, {"cpu_ms": float("inf")}, {"render_ms": -0.1}, {"probe_ms": 1e300}, {"type": "Job"},
        {"width_px": "1"},
    ],
)  # fmt: skip
def test_lies(lie):
    """What goes into headers and metrics is of the right kind, or nothing was heard."""
    with pytest.raises(msgspec.MsgspecError):
        wire.heard_from_worker(msgspec.msgpack.encode(GOOD | lie))


@given(st.binary(max_size=200))
def test_noise(packet):
    """Arbitrary packets are errors of one family."""
    try:
        wire.heard_from_worker(packet)
    except msgspec.MsgspecError:
        return
    assert packet
