"""The use case: a plan becomes a rendition, from the nearest place that has it.

Order    L1, then work under way here, then the level that nodes share, then work under way elsewhere, then work.
Stale    an entry past its end, or whose source has changed, is answered with while it is made anew behind, or where it
         cannot be made anew, within the windows of ``[cache]``.
Purged   nothing is answered with that was asked for before a purge of it, wherever it was kept.
"""

import random
import time
from collections.abc import Callable, Coroutine

from msgspec import Struct
from msgspec.structs import replace

from imagemill.cache.base import Cache, Lease, Shared
from imagemill.cache.purges import Purges
from imagemill.engines.base import Stages
from imagemill.model.entry import Entry, Failure
from imagemill.model.errors import ImagemillError
from imagemill.model.failures import as_error, as_failure, is_passing, is_remembered
from imagemill.model.request import Plan
from imagemill.plan.lifetime import Age, is_early, left_s, life_s
from imagemill.service.behind import Behind
from imagemill.service.changes import Changes, Tell
from imagemill.service.flight import Flight
from imagemill.service.kept import Kept
from imagemill.service.render import Renderer
from imagemill.settings import MOST
from imagemill.settings import Cache as CacheSettings
from imagemill.storage.base import NONE_KNOWN, Unchanged


class Served(Struct, frozen=True):
    """An entry, the tier that gave it, and what its making took."""

    entry: Entry
    tier: str
    """``L1``, ``L2``, ``STALE``, ``COALESCED`` or ``MISS``."""
    stages: Stages = Stages()
    fetch_ms: float = 0.0
    due: bool = False
    """Whether it is to be made anew behind this answer."""


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
        tell: Tell | None = None,
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
        self._shared = shared
        self._purges = purges
        self._settings = settings
        self._wait_s = wait_s
        self._observe = observe
        self._flight: Flight[Served | Failure] = Flight()
        self._behind = Behind()
        self._kept = Kept(cache, shared, failures, purges, settings, shared_bytes=shared_bytes, engine=engine)
        self._changes = Changes(versions, shared, purges, self._behind, tell)

    async def close(self) -> None:
        """Give up what is made behind answers that were given."""
        await self._behind.close()

    # what is there

    def hit(self, plan: Plan) -> Served | None:
        """What L1 holds for *plan*, if it may be used."""
        entry = self._kept.get(plan) or self._kept.comparable(self._behind.peek(plan.key))
        served = self._usable(plan, entry, "L1") if entry else None
        return served and self._tended(plan, served)

    def ready(self, plan: Plan) -> Served | None:
        """As `hit`, where L1 holds it fresh; None, and nothing is done or counted, where `hit` is to be asked."""
        entry = self._kept.fresh(plan)
        return self._tended(plan, self._fresh(plan, entry, "L1")) if entry else None

    async def serve(self, plan: Plan) -> Served:
        """The rendition of *plan*: from the nearest place that has it, or made now."""
        return self.hit(plan) or await self.make(plan)

    def tier(self, plan: Plan) -> str:
        """Which tier of this node would answer *plan* now; nothing is done for it, and no other node is asked."""
        entry = self._own(plan)
        age = self._kept.age(plan, entry) if entry else Age.DEAD
        if age in {Age.FRESH, Age.STALE}:
            return "L1" if age is Age.FRESH else "STALE"
        if self._kept.failure(plan, plan.key):
            return "FAILURE"
        if plan.key in self._flight:
            return "COALESCED"
        return "FAILURE" if self._kept.failure(plan, plan.source_key) else "MISS"

    def left_s(self, plan: Plan, entry: Entry) -> int:
        """How long the caller of *plan* may use *entry* from now on: not at all where its source has changed."""
        if not self._kept.is_valid(plan, entry):
            return 0
        return left_s(plan, entry, time.time(), self._settings)

    def _usable(self, plan: Plan, entry: Entry, tier: str) -> Served | None:
        """*entry* as an answer, where it may be one without anything being made first."""
        age = self._kept.age(plan, entry)
        if age is Age.FRESH:
            return self._fresh(plan, entry, tier)
        return Served(entry, "STALE", due=True) if age is Age.STALE else None

    def _fresh(self, plan: Plan, entry: Entry, tier: str) -> Served:
        entry = self._kept.extended(plan, entry)
        early = is_early(entry, time.time(), self._settings.early_refresh, 1.0 - random.random())  # noqa: S311
        return Served(entry, tier, due=early)

    # what is not

    async def make(self, plan: Plan) -> Served:
        """As `serve`, for whoever has just found that L1 holds nothing."""
        if failure := self._kept.failure(plan, plan.key):
            raise as_error(failure)
        served, joined = await self._flown(plan)
        self._tended(plan, served)
        if not joined or served.tier == "STALE":
            return served
        return replace(served, entry=self._kept.extended(plan, served.entry), tier="COALESCED")

    async def _flown(self, plan: Plan) -> tuple[Served, bool]:
        """What comes of *plan*, and whether it was under way; of nothing that began before a purge."""
        got, joined = await self._flight.once(
            plan.key,
            lambda: self._outcome(plan, self._obtain(plan)),
            lambda got: not self._kept.is_gone(plan, got.entry if isinstance(got, Served) else got),
        )
        if isinstance(got, Failure):
            raise as_error(got)
        return got, joined

    async def _outcome(self, plan: Plan, work: Coroutine[None, None, Served]) -> Served | Failure:
        """What *work* gives; what it ends in as a value, so that whoever joins it sees how old that is."""
        asked_ms = self._purges.now_ms()
        try:
            return await work
        except ImagemillError as e:
            if not is_remembered(e):
                raise
            return as_failure(e, plan.source_key, time.time(), asked_ms)

    async def _obtain(self, plan: Plan) -> Served:
        held = await self._shared.get(plan.key)
        if served := self._from_shared(plan, held, "L2"):
            return served
        spare = self._kept.spare(plan, held if isinstance(held, Entry) else self._own(plan))
        if spare and self._kept.failure(plan, _anew(plan)):
            return Served(spare, "STALE")
        failure = self._kept.failure(plan, plan.source_key)
        if failure and not is_passing(error := as_error(failure)):
            raise error
        lease, served = await self._turn(plan)
        if served:
            return served
        return await self._lead(plan, spare, lease)

    def _own(self, plan: Plan) -> Entry | None:
        """What this node has at hand."""
        return self._kept.peek(plan) or self._kept.comparable(self._behind.peek(plan.key))

    def _from_shared(self, plan: Plan, held: Entry | Failure | None, tier: str) -> Served | None:
        """What the shared level holds as an answer; raise what it remembers as in vain."""
        if isinstance(held, Failure):
            if self._kept.is_valid(plan, held):
                self._kept.remember(plan.key, held)
                raise as_error(held)
            return None
        served = self._usable(plan, replace(held, seen_ms=self._purges.now_ms()), tier) if held else None
        if served and served.tier != "STALE":
            self._kept.fill(plan, served.entry)
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
                self._kept.give_up(lease)
                raise
            if served:
                self._kept.give_up(lease)
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
        if isinstance(held, Failure) and self._kept.is_valid(plan, held):
            self._kept.remember(plan.source_key, held)
            raise as_error(held)

    async def _lead(self, plan: Plan, spare: Entry | None, lease: Lease | None) -> Served:
        """Make *plan* for everyone, or answer with *spare* where only this moment is at fault."""
        asked_ms = self._purges.now_ms()
        try:
            return await self._work(plan, spare, lease)
        except ImagemillError as e:
            self._observe(e.code, "none", Stages(), 0.0)
            failure = replace(as_failure(e, plan.source_key, time.time(), asked_ms), tags=plan.tags)
            if is_passing(e) and (spare := self._kept.spare(plan, spare)):
                self._kept.give_up(lease)
                if is_remembered(e):
                    self._kept.remember(_anew(plan), failure)
                return Served(spare, "STALE")
            self._kept.fail(plan, e, failure, lease)
            raise
        except BaseException:
            self._kept.give_up(lease)
            raise

    async def _work(self, plan: Plan, spare: Entry | None, lease: Lease | None) -> Served:
        known = spare.validators if spare and not self._kept.is_outdated(spare) else NONE_KNOWN
        made = await self._renderer.render(plan, known, after_s=spare.born_s if spare else 0.0)
        if isinstance(made, Unchanged):
            assert spare
            entry = _renewed(spare, plan, made, self._settings)
            self._observe("renewed", entry.rendition.format, Stages(), 0.0)
            self._put(plan, entry, lease, spare)
            return Served(entry, "L2")
        self._observe("ok", made.entry.rendition.format, made.stages, made.fetch_ms)
        entry = made.entry.tagged(*spare.tags) if spare else made.entry
        for seen in made.seen:
            self._changes.note(seen, spare)
        self._put(plan, entry, lease, spare)
        return Served(entry, "MISS", made.stages, made.fetch_ms)

    def _put(self, plan: Plan, entry: Entry, lease: Lease | None, spare: Entry | None) -> None:
        self._kept.keep(plan, entry, lease)
        if spare and not self._kept.is_storable(entry):  # kept while it was public
            self._changes.withdraw(plan.key, entry)

    # behind answers that were given

    def _tended(self, plan: Plan, served: Served) -> Served:
        """*served*, made anew behind where that is due; not from within a flight, whose key is taken."""
        if served.due and plan.key not in self._flight and not self._kept.failure(plan, _anew(plan)):
            self._behind.renew(plan.key, served.entry, lambda: self._renew(plan, served.entry))
        return served

    async def _renew(self, plan: Plan, entry: Entry) -> None:
        try:
            await self._flight.once(plan.key, lambda: self._outcome(plan, self._anew(plan, entry)))
        except ImagemillError:
            return  # of this moment; whoever asks next asks anew

    async def _anew(self, plan: Plan, entry: Entry) -> Served:
        lease = await self._shared.lease(plan.key)
        if lease is None:
            return Served(entry, "STALE")  # another node does it
        try:
            held = await self._shared.get(plan.key) if lease.token else None
            served = self._overtaken(plan, entry, held)
        except BaseException:
            self._kept.give_up(lease)
            raise
        if served:
            self._kept.give_up(lease)
            return served
        if isinstance(held, Entry):  # what replaces it goes on under the names that other nodes have given it meanwhile
            entry = entry.tagged(*held.tags)
        return await self._lead(plan, entry, lease)

    def _overtaken(self, plan: Plan, entry: Entry, held: Entry | Failure | None) -> Served | None:
        """What another node has put in *entry*'s place meanwhile; raise where it found that there is nothing."""
        if isinstance(held, Failure) and self._kept.is_valid(plan, held):
            self._kept.give_way(plan, held)
            raise as_error(held)
        if not isinstance(held, Entry) or self._kept.age(plan, held) is not Age.FRESH:
            return None
        if held.expires_s <= entry.expires_s and held.engine <= entry.engine:
            return None
        self._kept.fill(plan, held)
        return Served(held, "L2")


def _anew(plan: Plan) -> str:
    """Where it is remembered that *plan* could not be made anew."""
    return f"{plan.key} anew"


def _renewed(spare: Entry, plan: Plan, said: Unchanged, policy: CacheSettings) -> Entry:
    """*spare* with a new life: its source was asked, and has not changed; what it leaves out stays (RFC 9111 4.3.4)."""
    max_age_s = spare.max_age_s if said.max_age_s is None else said.max_age_s
    return replace(
        spare.tagged(*plan.tags),
        born_s=said.born_s,
        asked_ms=said.asked_ms,
        life_s=life_s(plan, max_age_s, policy),
        max_age_s=max_age_s,
        storable=spare.storable and said.storable,
        seen_ms=0,
    )
