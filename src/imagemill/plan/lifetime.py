"""How long a rendition may be used, and by whom: pure decisions over `Entry`, `Plan` and the clock.

Units    seconds, Unix time.
Order    the request's ``ttl``, then ``cache.default_ttl_s``, then what the source says, then one day.
Source   RFC 9111 (freshness), RFC 5861 (stale-while-revalidate, stale-if-error); Vattani, Chierichetti and Lowenstein,
         "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015 (the early refresh).
"""

import math
from enum import Enum

from msgspec.structs import replace

from imagemill.model.entry import DAY_S, MAX_LIFE_S, Entry, Failure
from imagemill.model.errors import LimitExceeded
from imagemill.model.request import Plan
from imagemill.settings import Cache, Limits

_EARLY_MOST_S = 60.0
"""No entry is made anew earlier than this before its end, however dear it was."""


class Age(Enum):
    """Where in its life an entry is."""

    FRESH = "fresh"
    STALE = "stale"
    """Usable while it is made anew behind."""
    SPARE = "spare"
    """Usable only where it cannot be made anew; its source may still say that it is unchanged."""
    DEAD = "dead"


_FRESH = Age.FRESH  # for every hit: a look-up in the class takes its time


def allowed_ttl(asked_s: int | None, limits: Limits) -> int | None:
    """The lifetime that a caller who asks for *asked_s* is given, or `LimitExceeded` where policy refuses it."""
    if asked_s is None or limits.ttl_min_s <= asked_s <= limits.ttl_s:
        return asked_s
    if limits.ttl_outside == "refuse":
        raise LimitExceeded("ttl", f"ttl: {asked_s} is not within {limits.ttl_min_s} to {limits.ttl_s} seconds")
    return min(max(asked_s, limits.ttl_min_s), limits.ttl_s)


def wanted_s(plan: Plan, policy: Cache) -> int | None:
    """The lifetime that the caller or policy asks for, whatever the source says."""
    return plan.ttl_s if plan.ttl_s is not None else policy.default_ttl_s or None


def life_s(plan: Plan, max_age_s: int | None, policy: Cache) -> int:
    """How long a rendition made for *plan* of a source that allows *max_age_s* is fresh from its birth."""
    asked = wanted_s(plan, policy)
    life = max_age_s if asked is None else asked
    return DAY_S if life is None else min(life, MAX_LIFE_S)


def age_of(entry: Entry, now_s: float, policy: Cache, *, changed: bool = False, outdated: bool = False) -> Age:
    """Where *entry* stands.

    One whose source was seen to have *changed* is a spare from then on, and one whose source allows no time at all from
    its birth (``no-cache``, RFC 9111 4.2.4). One that an *outdated* engine made is usable while it is made anew,
    whatever the window: a new release must not empty every cache at once.
    """
    over_s = now_s - entry.expires_s
    if over_s < 0 and not changed:
        return Age.STALE if outdated else _FRESH
    if over_s < policy.stale_s and entry.life_s and not changed:
        return Age.STALE
    return Age.SPARE if policy.stale_if_error_s and over_s < policy.stale_if_error_s else Age.DEAD


def left_s(plan: Plan, entry: Entry, now_s: float, policy: Cache) -> int:
    """How long the caller of *plan* may go on using *entry*: what is left, and no longer than was asked for."""
    left = max(0, math.ceil(entry.expires_s - now_s))
    asked = wanted_s(plan, policy)
    return left if asked is None else min(left, asked)


def longer(plan: Plan, entry: Entry, policy: Cache) -> Entry | None:
    """*entry* with the longer life and the further tags that *plan* brings; None where it brings none."""
    asked = wanted_s(plan, policy)
    if not (plan.tags and {*plan.tags}.difference(entry.tags)) and (asked or 0) <= entry.life_s:
        return None
    better = replace(entry.tagged(*plan.tags), life_s=max(entry.life_s, min(asked or 0, MAX_LIFE_S)))
    return None if better == entry else better


def is_young(failure: Failure, now_s: float, policy: Cache) -> bool:
    """Whether it is still of no use to ask again."""
    return now_s - failure.born_s < policy.negative_ttl_s


def is_early(entry: Entry, now_s: float, eagerness: float, chance: float) -> bool:
    """Whether this reader, of all, makes *entry* anew before its end; *chance* is uniform in (0, 1]."""
    left = entry.expires_s - now_s
    if not 0 < left < _EARLY_MOST_S:
        return False
    return entry.cost_ms / 1e3 * eagerness * -math.log(chance) >= left
