"""What is wrapped around a store, and leaves it a store: a time limit, counts and times, further attempts.

Order    ``Retry(Metrics(Timeout(store)))``: each attempt has its own limit and is counted by itself.
Streams  The time limit is one of each chunk: of reading it, or until the store wants the next. What their reader or
         their maker takes is not the store's time. Opening is repeated; reading on is not, nor is writing: the chunks
         are gone. Who holds the bytes uses `put`, who wants them all uses `get`: these are repeated as a whole.
Units    seconds.
Errors   those of the store; past its limit `SourceTimeout` (reading) or `DependencyDown`.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.entry import Validators
from imagemill.model.errors import DependencyDown, ImagemillError, SourceTimeout
from imagemill.storage.base import NONE_KNOWN, Blob, Opened, Stat, Store, Terms, Unchanged

T = TypeVar("T")
_READING = frozenset({"get", "open", "read"})
Observe = Callable[[str, str, float], None]
"""Told of an operation (``get``, ``open``, ``read`` of one chunk, ``put``, ``write``, ``stat``,
``url``, ``check``), its outcome and its seconds."""


class Attempts(Struct, frozen=True):
    """How often, and how long between: full jitter below a pause that doubles."""

    most: int = 3
    pause_s: float = 0.1
    longest_pause_s: float = 2.0

    def pause_before_s(self, attempt: int, chance: float) -> float:
        """The pause before the attempt of this number, the second being 1; *chance* is from 0 to 1."""
        return chance * min(self.longest_pause_s, self.pause_s * 2.0 ** (attempt - 1))


class _Around(ABC):
    """A store around a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, key: str, /, *, limit: int, known: Validators = NONE_KNOWN) -> Blob | Unchanged:
        """See `storage.base.Get`."""
        return await self._do("get", lambda: self._store.get(key, limit=limit, known=known))

    @asynccontextmanager
    async def open(self, key: str, /, *, known: Validators = NONE_KNOWN) -> AsyncIterator[Opened | Unchanged]:
        """See `storage.base.Read`."""
        async with AsyncExitStack() as stack:
            opened = await self._do("open", lambda: stack.enter_async_context(self._store.open(key, known=known)))
            yield opened if isinstance(opened, Unchanged) else replace(opened, chunks=self._read(opened.chunks))

    async def put(self, key: str, body: bytes, /, terms: Terms) -> Stat:
        """See `storage.base.Put`."""
        return await self._do("put", lambda: self._store.put(key, body, terms))

    async def write(self, key: str, chunks: AsyncIterable[bytes], /, terms: Terms) -> Stat:
        """See `storage.base.Write`."""
        return await self._do("write", lambda: self._store.write(key, chunks, terms))

    async def stat(self, key: str, /) -> Stat | None:
        """See `storage.base.Put`."""
        return await self._do("stat", lambda: self._store.stat(key))

    def address(self, key: str, /) -> str:
        """See `storage.base.Put`."""
        return self._store.address(key)

    async def url(self, key: str, /, *, good_for_s: int) -> str | None:
        """See `storage.base.Put`."""
        return await self._do("url", lambda: self._store.url(key, good_for_s=good_for_s))

    async def check(self) -> None:
        """See `storage.base.Store`."""
        await self._do("check", self._store.check)

    async def _read(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while (chunk := await self._do("read", lambda: anext(chunks, None))) is not None:
            yield chunk

    @abstractmethod
    async def _do(self, operation: str, call: Callable[[], Awaitable[T]]) -> T: ...


class Timeout(_Around):
    """Ends what takes too long."""

    def __init__(self, store: Store, timeout_s: float) -> None:
        super().__init__(store)
        self._timeout_s = timeout_s

    async def write(self, key: str, chunks: AsyncIterable[bytes], /, terms: Terms) -> Stat:
        """See `storage.base.Write`."""
        limit = asyncio.timeout(self._timeout_s)

        async def write() -> Stat:
            async with aclosing(self._unhurried(chunks, limit)) as unhurried:
                return await self._store.write(key, unhurried, terms)

        return await self._limited("write", write, limit)

    async def _unhurried(self, chunks: AsyncIterable[bytes], limit: asyncio.Timeout) -> AsyncGenerator[bytes, None]:
        made = aiter(chunks)
        while True:
            limit.reschedule(None)
            chunk = await anext(made, None)
            limit.reschedule(asyncio.get_running_loop().time() + self._timeout_s)
            if chunk is None:
                return
            yield chunk

    async def _do(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self._limited(operation, call, asyncio.timeout(self._timeout_s))

    async def _limited(self, operation: str, call: Callable[[], Awaitable[T]], limit: asyncio.Timeout) -> T:
        try:
            async with limit:
                return await call()
        except TimeoutError as e:
            if not limit.expired():
                raise
            kind = SourceTimeout if operation in _READING else DependencyDown
            raise kind(f"the store took longer than {self._timeout_s:g} s") from e


class Metrics(_Around):
    """Tells how each operation went: ``ok``, ``unchanged``, ``absent``, ``cancelled`` or an error's code."""

    def __init__(self, store: Store, observe: Observe) -> None:
        super().__init__(store)
        self._observe = observe

    async def _do(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        begun, outcome = time.monotonic(), "internal"
        try:
            got = await call()
            outcome = _outcome(operation, got)
        except ImagemillError as e:
            outcome = e.code
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._observe(operation, outcome, time.monotonic() - begun)
        return got


def _outcome(operation: str, got: object) -> str:
    if operation == "stat" and got is None:
        return "absent"
    return "unchanged" if isinstance(got, Unchanged) else "ok"


class Retry(_Around):
    """Repeats what failed and may not fail again, but for streams that have begun."""

    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(store)
        self._attempts = attempts
        self._chance = chance
        self._sleep = sleep

    async def write(self, key: str, chunks: AsyncIterable[bytes], /, terms: Terms) -> Stat:
        """See `storage.base.Write`; not repeated."""
        return await self._store.write(key, chunks, terms)

    def _read(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        return chunks

    async def _do(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:  # noqa: ARG002 - all alike
        for attempt in range(1, self._attempts.most):
            try:
                return await call()
            except ImagemillError as e:
                if not e.retryable:
                    raise
            await self._sleep(self._attempts.pause_before_s(attempt, self._chance()))
        return await call()
