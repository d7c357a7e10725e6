"""Leave alone what keeps failing: pure, with the clock given.

Units    seconds of a monotonic clock.
Errors   none.
"""

from collections.abc import Callable
from enum import IntEnum


class Breaker:
    """Closed while things go well; after *failures* in a row it opens, and stays open until `well` is said.

    After a failure nothing is asked for *grace_s*, so that a request which has just lost its time does not lose it
    again with its next question. A failure means nothing where something has succeeded since it began: a burst of our
    own that makes some wait too long does not speak against who answers the others.
    """

    def __init__(
        self, failures: int, grace_s: float, clock: Callable[[], float], changed: Callable[[], None] = lambda: None
    ) -> None:
        self._most = failures
        self._grace_s = grace_s
        self._clock = clock
        self._changed = changed
        self._failures = 0
        self._quiet_until_s = -1.0
        self.well_s = -1.0
        """When an answer last came."""
        self._open = False
        self.why = ""
        """Why it is open."""

    @property
    def open(self) -> bool:
        """Whether somebody has to find out, apart from any request, that all is well again."""
        return self._open

    @property
    def asks(self) -> bool:
        """Whether a request may ask now."""
        return not self._open and self._clock() >= self._quiet_until_s

    def well(self) -> None:
        """An answer came: close."""
        self._failures = 0
        self.well_s = self._clock()
        if self._open:
            self._open = False
            self._quiet_until_s = self.well_s
            self.why = ""
            self._changed()

    def failed(self, began_s: float, why: str) -> None:
        """What began at *began_s* failed: count it, and open when it is enough."""
        if began_s < self.well_s:
            return
        self._quiet_until_s = self._clock() + self._grace_s
        self._failures += 1
        if self._failures >= self._most:
            self.trip(why)

    def trip(self, why: str) -> None:
        """Open at once."""
        if not self._open:
            self._open = True
            self.why = why
            self._changed()


class State(IntEnum):
    """How a server is, from good to bad."""

    WELL = 0
    READ_ONLY = 1
    AWAY = 2


class Health:
    """One server's two breakers: it may answer reads and refuse writes (full, or a replica).

    *changed* hears of every change of the state, once.
    """

    def __init__(
        self, failures: int, grace_s: float, clock: Callable[[], float], changed: Callable[[State, str], None]
    ) -> None:
        self.reads = Breaker(failures, grace_s, clock, self._look)
        self.writes = Breaker(failures, grace_s, clock, self._look)
        self._changed = changed
        self._told = State.WELL

    @property
    def state(self) -> State:
        """How it is now."""
        if self.reads.open:
            return State.AWAY
        return State.READ_ONLY if self.writes.open else State.WELL

    def asks(self, *, write: bool) -> bool:
        """Whether a request may read, or write, now."""
        return self.reads.asks and (self.writes.asks or not write)

    def _look(self) -> None:
        if self.state != self._told:
            self._told = self.state
            self._changed(self._told, self.reads.why or self.writes.why)
