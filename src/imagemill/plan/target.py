"""Which quality reaches a score? Found by at most `MOST` tries, each of which says what one quality scores.

Units    qualities 1 to 100 as a URL names them; scores as SSIMULACRA 2 counts, 100 = no difference.
"""

from collections.abc import Sequence

MOST = 3
"""Tries; one is enough where the first comes close."""
CLOSE = 1.0
"""A score so near is reached."""
LEAST, BEST = 20, 97
_SLOPE = 0.55
"""Score a step of quality brings around the formats' defaults, where only one point is known."""
_FLATTEST = 0.1

Tried = Sequence[tuple[int, float]]
"""Qualities, and what they scored."""


def next_try(tried: Tried, target: float, first: int) -> int | None:
    """The quality to try next; None where enough is known, or no other one could tell more."""
    if not tried:
        return _bounded(first)
    if len(tried) == MOST or min(abs(score - target) for _, score in tried) <= CLOSE:
        return None
    quality = _guess(tried, target)
    return None if quality in {q for q, _ in tried} else quality


def settled(tried: Tried, target: float) -> int:
    """The lowest quality that, by what was tried, reaches *target* as far as `CLOSE` says; else the best guess."""
    reached = [quality for quality, score in tried if abs(score - target) <= CLOSE]
    return min(reached) if reached else _guess(tried, target)


def _guess(tried: Tried, target: float) -> int:
    """Along the line through the nearest point on either side of *target*, or the two nearest; else the usual slope."""
    near = sorted(tried, key=lambda one: abs(one[1] - target))
    (q1, s1), *others = near
    opposite = [one for one in others if (one[1] < target) != (s1 < target)]
    slope = _SLOPE
    if others:
        q2, s2 = (opposite or others)[0]
        slope = max((s2 - s1) / (q2 - q1), _FLATTEST)
    return _bounded(q1 + round((target - s1) / slope))


def _bounded(quality: int) -> int:
    return min(max(quality, LEAST), BEST)
