"""What is kept of a key, on this node and for all of them: judged before it is used, put where it belongs.

Order    by purges, then by age; a failure by both.
"""

import time
from collections.abc import Callable

from msgspec.structs import replace

from imagemill.cache.base import Cache, Lease, Shared
from imagemill.cache.purges import Purges, Verdict
from imagemill.model.entry import MAX_TAGS, Entry, Failure
from imagemill.model.errors import ImagemillError
from imagemill.model.failures import OF_SOURCE, SHARED, is_passing, is_remembered
from imagemill.model.request import Plan
from imagemill.plan.lifetime import Age, age_of, is_young, longer
from imagemill.settings import Cache as CacheSettings

_ALWAYS_MS = 1 << 62
_FRESH, _DEAD = Age.FRESH, Age.DEAD  # these are looked at for every hit, and a look-up in the class takes its time
_VALID, _STALE, _GONE = Verdict.VALID, Verdict.STALE, Verdict.GONE


class Kept:
    """The caches as one."""

    def __init__(
        self,
        cache: Cache[Entry],
        shared: Shared,
        failures: Cache[Failure],
        purges: Purges,
        settings: CacheSettings,
        *,
        shared_bytes: int,
        engine: Callable[[], int],
    ) -> None:
        self._cache = cache
        self._shared = shared
        self._failures = failures
        self._purges = purges
        self._settings = settings
        self._shared_bytes = shared_bytes
        self._engine = engine

    # what may be done with it

    def age(self, plan: Plan, entry: Entry) -> Age:
        """Where in its life *entry* is, for *plan*."""
        verdict = self._judge(plan, entry)
        if verdict is _GONE or (plan.tags and len({*entry.tags, *plan.tags}) > MAX_TAGS):
            return _DEAD
        return age_of(entry, time.time(), self._settings, changed=verdict is _STALE, outdated=self.is_outdated(entry))

    def is_valid(self, plan: Plan, content: Entry | Failure) -> bool:
        """Whether nothing is known against *content*: no purge, no change of its source, nor the age of a failure."""
        old = isinstance(content, Failure) and not is_young(content, time.time(), self._settings)
        return not old and self._judge(plan, content) is _VALID

    def is_gone(self, plan: Plan, content: Entry | Failure) -> bool:
        """Whether *content* was purged."""
        return self._judge(plan, content) is _GONE

    def is_outdated(self, entry: Entry) -> bool:
        """Whether an older engine made it."""
        return entry.engine < self._engine()

    def is_storable(self, entry: Entry) -> bool:
        """Whether it may be kept at all."""
        return entry.storable or self._settings.store_private

    def _judge(self, plan: Plan, content: Entry | Failure) -> Verdict:
        """What may be done with *content*: who names a tag that was purged gets nothing from before, tagged or not."""
        if plan.tags and plan.tags != content.tags:
            content = replace(content, tags=tuple({*content.tags, *plan.tags}))
        return self._purges.judge(content, plan.key)

    # what is there

    def get(self, plan: Plan) -> Entry | None:
        """What L1 holds, where all that it may be purged by is known here."""
        return self.comparable(self._cache.get(plan.key, time.monotonic()))

    def peek(self, plan: Plan) -> Entry | None:
        """As `get`, but not counted as a hit or a miss."""
        return self.comparable(self._cache.peek(plan.key, time.monotonic()))

    def fresh(self, plan: Plan) -> Entry | None:
        """What L1 holds, where it is `Age.FRESH`, counted as a hit; else None, and nothing is counted."""
        entry = self.comparable(self._cache.peek(plan.key, time.monotonic()))
        if entry is None or self.age(plan, entry) is not _FRESH:
            return None
        self._cache.used()
        return entry

    def comparable(self, entry: Entry | None) -> Entry | None:
        """*entry*, a copy, where all that it may be purged by is known here."""
        return entry if entry and self._purges.knows_tags(entry.seen_ms) else None

    def spare(self, plan: Plan, entry: Entry | None) -> Entry | None:
        """*entry*, where it is better than nothing."""
        return entry if entry is not None and self.age(plan, entry) is not _DEAD else None

    def failure(self, plan: Plan, key: str) -> Failure | None:
        """What was in vain here just now, and still would be for *plan*."""
        failure = self._failures.peek(key, time.monotonic())
        return failure if failure and self.is_valid(plan, failure) else None

    # what comes

    def fill(self, plan: Plan, entry: Entry) -> None:
        """Keep *entry* in L1: for minutes, and never beyond its end."""
        life = min(entry.expires_s - time.time(), self._settings.l1_ttl_s)
        alone = len(entry.rendition.body) > self._shared_bytes
        copy = replace(entry, seen_ms=_ALWAYS_MS if alone else entry.seen_ms or self._purges.now_ms())
        self._cache.put(plan.key, copy, time.monotonic(), ttl_s=life)

    def keep(self, plan: Plan, entry: Entry, lease: Lease | None) -> None:
        """Keep what was just made, here and for all nodes, as far as it may be; *lease* ends with it."""
        keep = self.is_storable(entry) and self._purges.judge(entry, plan.key) is not _GONE
        if keep:
            self.fill(plan, entry)
        if keep and self._purges.settled:
            self._shared.put(plan.key, entry, lease)
        else:  # or it is dated by a clock that the others may not agree with
            self.give_up(lease)

    def extended(self, plan: Plan, entry: Entry) -> Entry:
        """*entry* with what *plan* brings to it, here and for all nodes."""
        better = longer(plan, entry, self._settings)
        if better is None:
            return entry
        own = self.peek(plan)
        if own and better.is_one_with(own):  # others may have brought something to it meanwhile
            better = better.joined(own)
        if self.is_storable(better):
            self.fill(plan, better)
            self._shared.extend(plan.key, better)
        return better

    def remember(self, key: str, failure: Failure) -> None:
        """Keep *failure* for a moment, on this node."""
        self._failures.put(key, failure, time.monotonic(), ttl_s=self._settings.negative_ttl_s)

    def give_way(self, plan: Plan, failure: Failure) -> None:
        """Keep *failure* in place of what L1 holds."""
        self._cache.drop(plan.key)
        self.remember(plan.key, failure)

    def fail(self, plan: Plan, error: ImagemillError, failure: Failure, lease: Lease | None) -> None:
        """Keep *failure* in place of the entry, here, and for all nodes what any of them would find; *lease* ends."""
        if not is_remembered(error):
            self.give_up(lease)
            return
        of_source = error.code in OF_SOURCE and not error.layer
        if not (of_source and is_passing(error)):  # those the origin remembers, for as long as there is no spare
            self.give_way(plan, failure)
            if of_source:
                self.remember(plan.source_key, failure)
        if error.code not in SHARED or not self._purges.settled:
            self.give_up(lease)
            return
        self._shared.put(plan.key, failure, lease)
        if of_source:
            self._shared.put(plan.source_key, failure, None)

    def give_up(self, lease: Lease | None) -> None:
        """End *lease*, if there is one, without a result."""
        if lease and lease.token:
            self._shared.release(lease)
