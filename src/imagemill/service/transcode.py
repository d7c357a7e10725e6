"""The use case: a plan becomes a rendition, from the nearest place that has it.

Order    L1, then work under way here, then the level that nodes share, then work under way elsewhere, then work.
Stale    an entry past its end, or whose source has changed, is answered with while it is made anew behind, or where it
         cannot be made anew, within the windows of ``[cache]``.
Purged   nothing is answered with that was asked for before a purge of it, wherever it was kept.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine

from msgspec import Struct
from msgspec.structs import replace

from imagemill.cache.base import Cache, Lease, Shared
from imagemill.cache.purges import Purge, Purges, Subject, Verdict
from imagemill.engines.base import Stages
from imagemill.model.entry import Entry, Failure
from imagemill.model.errors import (
    DependencyDown,
    ImagemillError,
    Overloaded,
    ProcessingTimeout,
    SourceBadResponse,
    SourceTimeout,
    SourceTruncated,
)
from imagemill.model.failures import OF_SOURCE, SHARED, as_error, as_failure, is_remembered
from imagemill.model.request import Plan
from imagemill.plan.lifetime import Age, age_of, is_early, left_s, life_s, longer
from imagemill.service.flight import Flight
from imagemill.service.render import Fresh, Renderer
from imagemill.settings import MOST
from imagemill.settings import Cache as CacheSettings
from imagemill.storage.base import NONE_KNOWN, Unchanged

L1_MOST_S = 300.0
_PASSING = (SourceBadResponse, SourceTruncated, SourceTimeout, ProcessingTimeout, Overloaded, DependencyDown)
"""What says nothing against the source: an old answer is better than these (RFC 5861 section 4)."""
_ALWAYS_MS = 1 << 62
_MOST_BEHIND = 64
"""Entries made anew at a time behind answers that were given."""
_CHANGES_APART_S = 5.0
"""A source that seems to change more often than this is served by several that disagree, and is believed this often."""


class Served(Struct, frozen=True):
    """An entry, the tier that gave it, and what its making took."""

    entry: Entry
    tier: str
    """``L1``, ``L2``, ``STALE``, ``COALESCED`` or ``MISS``."""
    stages: Stages = Stages()
    fetch_ms: float = 0.0


class Transcoder:
    """The way from a plan to an answer."""

    def __init__(
        self,
        renderer: Renderer,
        cache: Cache[Entry],
        shared: Shared,
        failures: Cache[Failure],
        versions: Cache[str],
        purges: Purges,
        settings: CacheSettings,
        *,
        wait_s: float = 10.0,
        shared_bytes: int = MOST,
        engine: Callable[[], int] = lambda: 0,
        observe: Callable[[str, str, Stages, float], None] = lambda _outcome, _format, _stages, _fetch_ms: None,
        tell: Callable[[Purge], Coroutine[None, None, object]] | None = None,
    ) -> None:
        """Hold the parts.

        Args:
            renderer: Does the work.
            cache: L1.
            shared: What nodes have in common, see `cache.base.Shared`.
            failures: What was in vain here just now.
            versions: In which version each source was last seen here.
            purges: What may no longer be used.
            settings: ``[cache]``.
            wait_s: How long another node's work is waited for.
            shared_bytes: Larger bodies are this node's own.
            engine: The version of the engine in force.
            observe: Told of each render: its outcome, format, stages and the time of the fetch.
            tell: Tells other nodes of a purge.
        """
        self._renderer = renderer
        self._cache = cache
        self._shared = shared
        self._failures = failures
        self._versions = versions
        self._purges = purges
        self._settings = settings
        self._wait_s = wait_s
        self._shared_bytes = shared_bytes
        self._engine = engine
        self._observe = observe
        self._tell = tell
        self._flight: Flight[Served] = Flight()
        self._behind: dict[str, asyncio.Task[object]] = {}
        self._others: set[asyncio.Task[object]] = set()

    async def close(self) -> None:
        """Give up what is made behind answers that were given."""
        tasks = [*self._behind.values(), *self._others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # what is there

    def hit(self, plan: Plan) -> Served | None:
        """What L1 holds for *plan*, if it may be used."""
        entry = self._cache.get(plan.key, time.monotonic())
        return self._usable(plan, entry, "L1") if entry and self._purges.knows_tags(entry.seen_ms) else None

    async def serve(self, plan: Plan) -> Served:
        """The rendition of *plan*: from the nearest place that has it, or made now."""
        return self.hit(plan) or await self.make(plan)

    def tier(self, plan: Plan) -> str:
        """Which tier of this node would answer *plan* now; nothing is done for it, and no other node is asked."""
        now = time.monotonic()
        entry = self._own(plan)
        if entry is not None and self._age(plan, entry) in {Age.FRESH, Age.STALE}:
            return "L1"
        if plan.key in self._flight:
            return "COALESCED"
        failure = self._failures.peek(plan.key, now) or self._failures.peek(plan.source_key, now)
        return "FAILURE" if failure and self._valid(plan, failure) else "MISS"

    def left_s(self, plan: Plan, entry: Entry) -> int:
        """How long the caller of *plan* may use *entry* from now on."""
        return left_s(plan, entry, time.time(), self._settings)

    def _usable(self, plan: Plan, entry: Entry, tier: str) -> Served | None:
        """*entry* as an answer, where it may be one without anything being made first."""
        age = self._age(plan, entry)
        if age is Age.FRESH:
            entry = self._extended(plan, entry)
            if is_early(entry, time.time(), self._settings.early_refresh, 1.0 - random.random()):  # noqa: S311
                self._make_behind(plan, entry)
            return Served(entry, tier)
        if age is Age.STALE:
            self._make_behind(plan, entry)
            return Served(entry, "STALE")
        return None

    def _age(self, plan: Plan, entry: Entry) -> Age:
        verdict = self._purges.judge(entry, plan.key)
        if verdict is Verdict.GONE:
            return Age.DEAD
        changed, outdated = verdict is Verdict.STALE, entry.engine < self._engine()
        return age_of(entry, time.time(), self._settings, changed=changed, outdated=outdated)

    def _valid(self, plan: Plan, failure: Failure) -> bool:
        young = time.time() - failure.born_s < self._settings.negative_ttl_s
        return young and self._purges.judge(failure, plan.key) is Verdict.VALID

    def _extended(self, plan: Plan, entry: Entry) -> Entry:
        """*entry* with what *plan* brings to it, here and for all nodes."""
        better = longer(plan, entry, self._settings)
        if better is None:
            return entry
        if self._storable(better):
            self._fill(plan, better)
            self._shared.extend(plan.key, better)
        return better

    # what is not

    async def make(self, plan: Plan) -> Served:
        """As `serve`, for whoever has just found that L1 holds nothing."""
        self._refuse_known(plan)
        wanted_ms = self._purges.now_ms()
        served, joined = await self._flight.once(plan.key, lambda: self._obtain(plan))
        if joined and served.entry.asked_ms < wanted_ms and self._age(plan, served.entry) is Age.DEAD:
            # purged after its fetch began, and before this caller asked
            served, joined = await self._flight.once(plan.key, lambda: self._obtain(plan))
        if not joined:
            return served
        tier = served.tier if served.tier == "STALE" else "COALESCED"
        return replace(served, entry=self._extended(plan, served.entry), tier=tier)

    def _refuse_known(self, plan: Plan) -> None:
        failure = self._failures.get(plan.key, time.monotonic())
        if failure and self._valid(plan, failure):
            raise as_error(failure)

    async def _obtain(self, plan: Plan) -> Served:
        held = await self._shared.get(plan.key)
        if served := self._from_shared(plan, held, "L2"):
            return served
        spare = self._spare(plan, held if isinstance(held, Entry) else self._own(plan))
        lease, served = await self._turn(plan)
        if served:
            return served
        return await self._lead(plan, spare, lease)

    def _own(self, plan: Plan) -> Entry | None:
        """What L1 holds, where all that it may be purged by is known here."""
        entry = self._cache.peek(plan.key, time.monotonic())
        return entry if entry and self._purges.knows_tags(entry.seen_ms) else None

    def _spare(self, plan: Plan, entry: Entry | None) -> Entry | None:
        return entry if entry is not None and self._age(plan, entry) is not Age.DEAD else None

    def _from_shared(self, plan: Plan, held: Entry | Failure | None, tier: str) -> Served | None:
        """What the shared level holds as an answer; raise what it remembers as in vain."""
        if isinstance(held, Failure):
            if self._valid(plan, held):
                self._failures.put(plan.key, held, time.monotonic(), ttl_s=self._settings.negative_ttl_s)
                raise as_error(held)
            return None
        served = self._usable(plan, held, tier) if held else None
        if served and served.tier != "STALE":
            self._fill(plan, served.entry)
        return served

    async def _turn(self, plan: Plan) -> tuple[Lease | None, Served | None]:
        """The right to make *plan*, or what another node made of it meanwhile; neither, where that takes too long."""
        until = time.monotonic() + self._wait_s
        waited = False
        while (left := until - time.monotonic()) > 0:
            lease = await self._shared.lease(plan.key)
            if lease is not None and not lease.token:
                return lease, None
            try:
                served = await self._meanwhile(plan, lease, waited=waited)
            except BaseException:
                self._give_up(lease)
                raise
            if served:
                self._give_up(lease)
                return None, served
            if lease:
                return lease, None
            await self._shared.wait(plan.key, left)
            waited = True
        return None, None

    async def _meanwhile(self, plan: Plan, lease: Lease | None, *, waited: bool) -> Served | None:
        """What has come since the shared level was asked; whoever held the lease before may just have ended."""
        if not lease and not waited:
            return None
        served = self._from_shared(plan, await self._shared.get(plan.key), "COALESCED" if waited else "L2")
        if lease and not served:
            await self._refuse_shared(plan)
        return served

    async def _refuse_shared(self, plan: Plan) -> None:
        """Raise what any node found of the source itself just now."""
        held = await self._shared.get(plan.source_key)
        if isinstance(held, Failure) and self._valid(plan, held):
            raise as_error(held)

    def _give_up(self, lease: Lease | None) -> None:
        if lease and lease.token:
            self._shared.release(lease)

    async def _lead(self, plan: Plan, spare: Entry | None, lease: Lease | None) -> Served:
        """Make *plan* for everyone, or answer with *spare* where only this moment is at fault."""
        asked_ms = self._purges.now_ms()
        try:
            return await self._work(plan, spare, lease)
        except ImagemillError as e:
            self._failed(plan, e, lease, asked_ms)
            if isinstance(e, _PASSING) and (spare := self._spare(plan, spare)):
                return Served(spare, "STALE")
            raise
        except BaseException:
            self._give_up(lease)
            raise

    async def _work(self, plan: Plan, spare: Entry | None, lease: Lease | None) -> Served:
        known = spare.validators if spare and spare.engine >= self._engine() else NONE_KNOWN
        made = await self._renderer.render(plan, known)
        if isinstance(made, Unchanged):
            assert spare
            entry = _renewed(spare, plan, made, self._settings)
            self._keep(plan, entry, lease)
            self._observe("renewed", entry.rendition.format, Stages(), 0.0)
            return Served(entry, "L2")
        self._observe("ok", made.entry.rendition.format, made.stages, made.fetch_ms)
        entry = _joined(made, spare)
        self._note_version(entry, spare)
        self._keep(plan, entry, lease)
        return Served(entry, "MISS", made.stages, made.fetch_ms)

    def _keep(self, plan: Plan, entry: Entry, lease: Lease | None) -> None:
        if self._storable(entry) and self._purges.judge(entry, plan.key) is not Verdict.GONE:
            self._fill(plan, entry)
            self._shared.put(plan.key, entry, lease)
        else:
            self._give_up(lease)

    def _storable(self, entry: Entry) -> bool:
        return entry.storable or self._settings.store_private

    def _fill(self, plan: Plan, entry: Entry) -> None:
        """Keep *entry* in L1: for minutes, and never beyond its end."""
        life = min(entry.expires_s - time.time(), self._settings.l1_ttl_s)
        alone = len(entry.rendition.body) > self._shared_bytes
        copy = replace(entry, seen_ms=_ALWAYS_MS if alone else self._purges.now_ms())
        self._cache.put(plan.key, copy, time.monotonic(), ttl_s=life)

    def _failed(self, plan: Plan, error: ImagemillError, lease: Lease | None, asked_ms: int) -> None:
        self._observe(error.code, "none", Stages(), 0.0)
        if not is_remembered(error):
            self._give_up(lease)
            return
        failure = replace(as_failure(error, plan.source_key, time.time(), asked_ms), tags=plan.tags)
        if error.code not in OF_SOURCE:  # those the origin remembers
            self._failures.put(plan.key, failure, time.monotonic(), ttl_s=self._settings.negative_ttl_s)
        if error.code not in SHARED:
            self._give_up(lease)
            return
        self._shared.put(plan.key, failure, lease)
        if error.code in OF_SOURCE:
            self._shared.put(plan.source_key, failure, None)

    # behind answers that were given

    def _make_behind(self, plan: Plan, entry: Entry) -> None:
        """Make *plan* anew while its caller has *entry* already; one node at a time, and not for ever more.

        Apart from the flights: in one of them *entry* may just have been found, and whoever comes meanwhile is to find
        it as well, not to wait.
        """
        if plan.key in self._behind or len(self._behind) >= _MOST_BEHIND:
            return
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(self._renew(plan, entry))
        self._behind[plan.key] = task
        task.add_done_callback(lambda _: self._behind.pop(plan.key, None))

    async def _renew(self, plan: Plan, entry: Entry) -> None:
        try:
            await self._anew(plan, entry)
        except ImagemillError:
            return  # told by `_failed`; whoever asks next asks anew

    async def _anew(self, plan: Plan, entry: Entry) -> Served:
        lease = await self._shared.lease(plan.key)
        if lease is None:
            return Served(entry, "STALE")  # another node does it
        try:
            held = await self._shared.get(plan.key) if lease.token else None
        except BaseException:
            self._give_up(lease)
            raise
        if isinstance(held, Entry) and held.born_s > entry.born_s and self._age(plan, held) is Age.FRESH:
            self._give_up(lease)
            self._fill(plan, held)
            return Served(held, "L2")
        return await self._lead(plan, entry, lease)

    def _note_version(self, entry: Entry, spare: Entry | None) -> None:
        """Let what was made of another version of the source become stale, here and elsewhere."""
        version = entry.validators.version
        if not version:
            return
        now = time.monotonic()
        before = self._versions.peek(entry.source_key, now) or (spare.validators.version if spare else "")
        self._versions.put(entry.source_key, version, now, ttl_s=2 * L1_MOST_S)
        if before not in {"", version}:
            self._changed(entry)
        self._later(self._compare(entry, version))

    async def _compare(self, entry: Entry, version: str) -> None:
        """As `_note_version`, with what other nodes have seen."""
        if await self._shared.seen(entry.source_key, version) not in {"", version}:
            self._changed(entry)

    def _changed(self, entry: Entry) -> None:
        now, mark = time.monotonic(), f"{entry.source_key} changed"
        if self._versions.peek(mark, now):
            return
        self._versions.put(mark, "changed", now, ttl_s=_CHANGES_APART_S)
        purge = Purge.of(Subject.SOURCE, entry.source_key, entry.asked_ms - 1, soft=True)
        self._purges.note(purge)
        if self._tell is not None:
            self._later(self._tell(purge))

    def _later(self, work: Coroutine[None, None, object]) -> None:
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)


def _renewed(spare: Entry, plan: Plan, said: Unchanged, policy: CacheSettings) -> Entry:
    """*spare* with a new life: its source was asked, and has not changed."""
    return replace(
        spare,
        born_s=said.born_s,
        asked_ms=said.asked_ms,
        life_s=life_s(plan, said.max_age_s, policy),
        max_age_s=said.max_age_s,
        storable=said.storable,
        tags=tuple(sorted({*spare.tags, *plan.tags})),
    )


def _joined(made: Fresh, spare: Entry | None) -> Entry:
    """What was made, with the names of what it replaces."""
    tags = tuple(sorted({*made.entry.tags, *(spare.tags if spare else ())}))
    return replace(made.entry, tags=tags)
