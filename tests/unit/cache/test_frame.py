"""A frame is read back as what it was written from, or not at all (threat L11)."""

import hashlib
import math
from struct import pack_into

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagemill.cache.frame import (
    BORN,
    CHECKSUM,
    HEAD_BYTES,
    MAX_MESSAGE_CHARS,
    MAX_METADATA_BYTES,
    OVERHEAD_BYTES,
    BadFrame,
    Glance,
    glance,
    pack,
    unpack,
)
from imagemill.model.entry import MAX_DATE_S, MAX_LIFE_S, MAX_TAGS, Entry, Failure, Validators
from imagemill.model.keys import etag
from imagemill.model.media import ANSWERS, Format, Rendition

KEY, OTHER = "ab" * 32, "cd" * 32
SECRET = b"s" * 32

hex64 = st.binary(min_size=32, max_size=32).map(bytes.hex)
natural = st.integers(0, 2**53)
born = st.floats(0, 2**40, exclude_max=True)
tags = st.lists(st.text(max_size=20), max_size=5).map(lambda names: tuple(sorted(set(names))))
renditions = st.builds(
    lambda body, **rest: Rendition(body, etag=etag(body), **rest),
    body=st.binary(min_size=1, max_size=2000),
    format=st.sampled_from(sorted(ANSWERS)),
    width_px=st.integers(1, 2**20),
    height_px=st.integers(1, 2**20),
    frames=st.integers(1, 1000),
)
entries = st.builds(
    Entry,
    rendition=renditions,
    born_s=born,
    life_s=st.integers(0, MAX_LIFE_S),
    source_key=st.just("") | hex64,
    validators=st.builds(Validators, etag=st.text(max_size=256), last_modified_s=st.integers(0, MAX_DATE_S)),
    max_age_s=st.none() | st.integers(0, 2**40),
    storable=st.booleans(),
    tags=tags,
    asked_ms=natural,
    cost_ms=natural,
    engine=natural,
)
failures = st.builds(
    Failure,
    code=st.sampled_from(["source_not_found", "limit_exceeded"]),
    message=st.text(max_size=MAX_MESSAGE_CHARS),
    born_s=born,
    source_key=hex64,
    tags=tags,
    limit=st.sampled_from(["", "pixels"]),
    asked_ms=natural,
)
ENTRY = Entry(Rendition(b"body" * 8, Format.WEBP, etag(b"body" * 8), 4, 3), 1_700_000_000.25, tags=("a",))
FAILURE = Failure("source_not_found", "cats/1.jpg", 1_700_000_000.5, OTHER)


@given(entries | failures, hex64, st.binary(max_size=100))
def test_round_trip(content, key, secret):
    """What comes out equals what went in, and costs at most the overhead."""
    frame = pack(key, content, secret)

    assert unpack(frame, key, secret) == content
    body = content.rendition.body if isinstance(content, Entry) else b""
    assert len(frame) <= len(body) + OVERHEAD_BYTES


@pytest.mark.parametrize("content", [ENTRY, FAILURE])
@pytest.mark.parametrize("secret", [b"", SECRET])
def test_no_bit_may_differ(content, secret):
    """A flip of any single bit of any byte is seen."""
    frame = pack(KEY, content, secret)

    for at in range(len(frame)):
        for bit in range(8):
            with pytest.raises(BadFrame):
                unpack(frame[:at] + bytes([frame[at] ^ 1 << bit]) + frame[at + 1 :], KEY, secret)


@pytest.mark.parametrize("content", [ENTRY, FAILURE])
def test_no_byte_may_lack_or_be_too_many(content):
    frame = pack(KEY, content, SECRET)

    for length in range(len(frame)):
        with pytest.raises(BadFrame):
            unpack(frame[:length], KEY, SECRET)
    for more in (b"\0", b"x" * 1000, frame):
        with pytest.raises(BadFrame):
            unpack(frame + more, KEY, SECRET)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: pack(KEY, ENTRY, b"")[:70] + b))
def test_noise_is_refused(noise):
    with pytest.raises(BadFrame):
        unpack(noise, KEY, b"")


def test_of_another_key():
    """A frame answers for one key, and says that it may have come by mistake."""
    with pytest.raises(BadFrame, match="key") as caught:
        unpack(pack(OTHER, ENTRY, SECRET), KEY, SECRET)

    assert caught.value.foreign


@pytest.mark.parametrize("secret", [b"", b"other" * 8, SECRET + b"\0", SECRET * 3])
def test_of_another_secret(secret):
    with pytest.raises(BadFrame, match="checksum"):
        unpack(pack(KEY, ENTRY, SECRET), KEY, secret)


@pytest.mark.parametrize("key", ["", "ab", "zz" * 32, "ab" * 33, "é" * 64])
def test_what_is_no_key(key):
    with pytest.raises(BadFrame, match="key"):
        pack(key, ENTRY, SECRET)


def forged(at, value, content=ENTRY):
    """A frame of somebody who can compute the checksum, with one field of the metadata changed."""
    frame = pack(KEY, content, b"")
    body = content.rendition.body if isinstance(content, Entry) else b""
    fields = msgspec.msgpack.decode(frame[HEAD_BYTES : len(frame) - len(body)])
    fields[at] = value
    metadata = msgspec.msgpack.encode(fields)
    head = bytearray(frame[: CHECKSUM.start])
    pack_into(">I", head, 46, len(metadata))
    checksum = hashlib.blake2b(bytes(head) + metadata + body, digest_size=16).digest()
    return bytes(head) + checksum + metadata + body


