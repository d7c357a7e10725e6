"""Keep entries where all nodes find them: in Redis 7 or later or Valkey, standalone, with Sentinel, or as a Cluster.

Keys     ``<prefix>:{<key>}`` a frame; ``…:lease`` who makes it; ``<prefix>:{<source key>}:source`` the version a
         source was last seen in; channel ``<prefix>:done``. Keys and source keys are 64 hex digits.
Units    Unix seconds, milliseconds towards Redis; bytes of whole frames.
Errors   none: whatever happens, a call answers within `Level2.timeout_s` as `cache.base.Shared` says.
         `start` raises `SettingsError` where the settings are wrong.
Source   https://redis.io/docs/latest/commands/pexpire/: ``GT`` since 7.0.

A key's lifetime in Redis is the lesser of the idle window and what is left of its entry's life with the stale window;
a read puts it back to that, behind the request and with others together. So what is read lives its whole life, what
is not goes by itself, and nothing is searched for (docs/adr/0007).

After a call that failed, none is made to that server for as long as it may have cost: a request that lost its time
to `get` does not lose it again to `lease`. After `Level2.failures` in a row none is made until a probe, every
`Level2.probe_s`, is answered. All nodes have the same `secret` and `max_bytes`.
"""

import asyncio
import os
import time
from collections.abc import Callable

from imagemill.cache.base import Lease
from imagemill.cache.ending import end
from imagemill.cache.frame import CHECKSUM, HEAD_BYTES, OVERHEAD_BYTES, BadFrame, pack, unpack
from imagemill.cache.redis_behind import LONGEST_S, Errands, Fates, Leases, Renewals
from imagemill.cache.redis_bell import Bell
from imagemill.cache.redis_client import Client
from imagemill.cache.redis_link import Away, Link, Odd
from imagemill.cache.redis_scripts import DISCARD, EXTEND, RELEASE, STORE
from imagemill.cache.redis_survey import Survey
from imagemill.model.entry import MAX_LIFE_S, Entry, Failure
from imagemill.settings import Level2

_TRIES = 3
_ENDLESS, _OVER = -1, -2
"""What PTTL says instead of a time."""


