"""Share fetches between hosts: so many each, so many together, and none for a host that keeps failing.

Units    seconds of a monotonic clock, given by the caller.
Errors   `Overloaded` when too much runs or waits; `DependencyDown` while a host's breaker is open, or
         `SourceForbidden` where it was opened by refused connections: refused and blocked answer alike.
"""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from imagemill.model.errors import DependencyDown, Overloaded, SourceForbidden
from imagemill.settings import Fetch

MAX_HOSTS = 4096


@dataclass(slots=True)
class Host:
    """One host's running and waiting fetches, and its recent faults."""

    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    failures: int = 0
    refused: bool = False
    shut_until_s: float = 0.0
    probing: bool = False

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits here."""
        return not self.running and not self.waiting


class Turn:
    """The right to one fetch; tell it how the host behaved. Silence (cancelled, overloaded) says nothing."""

    def __init__(self, host: Host, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._host = host
        self._fetch = fetch
        self._clock = clock

    def well(self) -> None:
        """The host answered: whatever it said, it is up."""
        self._host.failures = 0

    def unwell(self, *, refused: bool) -> None:
        """Count one fault; enough of them in a row shut the host out for a while."""
        self._host.failures += 1
        self._host.refused = refused
        if self._host.failures >= self._fetch.breaker_failures:
            self._host.shut_until_s = self._clock() + self._fetch.breaker_s


class Turns:
    """All hosts' turns."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._hosts: OrderedDict[str, Host] = OrderedDict()
        self._running = 0

    @property
    def running(self) -> int:
        """Fetches that hold a turn now."""
        return self._running

    @property
    def hosts(self) -> int:
        """Hosts remembered now; never many more than are in use plus `MAX_HOSTS`."""
        return len(self._hosts)

    @asynccontextmanager
    async def take(self, name: str) -> AsyncIterator[Turn]:
        """Wait for a turn at host *name*, and give it back at the end, however that comes."""
        host = self._hosts.setdefault(name, Host())
        self._hosts.move_to_end(name)
        self._refuse_if_shut(host)
        try:
            await self._enter(host)
            try:
                probe = self._admit(host)
                try:
                    yield Turn(host, self._fetch, self._clock)
                finally:
                    self._running -= 1
                    host.probing = host.probing and not probe
            finally:
                _leave(host)
        finally:
            self._forget(name, host)

    def _refuse_if_shut(self, host: Host) -> None:
        if host.failures < self._fetch.breaker_failures:
            return
        left_s = host.shut_until_s - self._clock()
        if left_s <= 0 and not host.probing:
            return
        if host.refused:
            raise SourceForbidden("refused connections lately", unreachable=True)
        raise DependencyDown("the source's host keeps failing", max(1, math.ceil(left_s)))

    def _admit(self, host: Host) -> bool:
        """Take a place among all, and say whether this is the one probe of a shut host."""
        self._refuse_if_shut(host)
        if self._running >= self._fetch.total:
            raise Overloaded(f"{self._running} fetches are running")
        self._running += 1
        probe = host.failures >= self._fetch.breaker_failures
        host.probing = host.probing or probe
        return probe

    async def _enter(self, host: Host) -> None:
        if host.running < self._fetch.per_host:
            host.running += 1
            return
        if len(host.waiting) >= self._fetch.per_host_queue:
            raise Overloaded(f"{len(host.waiting)} fetches are waiting for this host")
        place = asyncio.get_running_loop().create_future()
        host.waiting.append(place)
        try:
            async with asyncio.timeout(self._fetch.total_s):
                await place
        except BaseException as e:
            if place.done() and not place.cancelled():
                _leave(host)  # the turn came while we were leaving: hand it on
            elif place in host.waiting:
                host.waiting.remove(place)
            if isinstance(e, TimeoutError):
                raise Overloaded("no turn at this host in time") from None
            raise

    def _forget(self, name: str, host: Host) -> None:
        if host.idle and not host.failures:
            self._hosts.pop(name, None)
        if len(self._hosts) > MAX_HOSTS:
            oldest = next((n for n, h in self._hosts.items() if h.idle), None)
            if oldest is not None:
                del self._hosts[oldest]


def _leave(host: Host) -> None:
    while host.waiting:
        place = host.waiting.popleft()
        if not place.done():
            place.set_result(None)  # running stays: the place changes hands
            return
    host.running -= 1