def test_a_forger_can_forge():
    """Else the next tests prove nothing."""
    assert unpack(forged(6, 60), KEY, b"") == msgspec.structs.replace(ENTRY, life_s=60)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, "html"), (0, "auto"), (0, "keep"), (0, 7),
        (1, "x" * 40), (1, "a" * 39), (1, 'a"\r\nx: y' + "a" * 31), (1, "A" * 40),
        (2, 0), (2, -1), (2, 2**21), (3, 1.5), (4, 0),
        (5, math.nan), (5, math.inf), (5, -1.0), (5, 1e300), (5, "x"), (5, 1_700_000_000.5),
        (6, MAX_LIFE_S + 1), (6, -1), (7, "short"), (7, "Z" * 64), (7, "a" * 64 + "\n"), (8, "x" * 257), (9, -1), (9, 2**63),
        (10, -1), (11, 1), (12, ["x" * 257]), (12, ["x"] * 257), (12, "x"), (13, -1), (14, math.nan), (14, 2**60),
    ],
)  # fmt: skip
def test_what_no_entry_says(at, value):
    with pytest.raises(BadFrame, match="metadata"):
        unpack(forged(at, value), KEY, b"")


@pytest.mark.parametrize(
    ("at", "value"), [(0, "bad\n"), (0, "Bad"), (0, ""), (1, "x" * 301), (2, math.nan), (3, "x"), (5, "\r\n"), (6, -1)]
)
def test_what_no_failure_says(at, value):
    with pytest.raises(BadFrame, match=r"metadata|length"):
        unpack(forged(at, value, FAILURE), KEY, b"")


def test_born_in_the_future():
    """Clocks may differ by minutes, not by more."""
    frame = pack(KEY, ENTRY, SECRET)

    assert unpack(frame, KEY, SECRET, now_s=ENTRY.born_s - 299) == ENTRY
    with pytest.raises(BadFrame, match="future"):
        unpack(frame, KEY, SECRET, now_s=ENTRY.born_s - 301)


@pytest.mark.parametrize("born_s", [math.nan, math.inf, -1.0, 1e30])
def test_what_has_no_birth_is_not_packed(born_s):
    with pytest.raises(BadFrame, match="metadata"):
        pack(KEY, msgspec.structs.replace(ENTRY, born_s=born_s), SECRET)


def test_what_is_cut():
    """A long message and a long life are cut rather than refused."""
    long = msgspec.structs.replace(FAILURE, message="é" * 1000)
    old = msgspec.structs.replace(ENTRY, life_s=10 * MAX_LIFE_S)

    assert unpack(pack(KEY, long, SECRET), KEY, SECRET).message == "é" * MAX_MESSAGE_CHARS
    assert unpack(pack(KEY, old, SECRET), KEY, SECRET).life_s == MAX_LIFE_S


def test_too_many_tags_are_not_packed():
    many = msgspec.structs.replace(ENTRY, tags=tuple("x" * 200 for _ in range(MAX_METADATA_BYTES // 200)))

    with pytest.raises(BadFrame, match="metadata"):
        pack(KEY, many, SECRET)


def test_where_scripts_look():
    """Born and checksum stand where the scripts in Redis read them."""
    frame = pack(KEY, ENTRY, SECRET)

    assert int.from_bytes(frame[BORN]) == 1_700_000_000_250
    assert (CHECKSUM.start, CHECKSUM.stop) == (54, 70)


def test_a_glance():
    """The front of a frame tells birth and end; what is none of ours, or cut short, tells nothing."""
    frame, failed = pack(KEY, ENTRY, SECRET), pack(KEY, FAILURE, SECRET)

    assert glance(frame[:4096]) == Glance(False, ENTRY.born_s, ENTRY.expires_s)
    assert glance(frame[:-1]) == glance(frame)
    assert glance(failed) == Glance(True, FAILURE.born_s, FAILURE.born_s)
    for other in (b"", frame[:70], frame[:90], frame[:4] + b"\x02" + frame[5:], b"x" + frame[1:]):
        assert glance(other) is None


@settings(max_examples=20)
@given(entries)
def test_frames_are_stable(content):
    """Equal contents have equal frames: a checksum can stand for a content."""
    assert pack(KEY, content, SECRET) == pack(KEY, content, SECRET)


@pytest.mark.parametrize(
    "terms",
    [
        {"validators": Validators("", MAX_DATE_S + 1)}, {"validators": Validators("x" * 257)},
        {"tags": tuple(f"{n:03}" for n in range(MAX_TAGS + 1))}, {"max_age_s": -1},
    ],
)  # fmt: skip
def test_what_nothing_of_ours_says_is_refused(terms):
    """Terms that would break an answer or a question to the source later are no frame at all."""
    frame = pack(KEY, msgspec.structs.replace(ENTRY, **terms), SECRET)

    with pytest.raises(BadFrame, match="metadata"):
        unpack(frame, KEY, SECRET)
