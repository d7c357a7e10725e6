"""Whether clearly more is asked for than can be done, and not just in a burst: pure.

A queue that has stood for a while may be a burst that is being worked off, or clients that ask again once they are
answered: then as many come as are done. Where more than half as many again come, and go on coming, the queue only makes
everybody late. So what is added up is how many came for each who was done, past that half: a crowd that comes at once
says no more than a few would, and is forgotten as it is worked off. Who comes is counted on coming, before the source
is fetched: how fetches spread a page's pictures over time says nothing of the load.
It is over once every fifth who comes finds a free slot: at three times the capacity one in ten does, at the capacity
one in three.
Units    seconds of any steady clock.
Source   CoDel (RFC 8289) for the idea that a queue is bad by how long it stands, and not by how long it is.
"""

_TOO_MANY = 1.5
"""Who comes for one who is done."""
_MOST_AT_ONCE = 6
"""So many count of those who come for one who is done."""
_SURE, _SURE_PER_SLOT = 6, 4
"""More than these past `_TOO_MANY` are no crowd: with one slot, seven who are done tell of thrice as many."""
_OF_FREE = 1 / 32
"""What the newest counts in the average: five tell of the end."""
_FREE_AGAIN = 0.2
_CALM_S = 2.0
"""Without anybody who finds no free slot for so long, it is over, too."""


class Pressure:
    """What a queue before so many *slots* is told, and what it says of the load; *burst_s* = 0: never too much."""

    def __init__(self, burst_s: float, slots: int) -> None:
        self._burst_s = burst_s
        self._sure = _SURE + _SURE_PER_SLOT * slots
        self._stood_since_s: float | None = None
        self._busy_at_s = 0.0
        self._asked = 0
        self._excess = 0.0
        self._free = 0.0
        self._overloaded = False

    def overloaded(self, now_s: float) -> bool:
        """Whether a queue is of no use now."""
        if self._overloaded and (self._free >= _FREE_AGAIN or now_s - self._busy_at_s > _CALM_S):
            self._overloaded = False
            self._forget()
        return self._overloaded

    def came(self, now_s: float) -> None:
        """One more comes, who will have to be rendered for."""
        self._asked += self._stands(now_s)

    def found(self, now_s: float, *, free: bool) -> None:
        """Whoever came finds a *free* slot, once it needs one; or none, and waits or is refused, then or before."""
        self._free += _OF_FREE * (free - self._free)
        if not free:
            self._busy_at_s = now_s
            if self._stood_since_s is None:
                self._stood_since_s = now_s

    def done(self, now_s: float, *, waiting: bool) -> None:
        """One is done; *waiting*: somebody takes its slot at once."""
        if not waiting:
            self._stood_since_s = None
        if not self._stands(now_s):
            self._forget()
            return
        self._excess = max(0.0, self._excess + min(self._asked, _MOST_AT_ONCE) - _TOO_MANY)
        self._asked = 0
        if self._excess > self._sure and not self._overloaded:
            self._overloaded = True
            self._free = _FREE_AGAIN / 2

    def _stands(self, now_s: float) -> bool:
        since_s = self._stood_since_s
        return self._burst_s > 0 and since_s is not None and now_s - since_s >= self._burst_s

    def _forget(self) -> None:
        self._asked = 0
        self._excess = 0.0
