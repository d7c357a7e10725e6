"""Remember what follows from bytes that clients choose: bounded, and quick where the same come again.

Units    bytes, as whoever remembers something says it weighs.
Bounded  two halves: what was used since the younger one began stays, all else goes with the older one.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """At most *most_bytes* of answers by what was asked."""

    def __init__(self, most_bytes: int) -> None:
        self._half_bytes = most_bytes // 2
        self._bytes = 0
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}

    def get(self, key: K) -> V | None:
        """What is remembered under *key*."""
        held = self._young.get(key)
        if held is not None:
            return held[0]
        held = self._old.pop(key, None)
        if held is None:
            return None
        self.put(key, *held)
        return held[0]

    def put(self, key: K, value: V, size_bytes: int) -> None:
        """Remember *value*, unless it alone would fill a half."""
        if size_bytes > self._half_bytes:
            return
        before = self._young.pop(key, None)
        self._bytes += size_bytes - (before[1] if before else 0)
        if self._bytes > self._half_bytes:
            self._old, self._young, self._bytes = self._young, {}, size_bytes
        self._young[key] = (value, size_bytes)
