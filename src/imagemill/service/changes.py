"""What a fetch tells of everything else that was made of its source: told here at once, and to all nodes.

Units    seconds.
"""

import time
from collections.abc import Callable, Coroutine

from imagemill.cache.base import Cache, Shared
from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.model.entry import Entry
from imagemill.service.behind import Behind
from imagemill.service.layers import Seen

REMEMBERED_S = 600.0
"""For so long it is remembered here in which version a source was seen: twice as long as L1 keeps anything."""
_APART_S = 5.0
"""A source that seems to change more often than this is served by several that disagree, and is believed this often."""

Tell = Callable[[Purge], Coroutine[None, None, object]]


class Changes:
    """Sources that were seen to be other than before."""

    def __init__(self, versions: Cache[str], shared: Shared, purges: Purges, behind: Behind, tell: Tell | None) -> None:
        self._versions = versions
        self._shared = shared
        self._purges = purges
        self._behind = behind
        self._tell = tell

    def note(self, seen: Seen, spare: Entry | None) -> None:
        """Let what was made of another version of a source become stale; *spare* is what was just replaced."""
        if not seen.version:
            return
        now = time.monotonic()
        replaced = spare.validators.version if spare and spare.source_key == seen.source_key else ""
        before = self._versions.peek(seen.source_key, now) or replaced
        self._versions.put(seen.source_key, seen.version, now, ttl_s=REMEMBERED_S)
        if before not in {"", seen.version}:
            self._changed(seen)
        self._behind.run(self._compare(seen))

    def withdraw(self, key: str, entry: Entry) -> None:
        """Let nothing be answered with that was kept under *key* before *entry*, which may not be kept."""
        self._announce(Purge.of(Subject.KEY, key, entry.asked_ms - 1))

    async def _compare(self, seen: Seen) -> None:
        """As `note`, with what other nodes have seen."""
        if await self._shared.seen(seen.source_key, seen.version) not in {"", seen.version}:
            self._changed(seen)

    def _changed(self, seen: Seen) -> None:
        now, mark = time.monotonic(), f"{seen.source_key} changed"
        if self._versions.peek(mark, now):
            return
        self._versions.put(mark, "changed", now, ttl_s=_APART_S)
        self._announce(Purge.of(Subject.SOURCE, seen.source_key, seen.asked_ms - 1, soft=True))

    def _announce(self, purge: Purge) -> None:
        self._purges.note(purge)
        if self._tell is not None:
            self._behind.run(self._tell(purge))
