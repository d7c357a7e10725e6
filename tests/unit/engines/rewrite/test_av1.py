"""What of an AV1 stream is known here, told by headers that are laid out bit by bit as the specification has them."""

import pytest

from imagemill.engines.rewrite import av1

BT709_SRGB_IDENTITY, BT601 = (1, 13, 0), (1, 13, 6)


def packed(*fields):
    """(value, bits) from the highest bit on; what is left of the last byte is the mark of an end."""
    bits = "".join(f"{value:0{count}b}" for value, count in fields if count)
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def colour_config(profile=0, deep=0, twelve=0, grey=0, said=None, halved=(1, 1)):
    yield deep, 1
    if profile == 2 and deep:
        yield twelve, 1
    if profile != 1:
        yield grey, 1
    yield int(said is not None), 1
    for value in said or ():
        yield value, 8
    if grey:
        yield 1, 1
        return
    if said != BT709_SRGB_IDENTITY:
        yield 1, 1
        if profile == 2 and twelve:
            yield halved[0], 1
            if halved[0]:
                yield halved[1], 1
        if profile == 0 or (profile == 2 and twelve and halved == (1, 1)):
            yield 0, 2
    yield 0, 1


def sequence(width=64, height=48, still=1, reduced=1, large=0, superres=0, grain=0, profile=0, **colours):
    return packed(
        (profile, 3), (still, 1), (reduced, 1), (0, 5), (12, 4), (11, 4), (width - 1, 13), (height - 1, 12),
        (large, 1), (1, 2), (superres, 1), (3, 2), *colour_config(profile, **colours), (grain, 1),
    )  # fmt: skip


def frame(screen=0, superres=None, other_size=0, uniform=1, tiles=()):
    return packed(
        (1, 1), (screen, 1), *([(0, 1)] if screen else []), *([(superres, 1)] if superres is not None else []), (other_size, 1),
        *([(1, 1)] if screen else []), (uniform, 1), *((bit, 1) for bit in tiles), (0b1011, 4),
    )  # fmt: skip


def unit(kind, body):
    return bytes([kind << 3 | 2, len(body)]) + body


def read(said, shown):
    return av1.read(unit(1, said) + unit(6, shown))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({}, {}), ({"said": BT601}, {}), ({"grey": 1}, {}), ({"profile": 1}, {}), ({"profile": 1, "said": BT709_SRGB_IDENTITY}, {}), ({"profile": 2}, {}),
        ({"profile": 2, "deep": 1}, {}), ({"profile": 2, "deep": 1, "twelve": 1}, {}), ({"profile": 2, "deep": 1, "twelve": 1, "halved": (1, 0)}, {}),
        ({"profile": 2, "deep": 1, "twelve": 1, "halved": (0, 0)}, {}), ({}, {"screen": 1}), ({"superres": 1}, {"superres": 0}),
        ({"width": 65}, {"tiles": (0,)}), ({"height": 65}, {"tiles": (0,)}), ({"width": 65, "height": 65}, {"tiles": (0, 0)}),
        ({"width": 65, "large": 1}, {}), ({"width": 128, "height": 128, "large": 1}, {}), ({"width": 129, "large": 1}, {"tiles": (0,)}),
        ({"width": 4096, "height": 2304}, {"tiles": (0, 0)}),
    ],
)  # fmt: skip
def test_stills_of_one_tile(said, shown):
    """Every way in which colours are said, and sizes up to those that may be of one tile; the stream stays as it was."""
    made = read(sequence(**said), frame(**shown))
    assert made == av1.Still(sequence(**said), frame(**shown))
    assert made.data == unit(1, made.sequence) + unit(6, made.frame)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"still": 0}, {}), ({"reduced": 0}, {}), ({"profile": 3}, {}), ({"grain": 1}, {}), ({}, {"other_size": 1}), ({}, {"uniform": 0}),
        ({"superres": 1}, {"superres": 1}), ({"width": 65}, {"tiles": (1,)}), ({"height": 65}, {"tiles": (1,)}), ({"width": 65, "height": 65}, {"tiles": (0, 1)}),
        ({"width": 129, "large": 1}, {"tiles": (1,)}), ({"width": 4097}, {"tiles": (0, 0)}), ({"width": 4096, "height": 2305}, {"tiles": (0, 0)}),
    ],
)  # fmt: skip
def test_what_is_not_known(said, shown):
    """Moving ones, grain, scaled ones, and whatever has or must have more tiles than one."""
    assert read(sequence(**said), frame(**shown)) is None


def test_units():
    """A sequence header and then a frame; delimiters, metadata and padding are dropped, and others are not known."""
    said, shown = unit(1, sequence()), unit(6, frame())
    wanted = av1.read(said + shown)
    for dropped in (2, 5, 15):
        assert av1.read(unit(dropped, b"") + said + unit(dropped, b"x") + shown) == wanted
    for others in (said, shown, shown + said, said + shown + shown, said + said + shown, said + unit(8, b"x") + shown):
        assert av1.read(others) is None
    for broken in (
        said + shown[:-1],
        b"\x0e" + said[1:] + shown,
        b"\x08" + sequence(),
        b"\x8a" + said[1:] + shown,
        b"\x0b" + said[1:] + shown,
    ):
        with pytest.raises(IndexError):
            av1.read(broken)


@pytest.mark.parametrize("length", [127, 128, 16_383, 16_384])
def test_lengths(length):
    """Of seven bits a byte, as few as it takes."""
    body = frame() + b"x" * (length - len(frame()))
    made = av1.read(unit(1, sequence()) + av1._unit(6, body))
    assert made.frame == body
    assert len(av1._unit(6, body)) == 1 + length + (1 if length < 128 else 2 if length < 16_384 else 3)
    assert made.shortened.frame == body[:-12]


def test_a_sequence_ends_with_its_last_bit():
    """D15: the mark of an end, and not a byte or a bit more."""
    whole = sequence()
    for longer in (whole + b"\0", whole + b"\x80", whole[:-1] + bytes([whole[-1] | 1])):
        assert read(longer, frame()) is None
