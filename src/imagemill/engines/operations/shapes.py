"""How much of each pixel lies inside a shape: masks with smooth edges.

Units    pixels, from the top left corner of the picture; coverage 0 to 255.
Way      a shape is what lies between edges on a line. On `_LINES` lines in each row of pixels the edges are exact, so
         that a pixel's coverage is off by a sixteenth of it at most, where an edge is nearly level.
"""

from collections.abc import Callable, Iterator
from math import pi, sqrt
from typing import Any

import numpy as np

from imagemill.model.recipe import Mask, Round, Shape

_LINES = 16
_PIXELS_AT_ONCE = 1 << 20
_FULL = 255
_STAR_INNER = (3 - sqrt(5)) / 2
"""Of a pentagram: where its lines cross, as a share of where they end."""
_CORNERS = {Shape.TRIANGLE: 3, Shape.PENTAGON: 5, Shape.HEXAGON: 6}

Edges = Callable[[Any], Any]
"""Heights of lines to where a shape begins and ends on each: an even number of columns, from left to right."""


def coverage(edges: Edges, width: int, height: int) -> Any:
    """Rows of how much of each pixel is inside."""
    made = [_rows(edges, width, top, bottom) for top, bottom in _strips(width, height)]
    return made[0] if len(made) == 1 else np.concatenate(made)


def rounded(corners: Round, width: int, height: int) -> Edges:
    """A rectangle without what lies outside of its four quarter circles."""
    half = min(width, height) / 2
    top_left, top_right = min(corners.top_left_px, half), min(corners.top_right_px, half)
    bottom_left, bottom_right = min(corners.bottom_left_px, half), min(corners.bottom_right_px, half)

    def edges(y: Any) -> Any:
        left = np.maximum(_inset(y, top_left), _inset(height - y, bottom_left))
        right = np.maximum(_inset(y, top_right), _inset(height - y, bottom_right))
        return np.stack([left, width - right], 1)

    return edges


def shaped(mask: Mask, width: int, height: int) -> Edges:
    """The largest such shape in the middle."""
    upright = _upright(mask.shape, width, height)
    return (lambda y: upright(height - y)) if mask.upside_down else upright


def _upright(shape: Shape, width: int, height: int) -> Edges:
    side = min(width, height)
    match shape:
        case Shape.ELLIPSE:
            return _ellipse(width / 2, height / 2, width / 2, height / 2)
        case Shape.CIRCLE:
            return _ellipse(width / 2, height / 2, side / 2, side / 2)
        case Shape.SQUARE:
            return _polygon(np.array([(0, 0), (1, 0), (1, 1), (0, 1)]), width, height)
        case Shape.STAR:
            turns = np.arange(10) / 10
            return _polygon(_around(turns) * np.where(np.arange(10) % 2, _STAR_INNER, 1.0)[:, None], width, height)
        case Shape.HEART:
            return _heart(width, height)
        case _:
            return _polygon(_around(np.arange(_CORNERS[shape]) / _CORNERS[shape]), width, height)


def _around(turns: Any) -> Any:
    """Points of a circle, clockwise from its top."""
    return np.stack([np.sin(2 * pi * turns), -np.cos(2 * pi * turns)], 1)


def _polygon(corners: Any, width: int, height: int) -> Edges:
    low, high = corners.min(0), corners.max(0)
    scale = min(np.array([width, height]) / (high - low))
    begin = (corners - (low + high) / 2) * scale + np.array([width, height]) / 2
    end = np.roll(begin, -1, 0)
    slope = (end[:, 0] - begin[:, 0]) / np.where(end[:, 1] == begin[:, 1], 1.0, end[:, 1] - begin[:, 1])

    def edges(y: Any) -> Any:
        y = y[:, None]
        met = (np.minimum(begin[:, 1], end[:, 1]) <= y) & (y < np.maximum(begin[:, 1], end[:, 1]))
        x = np.sort(np.where(met, begin[:, 0] + (y - begin[:, 1]) * slope, width), 1)
        return x[:, : len(corners) // 2 * 2]  # those that are not met come last, and enclose nothing

    return edges


def _ellipse(x: float, y: float, across: float, down: float) -> Edges:
    def edges(at: Any) -> Any:
        reach = across * np.sqrt(np.maximum(1 - ((at - y) / down) ** 2, 0))
        return np.stack([x - reach, x + reach], 1)

    return edges


def _heart(width: int, height: int) -> Edges:
    """A square on its corner, with half a circle on each of its upper sides; its half diagonal is 1."""
    radius = sqrt(0.5)
    scale = min(width / (1 + 2 * radius), height / (1.5 + radius))
    middle, top = width / 2, (height - scale * (1.5 + radius)) / 2

    def edges(at: Any) -> Any:
        y = (at - top) / scale - (0.5 + radius)  # 0 = the middle of the square
        reach = np.sqrt(np.maximum(0.5 - (y + 0.5) ** 2, 0))
        outer = np.where(np.abs(y + 0.5) < radius, 0.5 + reach, 0)
        outer = np.where(np.abs(y) < 1, np.maximum(outer, 1 - np.abs(y)), outer) * (y < 1)
        inner = np.where(y < -1, np.maximum(0.5 - reach, 0), 0) * (outer > 0)
        return np.stack([-outer, -inner, inner, outer], 1) * scale + middle

    return edges


def _inset(y: Any, radius: float) -> Any:
    """How far a quarter circle stands back at *y* from its end."""
    within = np.clip(radius - y, 0, radius)
    return radius - np.sqrt(np.maximum(radius * radius - within * within, 0))


def _strips(width: int, height: int) -> Iterator[tuple[int, int]]:
    rows = max(1, _PIXELS_AT_ONCE // width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _rows(edges: Edges, width: int, top: int, bottom: int) -> Any:
    """What lies right of an edge, less what lies right of the next, and so on."""
    lines = top + (np.arange((bottom - top) * _LINES) + 0.5) / _LINES
    x = np.clip(edges(lines), 0, width)
    whole = np.minimum(x.astype(np.intp), width - 1)
    part = x - whole
    signs = np.where(np.arange(x.shape[1]) % 2, -1.0, 1.0)
    stride = width + 1
    first = whole + (np.arange(len(lines)) // _LINES * stride)[:, None]
    at = np.concatenate([first.ravel(), first.ravel() + 1])
    much = np.concatenate([(signs * (1 - part)).ravel(), (signs * part).ravel()])
    steps = np.bincount(at, much, (bottom - top) * stride).reshape(bottom - top, stride)
    return np.rint(np.cumsum(steps[:, :width], 1) * (_FULL / _LINES)).clip(0, _FULL).astype(np.uint8)
