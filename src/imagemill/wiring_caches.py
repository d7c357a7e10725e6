"""The composition root of what a node keeps in memory: how large, for how long, and who looks after it.

Units    bytes; seconds.
"""

from collections.abc import Callable

from imagemill import heap
from imagemill.cache.budget import container_bytes, l1_bytes
from imagemill.cache.memory import MemoryCache
from imagemill.cache.tidy import Tidy
from imagemill.engines.base import Known
from imagemill.model.entry import Entry, Failure
from imagemill.model.recipe import sources
from imagemill.model.request import Plan
from imagemill.service.changes import REMEMBERED_S
from imagemill.settings import Cache as Settings
from imagemill.storage.base import Blob

_MEMO_BYTES = 8 * 1024 * 1024
_MEMO_S = 300.0
_FAILURE_BYTES = 4 * 1024 * 1024
_FAILURE_SIZE = 1024
_VERSION_BYTES = 8 * 1024 * 1024
_NEGATIVE_MOST_S = 30.0
_QUALITY_BYTES = 4 * 1024 * 1024
_QUALITY_S = 86_400.0


class Caches:
    """The caches of one node."""

    def __init__(self, settings: Settings, observed: Callable[[str], Callable[[str], None]]) -> None:
        """*observed* gives whoever is told of the events of a cache of that name."""
        unread_s = settings.l1_unread_s if settings.l1_unread_s < settings.l1_ttl_s else 0.0
        self.l1: MemoryCache[Entry] = MemoryCache(
            l1_bytes(settings.l1_bytes, container_bytes()), settings.l1_ttl_s, _entry_size, settings.policy,
            observed("l1"), unread_s=unread_s,
        )  # fmt: skip
        self.sources: MemoryCache[Blob] = MemoryCache(
            settings.source_bytes, settings.source_ttl_s, lambda blob: len(blob.body), settings.policy,
            observed("source"), share_of_one=2,
        )  # fmt: skip
        self.failures: MemoryCache[Failure] = MemoryCache(
            _FAILURE_BYTES, _NEGATIVE_MOST_S, lambda _: _FAILURE_SIZE, observe=observed("negative")
        )
        self.memo: MemoryCache[Plan] = MemoryCache(_MEMO_BYTES, _MEMO_S, _plan_size, unread_s=unread_s)
        self.versions: MemoryCache[str] = MemoryCache(_VERSION_BYTES, REMEMBERED_S, len)
        self.qualities = qualities()
        self.tidy = Tidy(
            (self.l1, self.sources, self.failures, self.memo, self.versions, self.qualities), heap.free_bytes, heap.trim
        )

    @staticmethod
    def check(settings: Settings) -> None:
        """Raise `SettingsError` where L1 would not fit."""
        l1_bytes(settings.l1_bytes, container_bytes())


def qualities() -> MemoryCache[tuple[Known, ...]]:
    """For what ``quality=auto`` has found out."""
    return MemoryCache(_QUALITY_BYTES, _QUALITY_S, lambda known: 128 * len(known))


def _entry_size(entry: Entry) -> int:
    return len(entry.rendition.body)


def _plan_size(plan: Plan) -> int:
    layers = sum(512 + 2 * len(source.address) for source in sources(plan.recipe))
    return 2 * len(plan.source.address) + layers + 2048
