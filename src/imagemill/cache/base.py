"""What every cache offers: values in, values out, and nothing older than it may be.

`Cache` is this process's own and answers at once; `Shared` is what nodes have in common, and may be away.
"""

from typing import Protocol, TypeVar

from msgspec import Struct

from imagemill.model.entry import Entry, Failure

V = TypeVar("V")


class Cache(Protocol[V]):
    """A place finished work is kept for a while."""

    def get(self, key: str, now: float, /) -> V | None:
        """The live value under *key* at monotonic time *now*, or None."""
        ...

    def peek(self, key: str, now: float, /) -> V | None:
        """As `get`, but not counted as a hit or a miss."""
        ...

    def used(self) -> None:
        """Count what `peek` gave as a hit."""
        ...

    def put(self, key: str, value: V, now: float, /, *, ttl_s: float) -> None:
        """Keep *value* for at most *ttl_s*; a value too large for this cache is let go."""
        ...

    def drop(self, key: str, /) -> None:
        """Forget *key*, present or not."""
        ...


class Lease(Struct, frozen=True):
    """The right to make one key for every node."""

    key: str
    token: str
    """Tells this holder from every other; empty = the shared level is away, and this node is on its own."""


class Shared(Protocol):
    """The level that nodes share; no call raises, and none takes longer than the level's own bound.

    A level that is away holds nothing, leases everything, and forgets what it is given.
    """

    async def get(self, key: str, /) -> Entry | Failure | None:
        """What is kept under *key*, fresh or stale; a read keeps it from being swept."""
        ...

    def put(self, key: str, content: Entry | Failure, lease: Lease | None, /) -> None:
        """Store in the background, end *lease*, and tell who waits.

        Nothing is stored where somebody else holds the lease by now, or where, without one, the level holds
        something born later.
        """
        ...

    def extend(self, key: str, entry: Entry, /) -> None:
        """Store *entry* in the background, which `get` gave with less life or fewer tags, unless that has changed."""
        ...

    async def lease(self, key: str, /) -> Lease | None:
        """The right to make *key*, kept up until `put` or `release`; None = another node has it."""
        ...

    def release(self, lease: Lease, /) -> None:
        """Give *lease* up without a result, in the background, and tell who waits."""
        ...

    async def wait(self, key: str, timeout_s: float, /) -> None:
        """Return when whoever holds *key*'s lease is done, gives up or may be dead; after *timeout_s* at the latest."""
        ...

    async def seen(self, source_key: str, version: str, /) -> str:
        """Note the version that a source was just fetched in, and tell the one noted before; empty = none known."""
        ...
