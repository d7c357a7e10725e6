"""The shared level of a node that shares nothing."""

from imagemill.cache.base import Lease
from imagemill.model.entry import Entry, Failure


class Alone:
    """Holds nothing, and leaves everything to this node."""

    async def get(self, _key: str, /) -> Entry | Failure | None:
        """See `cache.base.Shared`."""
        return None

    def put(self, _key: str, _content: Entry | Failure, _lease: Lease | None, /) -> None:
        """See `cache.base.Shared`."""

    def extend(self, _key: str, _entry: Entry, /) -> None:
        """See `cache.base.Shared`."""

    async def lease(self, key: str, /) -> Lease | None:
        """See `cache.base.Shared`."""
        return Lease(key, "")

    def release(self, _lease: Lease, /) -> None:
        """See `cache.base.Shared`."""

    async def wait(self, _key: str, _timeout_s: float, /) -> None:
        """See `cache.base.Shared`."""

    async def seen(self, _source_key: str, _version: str, /) -> str:
        """See `cache.base.Shared`."""
        return ""
