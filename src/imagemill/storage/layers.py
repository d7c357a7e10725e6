"""What is wrapped around a store, and leaves it a store: a time limit, counts and times, further attempts.

Order    ``Retry(Metrics(Timeout(store)))``: each attempt has its own limit and is counted by itself.
Units    seconds.
Errors   those of the store; past its limit `SourceTimeout` (reading) or `DependencyDown`.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import Struct

from imagemill.model.entry import Validators
from imagemill.model.errors import DependencyDown, ImagemillError, SourceTimeout
from imagemill.storage.base import NONE_KNOWN, Blob, Stat, Store, Terms, Unchanged

T = TypeVar("T")
Observe = Callable[[str, str, float], None]
"""Told of an operation (``get``, ``put``, ``stat``, ``url``, ``check``), its outcome and its seconds."""


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

    async def put(self, key: str, body: bytes, /, terms: Terms) -> Stat:
        """See `storage.base.Put`."""
        return await self._do("put", lambda: self._store.put(key, body, terms))

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

    @abstractmethod
    async def _do(self, operation: str, call: Callable[[], Awaitable[T]]) -> T: ...


class Timeout(_Around):
    """Ends what takes too long."""

    def __init__(self, store: Store, timeout_s: float) -> None:
        super().__init__(store)
        self._timeout_s = timeout_s

    async def _do(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                return await call()
        except TimeoutError as e:
            if not limit.expired():
                raise
            kind = SourceTimeout if operation == "get" else DependencyDown
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
    """Repeats what failed and may not fail again; all operations here may be repeated."""

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

    async def _do(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:  # noqa: ARG002 - all alike
        for attempt in range(1, self._attempts.most):
            try:
                return await call()
            except ImagemillError as e:
                if not e.retryable:
                    raise
            await self._sleep(self._attempts.pause_before_s(attempt, self._chance()))
        return await call()
