"""Tell other nodes of purges, and hear of theirs, through one Redis Stream.

Keys     ``<prefix>:purges``; one field, ``e``, see `cache.purge_events`. A stream begins with a purge of everything:
         who finds none cannot know what it held, and who reads one that was made anew hears of it that way.
Units    stream ids are milliseconds of the server's clock, and so is what `Purges.now_ms` gives, once compared.
Errors   `SettingsError` for wrong settings, and no others: without Redis nothing is heard, `Purges` goes by its bound,
         and `publish` says False.
Source   Redis 7.0, XINFO STREAM: trimming moves ``first-entry``, XDEL ``max-deleted-entry-id``; an id never falls
         within one stream; XREAD BLOCK also sees entries of a stream made anew, where their ids are larger.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from imagemill.cache.ending import end
from imagemill.cache.purge_events import BadEvent, Seal
from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.cache.redis_client import Client, check, close, connect, hang_up
from imagemill.obs.logs import Log
from imagemill.settings import Level2

START_S = 1.0
"""How long a start waits for what was purged before."""
REFRESH_S = 30.0
"""How often the clocks are compared, and the connection made anew: a Sentinel may know another primary by now."""
_ANSWER_S = 1.0
_BLOCK_MS = 1_000
_PER_BOUND = 4
_RETRY_S = 0.5
_BATCH = 500
_SAMPLES = 3
_TROUBLE = (RedisError, RedisClusterException, OSError)
"""A `TimeoutError` is an `OSError`; that no server of a Cluster can be reached is no `RedisError`."""

Id = tuple[int, int]
Raw = tuple[bytes, dict[bytes, bytes] | None]


class _Stream(Struct, frozen=True):
    """What XINFO says of a stream."""

    first: Id
    last: Id
    """The newest id it ever had."""
    deleted: Id


class PurgeFeed:
    """Notes in *purges* what any node publishes, from the beginning of what may still be cached."""

    def __init__(self, settings: Level2, purges: Purges, observe: Callable[[str], None] = lambda _: None) -> None:
        check(settings)
        self._settings = settings
        self._purges = purges
        self._observe = observe
        self._stream = f"{settings.prefix}:purges"
        self._seal = Seal(settings.secret, self._stream)
        self._block_ms = max(1, min(_BLOCK_MS, int(settings.blind_s * 1000 / _PER_BOUND)))
        self._own_client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._read_to: Id = (0, 0)
        self._seen: Id = (0, 0)
        self._current = asyncio.Event()
        self._log = Log("imagemill.purges")
        self._told_lost = self._told_untold = False
        self._told_anew_s = float("-inf")
        self.reading = False
        """Whether all is heard just now."""

    async def start(self) -> None:
        """Begin to read; return when all is known that was purged before, or when that takes too long."""
        self._task = asyncio.create_task(self._run())
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._current.wait()

    async def close(self) -> None:
        """Stop reading and close all connections."""
        if self._task is not None:
            await end({self._task})
        if self._own_client is not None:
            await close(self._own_client)

    # telling

    async def publish(self, purge: Purge) -> bool:
        """Tell every node of *purge*; False where that cannot be known to have happened."""
        for tries_left in (1, 0):  # a connection that has rested may have died meanwhile; twice told is harmless
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await self._add(purge)
            except _TROUBLE as e:
                if not tries_left:
                    self._say_untold(e)
            else:
                self._told_untold = False
                return True
        return False

    async def tune(self) -> bool:
        """Compare clocks once, for one who publishes and does not read; False where Redis does not answer."""
        try:
            await self._compare()
        except _TROUBLE:
            return False
        return True

    async def _add(self, purge: Purge) -> None:
        if await self._xadd(purge, "NOMKSTREAM") is None:
            await self._begin()
            await self._xadd(purge)

    async def _begin(self) -> None:
        await self._xadd(Purge.everything(self._purges.now_ms()))

    async def _xadd(self, purge: Purge, *options: str) -> Any:
        event, most = self._seal.encode(purge), self._settings.purges
        return await self._ask("XADD", self._stream, *options, "MAXLEN", "~", most, "*", "e", event)

    async def _ask(self, *command: Any, **options: Any) -> Any:
        return await self._client.execute_command(*command, **options)

    @property
    def _client(self) -> Client:
        """One for both ways; while a read waits it has a connection of its own."""
        if self._own_client is None:
            self._own_client = connect(self._settings, timeout_s=None)
        return self._own_client

    def _say_untold(self, error: Exception) -> None:
        """Once until one is told again: while Redis is away each change of a source would say so."""
        if not self._told_untold:
            self._told_untold = True
            self._log.warning("a purge could not be published", reason=type(error).__name__)

    # hearing

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except Exception as e:  # noqa: BLE001 - whatever Redis answers: nothing is heard until it makes sense
                self._lost(e)
                await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        """Read for `REFRESH_S`, through connections made anew."""
        loop = asyncio.get_running_loop()
        until = loop.time() + REFRESH_S
        async with asyncio.timeout(_ANSWER_S):
            await hang_up(self._client)
        await self._compare()
        await self._check_kept()
        self._set_out()
        caught_up = False
        while loop.time() < until:
            caught_up = await self._turn(wait=caught_up)

    def _set_out(self) -> None:
        """Begin where the oldest thing begins that may be used; what is older was purged or not, nobody knows."""
        oldest_ms = self._purges.now_ms() - self._purges.kept_ms
        if self._read_to < (oldest_ms, 0):
            self._read_to = (oldest_ms, 0)
            self._purges.raise_floor(oldest_ms)

    async def _turn(self, *, wait: bool) -> bool:
        """Read once; tell whether that was all there is.

        The stream is looked at after it was read and judged by where we stood before: whatever was trimmed unread is
        noticed, and an entry that was read and then trimmed at worst looks as if it had not been.
        """
        asked_ms, before = self._purges.now_ms(), self._read_to
        entries = await self._read(self._block_ms if wait else 0)
        stream = await self._look()
        for entry in entries:
            self._take(*entry)
        if stream is None or stream.last < self._seen:
            await self._start_anew()
            return False
        self._check_gap(stream, before)
        if len(entries) == _BATCH:
            return False
        self._purges.heard(asked_ms)
        self._found()
        return True

    async def _read(self, block_ms: int) -> Sequence[Raw]:
        block = ("BLOCK", block_ms) if block_ms else ()
        place = (self._stream, "{}-{}".format(*self._read_to))
        async with asyncio.timeout(_ANSWER_S + block_ms / 1000):
            answer = await self._ask("XREAD", "COUNT", _BATCH, *block, "STREAMS", *place)
        entries: Sequence[Raw] = answer[0][1] if answer else ()
        return entries

    async def _look(self) -> _Stream | None:
        """What the stream is like; None = there is none."""
        async with asyncio.timeout(_ANSWER_S):
            try:
                answer = await self._ask("XINFO", "STREAM", self._stream)
            except ResponseError:
                if await self._ask("EXISTS", self._stream):
                    raise
                return None
        told = dict(zip(answer[::2], answer[1::2], strict=True))
        first, last = told[b"first-entry"], _id(told[b"last-generated-id"])
        return _Stream(_id(first[0]) if first else last, last, _id(told.get(b"max-deleted-entry-id", b"0-0")))

    def _take(self, raw_id: bytes, fields: dict[bytes, bytes] | None) -> None:
        self._read_to = self._seen = at = _id(raw_id)
        try:
            purge = self._seal.decode((fields or {}).get(b"e", b""))
        except BadEvent:
            self._observe("bad")
            return
        if not purge.soft:  # the server knows the time better; a soft one means a fetch that has a time of its own
            purge = Purge(purge.subject, purge.name, max(purge.at_ms, at[0]))
        self._purges.note(purge)
        self._observe(purge.subject)
        if purge.subject is Subject.ALL:
            self._say_anew()

    def _check_gap(self, stream: _Stream, before: Id) -> None:
        """Let nothing be valid that purges may have concerned which were removed before we could read them."""
        missed = max((at for at in (stream.first, stream.deleted) if at > before), default=None)
        if missed and self._purges.raise_floor(missed[0]) and self._current.is_set():
            self._log.warning("purges were missed: what was cached before is not used", until_ms=missed[0])

    async def _check_kept(self) -> None:
        """Notice a failover that lost what we have read, also where something newer has been told since."""
        if self._seen == (0, 0):
            return
        stream = await self._look()
        if stream is None or stream.first > self._seen or stream.deleted >= self._seen:
            return  # trimmed, or gone: see `_turn`
        seen = "{}-{}".format(*self._seen)
        async with asyncio.timeout(_ANSWER_S):
            found = await self._ask("XRANGE", self._stream, seen, seen)
        if not found:
            await self._start_anew()

    async def _start_anew(self) -> None:
        """Go on with a stream that is not the one we knew: it may have held anything.

        Who had not read what an older stream lacks sees nothing wrong with it, so everybody is told.
        """
        self._purges.raise_floor(self._purges.now_ms())
        self._say_anew()
        self._read_to = self._seen = (0, 0)
        async with asyncio.timeout(_ANSWER_S):
            await self._begin()

    def _say_anew(self) -> None:
        """Once, also where several nodes found the stream missing and each has begun it."""
        now_s = asyncio.get_running_loop().time()
        if self._current.is_set() and now_s - self._told_anew_s > REFRESH_S:
            self._told_anew_s = now_s
            self._log.warning("the stream of purges was made anew: what was cached before is not used")

    async def _compare(self) -> None:
        """Set the clock by the server's, in the middle of the quickest of a few round trips."""
        best_ms, offset_ms = float("inf"), 0.0
        for _ in range(_SAMPLES):
            async with asyncio.timeout(_ANSWER_S):
                whom = await self._keeper()
                begun_ms = self._purges.own_ms()
                seconds, micros = await self._ask("TIME", **whom)
            trip_ms = self._purges.own_ms() - begun_ms
            if trip_ms < best_ms:
                best_ms, offset_ms = trip_ms, seconds * 1000 + micros / 1000 - begun_ms - trip_ms / 2
        self._purges.shift(round(offset_ms))

    async def _keeper(self) -> dict[str, Any]:
        """How to ask the one server that dates the stream."""
        find = getattr(self._client, "get_node_from_key", None)
        if find is None:
            return {}
        await self._client.initialize()
        return {"target_nodes": find(self._stream)}

    # state

    def _found(self) -> None:
        self.reading = True
        self._current.set()
        if self._told_lost:
            self._told_lost = False
            self._log.info("purges are heard again")

    def _lost(self, error: Exception) -> None:
        self.reading = False
        if not self._told_lost:
            self._told_lost = True
            self._log.warning("purges cannot be heard", reason=type(error).__name__, bound_s=self._settings.blind_s)


def _id(raw: bytes) -> Id:
    at_ms, _, sequence = raw.partition(b"-")
    return int(at_ms), int(sequence)
