"""Turns one after another as one, by EXIF's numbers: 1 = none, to 8.

Each is a mirror's image or not, and then quarters of a turn clockwise.
Source   EXIF 2.32, tag 274; ISO/IEC 23008-12, 6.5.10 and 6.5.12.
"""

_NUMBERS = ((1, 6, 3, 8), (2, 7, 4, 5))
"""Without a mirror, and with left and right exchanged: by quarters."""
_PLACES = {number: (row, quarters) for row, numbers in enumerate(_NUMBERS) for quarters, number in enumerate(numbers)}


def rotated(number: int, quarters: int) -> int:
    """Turn *number*, and then by *quarters* clockwise."""
    mirror, before = _PLACES[number]
    return _NUMBERS[mirror][(before + quarters) % 4]


def mirrored(number: int, *, left_right: bool) -> int:
    """Turn *number*, and then with left and right exchanged, or top and bottom."""
    mirror, before = _PLACES[number]
    return _NUMBERS[1 - mirror][((0 if left_right else 2) - before) % 4]
