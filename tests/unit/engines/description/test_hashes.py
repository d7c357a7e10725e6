"""BlurHash, ThumbHash and the perceptual hash: the very values that the reference implementations give."""

import numpy as np
import pytest

from imagemill.engines.description import colours, hashes


def picture(width, height, seed, *, alpha=False):
    """Pixels out of whole numbers alone, the same everywhere."""
    y, x = np.mgrid[0:height, 0:width]
    bands = [(x * x * (seed + c) + y * y * (3 + c) + x * y * seed) // (7 + c) % 256 for c in range(3)]
    density = (x * 255 // max(1, width - 1) + y * 31) % 256 if alpha else np.full_like(x, 255)
    return np.dstack([*bands, density]).astype(np.uint8)


def even(*rgba, size=(12, 20)):
    return np.full((*size, 4), rgba, np.uint8)


WIDE, HIGH, STRIP, SMALL = picture(60, 40, 2), picture(40, 60, 5), picture(100, 9, 3), picture(5, 3, 11)
SQUARE, TOWER = picture(33, 33, 7, alpha=True), picture(20, 80, 4, alpha=True)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (WIDE, "L4H2cs0L0JD*9Z0K0K8{0J0K4.D%"), (HIGH, "T3HB}JQ;0xE30K4U9F9E9EEI9F9H"),
        (STRIP, "LAGlL@0J014o_4IoM{RiR%kCesbu"), (SMALL, "L01.$?4oM{-;xuRjWBofIUt7oLR*"),
        (even(0, 0, 0, 255), "L00000fQfQfQfQfQfQfQfQfQfQfQ"), (even(0, 0, 0, 0, size=(10, 20)), "LWTSUA-;fQ-;~qoffQoffQfQfQfQ"),
    ],
)  # fmt: skip
def test_blurhash(rows, wanted):
    """As woltapp's C encoder has it (the package blurhash-python 1.2.2), at 4 by 3 components."""
    assert hashes.blurhash(rows) == wanted


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (WIDE, "3/cFBYAQMpcQIXQRQjVEd8ECCCIw"), (HIGH, "3wcCBQAgMQEwJSICMjNDZCNguEB2"),
        (STRIP, "HfgFAYAQESJmdnaIBlIL1kU="), (SQUARE, "HgiCBQAHECEwQUNjpodCfwqGlok3cHd3cw=="),
        (TOWER, "3geCAQAIcBA5IjKfyvCLOhd0N6WHcGE="), (SMALL, "AwgGBICQh3iFiIiIeHiAlQdomg=="),
        (even(0, 0, 0, 255, size=(10, 20)), "AAgCBIAAAAAAAAAAAAAAAAAAAA=="),
        (even(0, 0, 0, 0, size=(10, 20)), "AAiCA4AAAAAAAAAAAAAAAAAAAAAAAAA="),
    ],
)  # fmt: skip
def test_thumbhash(rows, wanted):
    """As its author's JavaScript has it (the package thumbhash 0.1.1), opaque and not."""
    assert hashes.thumbhash(rows) == wanted


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (WIDE, "8703070ffefcf003"), (HIGH, "830307070f0f5ffe"), (STRIP, "8001f5ae7d6c754e"),
        (SQUARE, "8300076ffcf851f9"), (TOWER, "b8341417353d376d"), (SMALL, "ad58e986014edf69"),
    ],
)  # fmt: skip
def test_phash(rows, wanted):
    """As ImageHash 4.3.2 has it, but for a few bits that are a matter of rounding."""
    assert (int(hashes.phash(rows), 16) ^ int(wanted, 16)).bit_count() <= 2


def test_phash_of_the_same_in_other_words():
    """Lighter, duller or smaller, it is near; another picture is far."""

    def away(rows):
        return (int(hashes.phash(rows), 16) ^ int(hashes.phash(WIDE), 16)).bit_count()

    lighter = np.clip(WIDE.astype(int) + np.array([20, 20, 20, 0]), 0, 255).astype(np.uint8)

    assert away(lighter) <= 6
    assert away(WIDE[::2, ::2]) <= 16
    assert away(HIGH) > 20


def test_hashes_of_one_pixel():
    """The smallest there is."""
    one = even(200, 100, 50, 255, size=(1, 1))

    assert len(hashes.blurhash(one)) == 28
    assert hashes.thumbhash(one)
    assert len(hashes.phash(one)) == 16


class TestPalette:
    def test_shares(self):
        """Three even parts are three colours, the largest first."""
        rows = np.concatenate([np.tile(np.uint8([[c]]), (n, 10, 1)) for n, c in (
            (6, (250, 20, 20, 255)), (3, (20, 20, 250, 255)), (1, (240, 240, 20, 255)))])  # fmt: skip

        assert colours.palette(rows, 5) == [("#fa1414", 0.6), ("#1414fa", 0.3), ("#f0f014", 0.1)]

    def test_each_channel_tells_colours_apart(self):
        """Two that differ in one of three alone are two."""
        for channel in range(3):
            dark, light = ([level if n == channel else 0 for n in range(3)] for level in (50, 200))
            rows = np.concatenate([even(*dark, 255), even(*light, 255)])
            assert colours.palette(rows, 2) == [(f"#{bytes(colour).hex()}", 0.5) for colour in (dark, light)]

    def test_no_more_than_asked_for(self):
        """They add up to all, and the same pixels have the same ones."""
        found = colours.palette(WIDE, 4)

        assert len(found) == 4
        assert sum(share for _, share in found) == pytest.approx(1, abs=0.001)
        assert found == colours.palette(WIDE.copy(), 4)
        assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)

    def test_what_does_not_show_does_not_count(self):
        rows = np.concatenate([even(255, 0, 0, 255), even(0, 255, 0, 100)])

        assert colours.palette(rows, 3) == [("#ff0000", 1.0)]
        assert colours.palette(even(9, 9, 9, 0), 3) == []

    def test_one_is_the_mean(self):
        """Of black and white in equal parts: their mean to the eye, not in numbers."""
        ((colour, share),) = colours.palette(np.concatenate([even(0, 0, 0, 255), even(255, 255, 255, 255)]), 1)

        assert (colour, share) == ("#636363", 1.0)