class RedisCache:
    """See `cache.base.Shared`.

    *observe* hears of ``hit, miss, stored, bypass, dropped, bad_frame, error, fenced, swept, renewed``, each with the
    bytes concerned; *on_state* once of each change between well and not, with the reason in words.
    """

    def __init__(
        self,
        settings: Level2,
        *,
        stale_s: float,
        negative_s: float,
        observe: Callable[[str, int], None] = lambda _event, _bytes: None,
        on_state: Callable[[bool, str], None] = lambda _well, _why: None,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._stale_s = stale_s
        self._negative_s = negative_s
        self._observe = observe
        self._clock = clock
        self._ticks = ticks
        self._secret = settings.secret.encode()
        self._channel = f"{settings.prefix}:done"
        self._link = Link(settings, on_state, lambda: observe("error", 0), ticks)
        self._bell = Bell(settings, self._channel)
        self._leases = Leases(self._link, settings.lease_s, self._lease_name, ticks)
        self._errands = Errands(settings.write_bytes)
        self._renewals = Renewals(self._link, self._errands, lambda: observe("renewed", 0), settings.idle_s)
        self._extending: dict[str, Entry | None] = {}  # under way: what has come since
        self._fates = Fates(self._link, clock, lambda swept: observe("swept", swept), settings.idle_s / 3)
        self._loops: list[asyncio.Task[None]] = []

    @property
    def commands(self) -> Client:
        """The client itself, for questions that nobody waits for; each is to be bounded with `asyncio.timeout`."""
        return self._link.client

    @property
    def link(self) -> Link:
        """The way to Redis, for the stream of purges and for operators' questions."""
        return self._link

    async def start(self) -> None:
        """Begin; also where Redis is away. `SettingsError` where the settings are wrong."""
        await self._link.start()
        self._loops = [
            asyncio.create_task(loop()) for loop in (self._bell.listen, self._leases.keep_up, self._fates.look)
        ]

    async def close(self) -> None:
        """Finish waiting writes as far as a second allows, give leases up, and ask nothing any more."""
        for lease in self._leases.take_all():
            self._errands.run(self._end(lease))
        self._renewals.flush()
        await self._errands.drain()
        await end(self._loops)
        await self._link.close()

    async def get(self, key: str, /) -> Entry | Failure | None:
        """See `cache.base.Shared`."""
        try:
            found, _ = await self._read(key)
        except Away:
            return None
        except Odd:
            self._discard(key, b"")
            found = None
        if found is None:
            self._observe("miss", 0)
            return None
        self._observe("hit", len(found.rendition.body) if isinstance(found, Entry) else 0)
        if isinstance(found, Entry):
            self._renewals.add(self._name(key), self._left_ms(found, self._clock()))
        return found

    def put(self, key: str, content: Entry | Failure, lease: Lease | None, /) -> None:
        """See `cache.base.Shared`."""
        size = len(content.rendition.body) if isinstance(content, Entry) else 0
        if not self._link.takes(self._name(key)):
            self._leases.end(lease)
        elif size > self._settings.max_bytes:
            self._observe("bypass", size)
            self._let_go(lease)
        elif not self._errands.fits(size + OVERHEAD_BYTES):
            self._observe("dropped", size)
            self._let_go(lease)
        else:
            self._errands.run(self._store(key, content, lease), size + OVERHEAD_BYTES)

    async def store(self, key: str, entry: Entry, lease: Lease, /) -> bool:
        """As `put`, for whoever has to know: whether all nodes can find *entry* when this returns."""
        if len(entry.rendition.body) > self._settings.max_bytes:
            self._observe("bypass", len(entry.rendition.body))
            self._let_go(lease)
            return False
        try:
            return await self._store(key, entry, lease)
        except (Away, Odd):
            return False

    def extend(self, key: str, entry: Entry, /) -> None:
        """See `cache.base.Shared`."""
        size = len(entry.rendition.body)
        if size > self._settings.max_bytes or not self._link.takes(self._name(key)):
            return
        if key in self._extending:
            later = self._extending[key]
            self._extending[key] = entry.joined(later) if later and entry.is_one_with(later) else entry
            return
        if not self._errands.fits(size + OVERHEAD_BYTES):
            self._observe("dropped", size)
            return
        self._extending[key] = None
        self._errands.run(self._extend(key, entry), size + OVERHEAD_BYTES)

    async def lease(self, key: str, /) -> Lease | None:
        """See `cache.base.Shared`."""
        lease = Lease(key, os.urandom(8).hex())
        name = self._lease_name(key)
        try:
            taken = await self._link.ask(name, "SET", name, lease.token, "NX", "PX", self._lease_ms, write=True)
        except (Away, Odd):
            return Lease(key, "")
        except asyncio.CancelledError:
            self._errands.run(self._end(lease))  # it may have been granted
            raise
        if taken is None:
            return None
        self._leases.begin(lease)
        return lease

    def release(self, lease: Lease, /) -> None:
        """See `cache.base.Shared`."""
        self._let_go(lease)

    async def wait(self, key: str, timeout_s: float, /) -> None:
        """See `cache.base.Shared`; a message may be lost, so the lease is looked at again when it should have ended."""
        until = self._ticks() + timeout_s
        name = self._lease_name(key)
        with self._bell.waiting(key) as done:
            while (left_s := until - self._ticks()) > 0 and not done.is_set():
                try:
                    lease_ms = await self._lease_left_ms(name)
                except (Away, Odd):
                    return
                if lease_ms < 0:
                    return
                try:
                    async with asyncio.timeout(min(left_s, lease_ms / 1000 + 0.005)):
                        await done.wait()
                except TimeoutError:
                    continue

    async def seen(self, source_key: str, version: str, /) -> str:
        """See `cache.base.Shared`; what Redis says names the source, so that no answer is taken for another's."""
        name, ours = f"{self._settings.prefix}:{{{source_key}}}:source", f"{source_key}:".encode()
        value = ours + version.encode()
        life_ms = MAX_LIFE_S * 1000
        try:
            was = await self._link.ask(name, "SET", name, value, "PX", life_ms, "GET", write=True, get=True)
        except (Away, Odd):
            return ""
        if was is None:
            return ""
        if not (isinstance(was, bytes) and was.startswith(ours)):
            await self._link.hang_up()
            return ""
        return was[len(ours) :].decode("utf-8", "replace")

    async def stats(self) -> dict[str, object]:
        """See `redis_survey.Survey.stats`; `DependencyDown` where Redis is away."""
        return await self._survey().stats()

    async def sweep(self, idle_s: int) -> tuple[int, int]:
        """See `redis_survey.Survey.sweep`; `DependencyDown` where Redis is away."""
        return await self._survey().sweep(idle_s)

    def _survey(self) -> Survey:
        return Survey(self._link, self._settings, self._stale_s, self._clock)

    @property
    def _lease_ms(self) -> int:
        return int(self._settings.lease_s * 1000)

    async def _lease_left_ms(self, name: str) -> int:
        """How long the lease *name* has yet; less than 0 = it is over. One without an end, not ours, is given one."""
        left_ms = await self._link.ask(name, "PTTL", name)
        if not isinstance(left_ms, int):
            return _OVER
        if left_ms == _ENDLESS or left_ms > LONGEST_S * 1000:
            await self._link.ask(name, "PEXPIRE", name, self._lease_ms, "LT", write=True)
            return self._lease_ms
        return left_ms

    def _name(self, key: str) -> str:
        return f"{self._settings.prefix}:{{{key}}}"

    def _lease_name(self, key: str) -> str:
        return f"{self._settings.prefix}:{{{key}}}:lease"

    async def _read(self, key: str) -> tuple[Entry | Failure | None, bytes]:
        """What is there and may be used, and its checksum; `Away`, or `Odd`."""
        name = self._name(key)
        frame = await self._link.ask(name, "GETRANGE", name, 0, OVERHEAD_BYTES + self._settings.max_bytes)
        if frame == b"":
            return None, b""
        now_s = self._clock()
        try:
            if not isinstance(frame, bytes):
                raise BadFrame("magic")  # no answer to GETRANGE at all
            content = unpack(frame, key, self._secret, now_s)
        except BadFrame as e:
            if e.foreign:
                await self._link.hang_up()
            self._discard(key, frame[:HEAD_BYTES] if isinstance(frame, bytes) else b"")
            return None, b""
        return (content, frame[CHECKSUM]) if self._left_ms(content, now_s) > 0 else (None, b"")

    def _discard(self, key: str, head: bytes) -> None:
        """Count a value that is no frame of ours, and delete it unless it has changed meanwhile."""
        self._observe("bad_frame", 0)
        self._errands.run(self._link.script(DISCARD, (self._name(key),), head))

    def _left_ms(self, content: Entry | Failure, now_s: float) -> int:
        """How long *content* may stay unread from now on; 0 or less = it is over."""
        if isinstance(content, Failure):
            return int((content.born_s + self._negative_s - now_s) * 1000)
        return int(min(self._settings.idle_s, content.expires_s + self._stale_s - now_s) * 1000)

    def _let_go(self, lease: Lease | None) -> None:
        self._leases.end(lease)
        if lease is not None and lease.token and self._link.takes(self._lease_name(lease.key)):
            self._errands.run(self._end(lease))

    async def _end(self, lease: Lease) -> None:
        await self._link.script(RELEASE, (self._lease_name(lease.key),), lease.token, self._channel, lease.key)

    async def _store(self, key: str, content: Entry | Failure, lease: Lease | None) -> bool:
        ms = self._left_ms(content, now_s := self._clock())
        try:
            frame = pack(key, content, self._secret)
            token = lease.token if lease is not None else ""
            if ms <= 0:
                raise BadFrame("over")
            names = (self._name(key), self._lease_name(key))
            stored = await self._link.script(STORE, names, token, frame, ms, self._channel, key)
        except BadFrame:
            self._observe("bypass", 0)
            self._let_go(lease)
            return False
        finally:
            self._leases.end(lease)
        self._observe("stored" if stored else "fenced", len(frame))
        if stored and isinstance(content, Entry):
            self._note(key, frame, content, now_s + ms / 1000)
        return bool(stored)

    async def _extend(self, key: str, entry: Entry) -> None:
        """Store *entry*, then what has come meanwhile: one at a time, or each would undo another's."""
        later: Entry | None = entry
        try:
            while later is not None:
                await self._compare_and_set(key, later)
                later, self._extending[key] = self._extending[key], None
        finally:
            del self._extending[key]

    async def _compare_and_set(self, key: str, entry: Entry) -> None:
        """Join *entry* with what is there of the same birth; again where another node has done so in between."""
        for _ in range(_TRIES):
            there, checksum = await self._read(key)
            if not isinstance(there, Entry) or not entry.is_one_with(there):
                return
            if await self._swap(key, entry.joined(there), checksum):
                return

    async def _swap(self, key: str, entry: Entry, checksum: bytes) -> bool:
        ms = self._left_ms(entry, now_s := self._clock())
        try:
            frame = pack(key, entry, self._secret)
        except BadFrame:
            self._observe("bypass", 0)
            return True
        if ms <= 0 or not await self._link.script(EXTEND, (self._name(key),), checksum, frame, ms):
            return ms <= 0
        self._observe("stored", len(frame))
        self._note(key, frame, entry, now_s + ms / 1000)
        return True

    def _note(self, key: str, frame: bytes, entry: Entry, due_s: float) -> None:
        self._fates.note(self._name(key), len(frame), due_s, entry.expires_s + self._stale_s)
