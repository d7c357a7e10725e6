"""What becomes of a colour, whatever lies beside it: curves, one for each of its parts, and mixtures of the three.

Units    levels of sRGB, 0 to 255.
Order    neighbours of one kind are one step: curves look up in one another, rounded each; matrices are multiplied, and
         what they lead out of 0 to 255 on the way is not lost.
Source   W3C Filter Effects Module Level 1, 8.4 to 8.10 (the shorthands) and 9.6 (feColorMatrix).
"""

from collections.abc import Callable, Iterable
from math import cos, radians, sin
from typing import Final

from msgspec import Struct

from imagemill.plan.steps import Step

LUMA: Final = (0.2126, 0.7152, 0.0722)
"""How much red, green and blue make of a grey."""
_LUMA_SHORT: Final = (0.213, 0.715, 0.072)
"""As feColorMatrix rounds it."""
_SEPIA: Final = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
_HUE_COS: Final = ((0.787, -0.715, -0.072), (-0.213, 0.285, -0.072), (-0.213, -0.715, 0.928))
_HUE_SIN: Final = ((-0.213, -0.715, 0.928), (0.143, 0.140, -0.283), (-0.787, 0.715, 0.072))
_IDENTITY: Final = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_MOST = 255
_CLOSE = 1e-9

Row = tuple[float, float, float]
Matrix = tuple[Row, Row, Row]


class Curve(Struct, frozen=True):
    """Look each colour up in a table of its own: 256 levels of red, of green and of blue."""

    tables: tuple[bytes, bytes, bytes]

    @property
    def keeps_grey(self) -> bool:
        """Whether a grey stays one."""
        return self.tables[0] == self.tables[1] == self.tables[2]


class Mix(Struct, frozen=True):
    """Mix red, green and blue anew."""

    matrix: Matrix
    """Row by row, what the new red, green and blue are made of."""

    @property
    def keeps_grey(self) -> bool:
        """Whether a grey stays as it is."""
        return all(abs(sum(row) - 1) < _CLOSE for row in self.matrix)

    @property
    def makes_grey(self) -> bool:
        """Whether nothing but greys is left."""
        return self.matrix[0] == self.matrix[1] == self.matrix[2]


def joined(steps: Iterable[Step]) -> list[Step]:
    """*steps*, with neighbouring curves and neighbouring mixtures as one."""
    made: list[Step] = []
    for step in steps:
        before = made[-1] if made else None
        if isinstance(step, Curve) and isinstance(before, Curve):
            made[-1] = _in_turn(before, step)
        elif isinstance(step, Mix) and isinstance(before, Mix):
            made[-1] = Mix(_product(step.matrix, before.matrix))
        else:
            made.append(step)
    return made


def curve(level: Callable[[float], float]) -> Curve:
    """The same for every colour."""
    table = _table(level)
    return Curve((table, table, table))


def brightness(percent: int) -> Curve:
    """Add a share of the full range."""
    return curve(lambda v: v + _MOST * percent / 100)


def contrast(percent: int) -> Curve:
    """Away from the middle, or towards it."""
    return curve(lambda v: (v - _MOST / 2) * (1 + percent / 100) + _MOST / 2)


def gamma(centi: int) -> Curve:
    """A power of the share of the full range."""
    return curve(lambda v: _MOST * (v / _MOST) ** (100 / centi))


def negate() -> Curve:
    """The opposite."""
    return curve(lambda v: _MOST - v)


def colorize(rgba: int) -> Curve:
    """Over each colour another one, as dense as it is."""
    *colour, alpha = rgba.to_bytes(4, "big")
    share = alpha / _MOST
    return Curve(_triple(lambda n: _table(lambda v: v * (1 - share) + colour[n] * share)))


def duotone(dark_rgba: int, light_rgba: int) -> Curve:
    """From one colour to another; what is looked up is grey."""
    dark, light = dark_rgba.to_bytes(4, "big"), light_rgba.to_bytes(4, "big")
    return Curve(_triple(lambda n: _table(lambda v: dark[n] + (light[n] - dark[n]) * v / _MOST)))


def grayscale() -> Mix:
    """Lightness alone."""
    return Mix((LUMA, LUMA, LUMA))


def saturation(percent: int) -> Mix:
    """Away from grey, or towards it."""
    return Mix(_blend(_IDENTITY, (_LUMA_SHORT, _LUMA_SHORT, _LUMA_SHORT), 1 + percent / 100))


def hue(degrees: int) -> Mix:
    """Turned on the colour wheel, at the same lightness."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    return Mix(_each(lambda row, col: _LUMA_SHORT[col] + c * _HUE_COS[row][col] + s * _HUE_SIN[row][col]))


def sepia(percent: int) -> Mix:
    """Towards brown."""
    return Mix(_blend(_SEPIA, _IDENTITY, percent / 100))


def tint(rgba: int) -> Mix:
    """Towards greys of one colour."""
    *colour, alpha = rgba.to_bytes(4, "big")
    shades = _each(lambda row, col: LUMA[col] * colour[row] / _MOST)
    return Mix(_blend(shades, _IDENTITY, alpha / _MOST))


def _in_turn(first: Curve, second: Curve) -> Curve:
    return Curve(_triple(lambda n: first.tables[n].translate(second.tables[n])))


def _table(level: Callable[[float], float]) -> bytes:
    return bytes(int(min(max(level(v), 0), _MOST) + 0.5) for v in range(256))


def _triple(make: Callable[[int], bytes]) -> tuple[bytes, bytes, bytes]:
    return make(0), make(1), make(2)


def _each(value: Callable[[int, int], float]) -> Matrix:
    def row(n: int) -> Row:
        return value(n, 0), value(n, 1), value(n, 2)

    return row(0), row(1), row(2)


def _blend(one: Matrix, other: Matrix, share: float) -> Matrix:
    """So much of *one*, and the rest of *other*."""
    return _each(lambda row, col: one[row][col] * share + other[row][col] * (1 - share))


def _product(after: Matrix, before: Matrix) -> Matrix:
    return _each(lambda row, col: sum(after[row][n] * before[n][col] for n in range(3)))
