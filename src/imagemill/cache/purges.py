"""Tell which cached contents are still valid after what was purged. Pure: the clock is handed in.

Keys     a purge keeps a digest of the name it concerns, never the name.
Units    ``_ms`` milliseconds on the clock that purges are dated by: the shared level's, else our own.
Order    any: what is noted late, twice or out of order changes nothing for the worse.
Bounded  `most` purges; what is forgotten raises the floor below which nothing is valid.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, StrEnum, auto
from hashlib import blake2b

from msgspec import Struct

from imagemill.model.entry import DAY_S, MAX_LIFE_S, OF_LAYER, Entry, Failure

DIGEST_BYTES = 16
SKEW_MS = 1_000
"""How far clocks that agree may be apart."""
WRITING_MS = 1_000
"""For so long a tag may be on its way to the shared level that a request has brought."""
_STALE_S = DAY_S


class Subject(StrEnum):
    """What a purge's name is of."""

    SOURCE = "source"
    TAG = "tag"
    KEY = "key"
    ALL = "all"
    """No name: everything is concerned."""


class Verdict(Enum):
    """What may be done with what a cache holds."""

    VALID = auto()
    STALE = auto()
    """As if its life had ended: renewed, or served while it is."""
    GONE = auto()


_VALID, _STALE, _GONE = Verdict.VALID, Verdict.STALE, Verdict.GONE  # a look-up in the class takes as long as the rest


class Purge(Struct, frozen=True):
    """From *at_ms* on, what was asked for until then is no longer valid."""

    subject: Subject
    name: bytes
    """A digest, see `of`; empty for `Subject.ALL`."""
    at_ms: int
    soft: bool = False
    """Whether what it concerns becomes stale only: its source was seen to have changed."""

    @classmethod
    def of(cls, subject: Subject, name: str, at_ms: int, *, soft: bool = False) -> "Purge":
        """A purge of what is called *name*: a source key, a tag or a result key."""
        return cls(subject, digest(subject, name), at_ms, soft)

    @classmethod
    def everything(cls, at_ms: int) -> "Purge":
        """A purge of all there is."""
        return cls(Subject.ALL, b"", at_ms)


def digest(subject: Subject, name: str) -> bytes:
    """A short name for a name."""
    return blake2b(name.encode(), digest_size=DIGEST_BYTES, person=subject.encode()).digest()


def steady() -> Callable[[], float]:
    """A clock of Unix seconds that never steps, whatever is done to the machine's."""
    begun = time.time() - time.monotonic()
    return lambda: begun + time.monotonic()


