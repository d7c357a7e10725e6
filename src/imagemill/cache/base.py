"""What every cache offers: values in, values out, and nothing older than it may be."""

from typing import Protocol, TypeVar

V = TypeVar("V")


class Cache(Protocol[V]):
    """A place finished work is kept for a while."""

    def get(self, key: str, now: float, /) -> V | None:
        """The live value under *key* at monotonic time *now*, or None."""
        ...

    def peek(self, key: str, now: float, /) -> V | None:
        """As `get`, but not counted as a hit or a miss."""
        ...

    def put(self, key: str, value: V, now: float, /, *, ttl_s: float) -> None:
        """Keep *value* for at most *ttl_s*; a value too large for this cache is let go."""
        ...

    def drop(self, key: str, /) -> None:
        """Forget *key*, present or not."""
        ...
