"""Share the attempts among receivers: so many each, so many in all, and half of those for receivers that answer.

Of the other half, receivers of one tenant that are not known to answer have no more than half: names cost nothing, and
whoever makes up a thousand that hang keeps no other tenant's new receiver waiting.

Units    seconds of a monotonic clock, given by the caller.
Errors   none: who has to wait is told for how long.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from imagemill.jobs.base import Again, Later
from imagemill.jobs.retry import SCHEDULE_S
from imagemill.settings import Callbacks

MAX_ENDPOINTS = 4096
MIN_WAIT_S = 0.05
MAX_WAIT_S = 30.0
PROBED_S = 1.0
"""When to ask again while one attempt finds out whether a receiver is back."""
GIVEN_UP_S = float(sum(SCHEDULE_S))
"""Who has failed for so long is not waited for."""
_FIRST_GUESS_S = 0.5
_NEW = 0.25
"""Weight of the latest attempt in how long one takes."""


@dataclass(slots=True, eq=False)
class Endpoint:
    """One receiver's running attempts, and how it behaved lately."""

    tenant: str
    running: int = 0
    proven: bool = False
    """Whether its last attempt was answered."""
    failures: int = 0
    """In a row."""
    failing_since_s: float = 0.0
    shut_until_s: float = 0.0
    probing: bool = False
    took_s: float = _FIRST_GUESS_S
    """About how long an attempt takes."""
    booked_s: float = 0.0
    """When the last of those who were sent away comes back."""


class Endpoints:
    """All receivers' places."""

    def __init__(self, settings: Callbacks, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._known: OrderedDict[str, Endpoint] = OrderedDict()
        self._running = 0
        self._unproven: Counter[str] = Counter()
        """By tenant."""

    @property
    def known(self) -> int:
        """Receivers remembered now; never many more than are in use plus `MAX_ENDPOINTS`."""
        return len(self._known)

    def enter(self, address: str, tenant: str) -> "Place | Later | Again":
        """A place at *tenant*'s receiver at *address*, to be entered at once, or how long to stay away.

        Who has failed for as long as the whole schedule lasts is not waited for any longer: messages to it count
        their attempts although none is made, but for the one that looks whether it is back.
        """
        name = f"{tenant} {address}"
        endpoint = self._known.setdefault(name, Endpoint(tenant))
        self._known.move_to_end(name)
        self._forget()
        now_s = self._clock()
        if (shut_s := self._shut_s(endpoint, now_s)) > 0:
            if now_s - endpoint.failing_since_s >= GIVEN_UP_S:
                return Again("the receiver has failed for too long to be asked each time")
            return Later(shut_s)
        if endpoint.running >= self._settings.per_endpoint or self._full(endpoint):
            return Later(self._book(endpoint, now_s))
        return Place(self, endpoint)

    def begin(self, endpoint: Endpoint) -> tuple[float, bool, bool]:
        """Count one attempt; when it began, whether the receiver was proven, and whether this is its probe."""
        endpoint.running += 1
        self._running += 1
        self._unproven[endpoint.tenant] += not endpoint.proven
        probe = endpoint.failures >= self._settings.breaker_failures
        endpoint.probing = endpoint.probing or probe
        return self._clock(), endpoint.proven, probe

    def end(self, endpoint: Endpoint, begun: tuple[float, bool, bool], *, well: bool | None) -> None:
        """Count one attempt less; *well* None, it says nothing of the receiver."""
        began_s, was_proven, probe = begun
        endpoint.running -= 1
        self._running -= 1
        self._unproven[endpoint.tenant] -= not was_proven
        self._unproven += Counter()  # who has none left is forgotten
        endpoint.probing = endpoint.probing and not probe
        now_s = self._clock()
        if well is None:
            return
        endpoint.took_s += _NEW * (now_s - began_s - endpoint.took_s)
        endpoint.proven = well
        if well:
            endpoint.failures = 0
            return
        endpoint.failing_since_s = endpoint.failing_since_s if endpoint.failures else now_s
        endpoint.failures += 1
        if endpoint.failures >= self._settings.breaker_failures:
            endpoint.shut_until_s = now_s + self._settings.breaker_s

    def _shut_s(self, endpoint: Endpoint, now_s: float) -> float:
        if endpoint.failures < self._settings.breaker_failures:
            return 0.0
        return max(endpoint.shut_until_s - now_s, PROBED_S if endpoint.probing else 0.0)

    def _full(self, endpoint: Endpoint) -> bool:
        most, own = self._settings.total, self._unproven[endpoint.tenant]
        if self._running >= most or endpoint.proven:
            return self._running >= most
        # however many receivers hang, those that answer have the other half
        return self._unproven.total() >= max(1, most // 2) or own >= max(1, most // 4)

    def _book(self, endpoint: Endpoint, now_s: float) -> float:
        """Send those who are too many back one after the other, about as fast as places come free."""
        endpoint.booked_s = max(endpoint.booked_s, now_s) + endpoint.took_s / self._settings.per_endpoint
        return min(MAX_WAIT_S, max(MIN_WAIT_S, endpoint.booked_s - now_s))

    def _forget(self) -> None:
        if len(self._known) <= MAX_ENDPOINTS:
            return
        latest = next(reversed(self._known))
        idle = [(e.proven, name) for name, e in self._known.items() if not e.running and name != latest]
        if idle:
            _, name = min(idle, key=lambda one: one[0])  # the oldest that is not proven, else the oldest
            del self._known[name]


class Place:
    """The right to one attempt at one receiver; say how it went, or nothing where it says nothing of the receiver."""

    def __init__(self, endpoints: Endpoints, endpoint: Endpoint) -> None:
        self._endpoints = endpoints
        self._endpoint = endpoint
        self._well: bool | None = None

    def well(self) -> None:
        """It answered, and is up."""
        self._well = True

    def unwell(self) -> None:
        """It did not answer, or is not up."""
        self._well = False

    def __enter__(self) -> Self:
        self._begun = self._endpoints.begin(self._endpoint)
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _at: TracebackType | None) -> None:
        self._endpoints.end(self._endpoint, self._begun, well=self._well)