class Purges:
    """What is known of purges on this node.

    With *blind_s* there is a feed: whatever was asked for more than so long ago counts only while the feed was heard
    within that time. Without, this node is all there is. Nothing that is cached may be used for longer than *stale_s*
    after the longest of lives.
    """

    def __init__(
        self,
        most: int,
        *,
        blind_s: float | None = None,
        stale_s: int = _STALE_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._most = most
        self._clock = clock or steady()
        self._fed = blind_s is not None
        self._blind_ms = int((blind_s or 0) * 1000)
        self.kept_ms = (MAX_LIFE_S + stale_s) * 1000
        """Nothing that is cached was asked for longer ago."""
        self._held: OrderedDict[bytes, tuple[int, int]] = OrderedDict()  # name: latest hard and soft, least new first
        self._floor_ms = self._newest_ms = -1
        self._tag_ms = -WRITING_MS
        self._heard_ms = 0
        self._offset_ms = self._least_ms = 0
        self._disputed = (0, 0)
        self._begun_ms = self.now_ms()
        self.settled = not self._fed
        """Whether our clock is known to be the shared one: what is shared should not be dated before."""

    def __len__(self) -> int:
        """How many names are remembered."""
        return len(self._held)

    # the clock

    def now_ms(self) -> int:
        """The time, to date fetches and purges by."""
        now_ms = int(self._clock() * 1000) + self._offset_ms
        return max(self._least_ms, now_ms)

    def own_ms(self) -> float:
        """The time by our own clock, to compare the shared one with."""
        return self._clock() * 1000

    def shift(self, offset_ms: int) -> None:
        """Take *offset_ms* as what the shared clock is ahead of our own.

        A small step back is waited out. After a large one the times beyond it are in dispute: whatever was dated by
        the earlier clock cannot be told from what comes, and is gone.
        """
        before_ms = self.now_ms()
        self._offset_ms, self._least_ms = offset_ms, 0
        after_ms = self.now_ms()
        if before_ms > after_ms + SKEW_MS:
            self._dispute(max(after_ms, self._begun_ms - 1), before_ms)
            self._begun_ms = min(self._begun_ms, after_ms)
        elif before_ms > after_ms:
            self._least_ms = before_ms
        self.settled = True

    def _dispute(self, after_ms: int, until_ms: int) -> None:
        low, high = self._disputed
        self._disputed = (min(low, after_ms) if high else after_ms, max(high, until_ms))

    # what is learned

    def note(self, purge: Purge) -> None:
        """Remember *purge*; one dated in the future is dated now."""
        at_ms = self._sane(purge.at_ms)
        if purge.subject is Subject.ALL:
            self.raise_floor(at_ms)
            return
        hard_ms, soft_ms = self._held.pop(purge.name, (-1, -1))
        self._held[purge.name] = (hard_ms, max(soft_ms, at_ms)) if purge.soft else (max(hard_ms, at_ms), soft_ms)
        self._newest_ms = max(self._newest_ms, at_ms)
        if purge.subject is Subject.TAG:
            self._tag_ms = max(self._tag_ms, at_ms)
        self._forget()

    def raise_floor(self, at_ms: int) -> bool:
        """Let nothing that was asked for until *at_ms* be valid; tell whether that is news."""
        at_ms = self._sane(at_ms)
        if at_ms <= self._floor_ms:
            return False
        self._floor_ms = at_ms
        self._newest_ms = max(self._newest_ms, at_ms)
        return True

    def heard(self, at_ms: int) -> None:
        """All purges until *at_ms* are known."""
        self._heard_ms = max(self._heard_ms, min(at_ms, self.now_ms()))

    def silence_s(self) -> float:
        """For how long nothing was heard; since the beginning, where nothing ever was."""
        return max(0, self.now_ms() - max(self._heard_ms, self._begun_ms)) / 1000

    def _sane(self, at_ms: int) -> int:
        now_ms = self.now_ms()
        return now_ms if at_ms > now_ms + SKEW_MS else at_ms

    def _forget(self) -> None:
        oldest_ms = self.now_ms() - self.kept_ms  # nothing that was asked for before lives any more
        while self._held:
            name, times = next(iter(self._held.items()))
            if len(self._held) <= self._most and max(times) >= oldest_ms:
                return
            del self._held[name]
            self.raise_floor(max(times))

    # what is asked

    def judge(self, entry: Entry | Failure, key: str) -> Verdict:
        """What may be done with *entry*, held under the result key *key*; a failure is never stale, but gone."""
        verdict = self._verdict(entry.asked_ms, entry.source_key, key, entry.tags)
        return _GONE if verdict is _STALE and isinstance(entry, Failure) else verdict

    def allows(self, source_key: str, asked_ms: int, *, key: str = "", tags: tuple[str, ...] = ()) -> bool:
        """Whether a source that was asked for at *asked_ms* may be used, for the rendition *key* with *tags*."""
        return self._verdict(asked_ms, source_key, key, tags) is _VALID

    def knows_tags(self, seen_ms: int) -> bool:
        """Whether a copy can be judged by its own tags that was the same as the shared one at *seen_ms*.

        Not where a tag was purged since: another node may have given it to the entry meanwhile.
        """
        return not self._fed or seen_ms > self._tag_ms + WRITING_MS

    def _verdict(self, asked_ms: int, source_key: str, key: str, tags: tuple[str, ...]) -> Verdict:
        if self._fed and self._doubtful(asked_ms):
            return _GONE
        if asked_ms > self._newest_ms:  # nearly always: no name has to be digested
            return _VALID
        if asked_ms <= self._floor_ms:
            return _GONE
        times = [self._purged(Subject.SOURCE, source_key), self._purged(Subject.KEY, key)]
        times += [self._tagged(tag) for tag in tags]
        if any(asked_ms <= hard_ms for hard_ms, _ in times):
            return _GONE
        return _STALE if any(asked_ms <= soft_ms for _, soft_ms in times) else _VALID

    def _tagged(self, tag: str) -> tuple[int, int]:
        layer = tag.removeprefix(OF_LAYER)
        return self._purged(Subject.TAG, tag) if layer == tag else self._purged(Subject.SOURCE, layer)

    def _purged(self, subject: Subject, name: str) -> tuple[int, int]:
        return self._held.get(digest(subject, name), (-1, -1))

    def _doubtful(self, asked_ms: int) -> bool:
        """Whether a time is of another clock, or too long ago for one who has not heard of purges lately."""
        now_ms = self.now_ms()
        low_ms, high_ms = self._disputed
        if low_ms < asked_ms <= high_ms or asked_ms > now_ms + SKEW_MS:
            return True
        return now_ms - asked_ms > self._blind_ms and now_ms - self._heard_ms > self._blind_ms
