"""Where a box has to lie to show as much of several faces as it can: boxes in, a box out.

Units    pixels.
"""

from collections.abc import Iterator, Sequence

from imagemill.plan.geometry import Box, Size, joined

_MOST_FACES = 16


def around(faces: Sequence[Box], size: Size, of: Size) -> Box:
    """A box of *size* in a picture of size *of* that covers as much of *faces* as any, what it holds in its middle.

    Of a crowd, the largest faces count. Where two boxes cover as much, it is the one nearer to the middle of all.
    """
    largest = sorted(faces, key=lambda face: face.width * face.height, reverse=True)[:_MOST_FACES]
    middle = _centred(largest, size, of)
    best = max(_candidates(largest, size, of), key=lambda box: (_covered(largest, box), -_apart(box, middle)))
    held = [face for face in largest if _shared(face, best) == face.width * face.height]
    again = _centred(held, size, of) if held else best
    return again if _covered(largest, again) >= _covered(largest, best) else best


def _candidates(faces: Sequence[Box], size: Size, of: Size) -> Iterator[Box]:
    """Boxes that touch an edge of a face, of which one covers most; and those in the middle of each, and of all."""
    yield _centred(faces, size, of)
    lefts = {_inside(x, size.width, of.width) for f in faces for x in _edges(f.left, f.width, size.width)}
    tops = {_inside(y, size.height, of.height) for f in faces for y in _edges(f.top, f.height, size.height)}
    yield from (Box(left, top, size.width, size.height) for left in sorted(lefts) for top in sorted(tops))


def _edges(begin: int, length: int, window: int) -> tuple[int, int, int]:
    return begin, begin + length - window, begin + (length - window) // 2


def _centred(faces: Sequence[Box], size: Size, of: Size) -> Box:
    whole = faces[0]
    for face in faces[1:]:
        whole = joined(whole, face)
    left = _inside(whole.left + (whole.width - size.width) // 2, size.width, of.width)
    return Box(
        left, _inside(whole.top + (whole.height - size.height) // 2, size.height, of.height), size.width, size.height
    )


def _inside(begin: int, length: int, of: int) -> int:
    return min(max(begin, 0), of - length)


def _covered(faces: Sequence[Box], box: Box) -> int:
    return sum(_shared(face, box) for face in faces)


def _shared(one: Box, other: Box) -> int:
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return max(0, width) * max(0, height)


def _apart(one: Box, other: Box) -> int:
    return abs(one.left - other.left) + abs(one.top - other.top)
