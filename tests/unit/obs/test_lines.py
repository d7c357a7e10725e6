"""Lines with holes are, once filled, what the log would have written."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagemill.obs.lines import Holed
from imagemill.obs.logs import json_line, pretty_line

NAME = "imagemill.request"


def written(line, fields, now_s):
    record = logging.LogRecord(NAME, logging.INFO, "f", 1, "request", (), None)
    record.created, record.msecs = now_s, int((now_s - int(now_s)) * 1e3)
    record.fields = fields
    return line(record).encode("ascii") + b"\n"


@pytest.mark.parametrize("line", [json_line, pretty_line])
@settings(deadline=None)
@given(
    target=st.text() | st.just('/image?a="0123456789abcdef"&b=0.123456789&c=1970-01-01T00:00:00.000Z'),
    ms=st.floats(0, 1e6).map(lambda x: round(x, 2)),
    now_s=st.integers(0, 4 * 10**12).map(lambda ms: ms / 1e3 + 0.0004),  # where no rounding decides on the millisecond
)
def test_a_filled_line_is_the_ordinary_one(line, target, ms, now_s):
    """Also where a value looks like a hole, or would break a line."""
    holed = Holed(line, NAME, "request", {"target": target, "status": 200})

    expected = written(line, {"request_id": "f" * 16, "target": target, "status": 200, "ms": ms}, now_s)
    assert holed.filled("f" * 16, ms, now_s) == expected


def test_one_line_is_filled_again_and_again():
    holed = Holed(json_line, NAME, "request", {"target": "/"})

    lines = [holed.filled(f"{n:016x}", n / 4, 1e9 + n) for n in range(3)]

    assert lines == [
        written(json_line, {"request_id": f"{n:016x}", "target": "/", "ms": n / 4}, 1e9 + n) for n in range(3)
    ]
