"""Ask Redis within a bound, and leave it alone while it is unwell.

Keys     whole names of keys; in a Cluster each server has a `Health` of its own.
Units    seconds of a monotonic clock.
Errors   `Away` where there is no answer, whatever the reason; `Odd` where the value is of another type.
Source   redis-py 8.1: what is cancelled by our bound closes its connection.

Redis 7.0 or later is needed, or Valkey: ``PEXPIRE … GT`` and what scripts may do. Each call of a request has the whole
of `Level2.timeout_s` for connecting, writing and reading; nothing is tried twice. After a call that failed, nothing is
asked of that server for as long again (see `Breaker`). What is done behind requests has `BEHIND_S`.

At most `QUESTIONS` are asked at a time. Waiting in line for that is no fault of Redis while it answers the others: it
ends when nothing was answered for `Level2.timeout_s`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from redis.exceptions import AskError, ClusterDownError, OutOfMemoryError, ReadOnlyError, ResponseError

from imagemill.cache.breaker import Health, State
from imagemill.cache.ending import end
from imagemill.cache.redis_client import (
    Client,
    Topology,
    close,
    connect,
    hang_up,
    parse,
    secrets_of,
    server_of,
    version_of,
)
from imagemill.cache.redis_patience import LIMIT, Seats, bounded
from imagemill.cache.redis_scripts import Script, run
from imagemill.settings import Level2

T = TypeVar("T")
BEHIND_S = 1.0
QUESTIONS, QUESTIONS_BEHIND = 16, 8
"""Asked at a time by requests, and behind them: more would only wait in Redis instead of here."""
OLDEST = 7
_MAX_WORDS = 200
_REPEATED = ", with args beginning with"


class Away(Exception):
    """There is no answer."""


class Odd(Exception):
    """The value is not of the type that we store."""


class Link:
    """The one way to Redis."""

    def __init__(
        self, settings: Level2, on_state: Callable[[bool, str], None], failed: Callable[[], None],
        ticks: Callable[[], float],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._on_state = on_state
        self._count_failure = failed
        self._ticks = ticks
        self._client: Client | None = None
        self._seats, self._seats_behind = Seats(QUESTIONS), Seats(QUESTIONS_BEHIND)
        self._healths: dict[str, Health] = {}
        self._states: dict[str, State] = {}
        self._suspects: dict[str, str] = {}
        self._told = (State.WELL, "")
        self._secrets = secrets_of(settings)
        self._watch: asyncio.Task[None] | None = None

    @property
    def client(self) -> Client:
        """The client, for whoever bounds their own questions; from `start` to `close`."""
        if self._client is None:
            raise Away("closed")
        return self._client

    @property
    def well(self) -> bool:
        """Whether all of it is in use now."""
        return self._client is not None and self._told[0] is State.WELL

    async def start(self) -> None:
        """Find out how Redis is, and keep an eye on it; `SettingsError` where it cannot even be asked."""
        topology = parse(self._settings.url).topology
        # a client of a Cluster looks for a new primary only after a timeout of its own: probes wait for that
        step_s = BEHIND_S / 2 if topology is Topology.CLUSTER else None
        self._client = connect(self._settings, timeout_s=step_s)
        await self._probe("", f"{self._settings.prefix}:")
        self._watch = asyncio.create_task(self._keep_watch())

    async def close(self) -> None:
        """Ask nothing any more."""
        client, self._client = self._client, None
        if self._watch is not None:
            await end({self._watch})
        if client is not None:
            await close(client)

    def takes(self, name: str) -> bool:
        """Whether a write of the key *name* behind requests would be tried."""
        return self._client is not None and self._health(name).state is State.WELL

    async def ask(self, name: str, *command: Any, write: bool = False, **options: Any) -> Any:
        """Ask on a request's path."""
        client, health, bound_s = self.client, self._health(name), self._settings.timeout_s
        await self._sit_down(health, bound_s, write=write)
        try:
            if not health.asks(write=write):
                raise Away("left alone")
            question = client.execute_command(*command, **options)
            return await self._bounded(health, name, bound_s, question, write=write)
        finally:
            self._seats.give()

    async def behind(self, name: str, question: Callable[[Client], Coroutine[Any, Any, T]], *, write: bool = True) -> T:
        """Ask behind requests."""
        client, health = self.client, self._health(name)
        await self._seats_behind.take(lambda: BEHIND_S)
        try:
            if health.state > (State.WELL if write else State.READ_ONLY):
                raise Away("left alone")
            bound_s = max(BEHIND_S, self._settings.timeout_s)
            return await self._bounded(health, name, bound_s, question(client), write=write)
        finally:
            self._seats_behind.give()

    async def script(self, script: Script, names: tuple[str, ...], *arguments: Any) -> Any:
        """Run a script behind requests."""
        return await self.behind(names[0], lambda client: run(client, script, names, *arguments))

    async def hang_up(self) -> None:
        """An answer was not ours: close every connection, so that no later one can be somebody else's."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(self._settings.timeout_s):
                await hang_up(self.client)

    def words(self, error: BaseException) -> str:
        """What to tell people of *error*, without any secret of the settings."""
        return words(error, self._secrets)

    async def _sit_down(self, health: Health, bound_s: float, *, write: bool) -> None:
        began_s = self._ticks()

        def patience() -> float:
            answered_s = max(began_s, health.reads.well_s)
            return min(answered_s + bound_s, began_s + LIMIT * bound_s) - self._ticks()

        if not health.asks(write=write):
            raise Away("left alone")
        try:
            await self._seats.take(patience)
        except TimeoutError as e:
            raise Away("too many questions") from e

    async def _bounded(
        self, health: Health, name: str, bound_s: float, question: Awaitable[T], *, write: bool
    ) -> T:  # fmt: skip
        began_s = self._ticks()
        try:
            async with bounded(bound_s):
                answer = await question
        except Exception as e:
            self._blame(health, name, began_s, e, write=write)
            raise (Odd if type(e) is ResponseError and not write else Away)(self.words(e)) from e
        health.reads.well()
        if write:
            health.writes.well()
        return answer

    def _blame(self, health: Health, name: str, began_s: float, error: Exception, *, write: bool) -> None:
        if type(error) is ResponseError and not write:
            health.reads.well()
            return
        self._count_failure()
        self._suspects[server_of(self.client, name) if self._client else ""] = name
        if write and _refuses(error):
            health.writes.failed(began_s, self.words(error))
        else:
            health.reads.failed(began_s, self.words(error))

    def _health(self, name: str) -> Health:
        server = server_of(self.client, name)
        health = self._healths.get(server)
        if health is None:
            health = self._healths[server] = Health(
                self._settings.failures, self._settings.timeout_s, self._ticks,
                lambda state, why: self._changed(server, state, why),
            )  # fmt: skip
        return health

    def _changed(self, server: str, state: State, why: str) -> None:
        self._states[server] = state
        worst = max(self._states.values())
        if worst != self._told[0]:
            self._told = (worst, why)
            said = {State.WELL: "", State.READ_ONLY: f"refuses writes: {why}", State.AWAY: why}
            self._on_state(worst is State.WELL, said[worst])

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(self._settings.probe_s)
            for server, health in list(self._healths.items()):
                if health.state is not State.WELL:
                    await self._probe(server, self._suspects.get(server, f"{self._settings.prefix}:"))

    async def _probe(self, server: str, name: str) -> None:
        """Try what requests do on the server of the key *name*: greet, read, write."""
        name = f"{name}:probe"
        health = self._healths.get(server) or self._health(name)
        try:
            async with asyncio.timeout(max(BEHIND_S, self._settings.timeout_s)):
                _check_version(await version_of(self.client, name))
                await self.client.execute_command("GET", name)
                refused = await self._refused(name)
        except Exception as e:  # noqa: BLE001 - see `_bounded`
            health.reads.trip(self.words(e))
            return
        if refused:
            health.writes.trip(refused)
        else:
            health.writes.well()
        health.reads.well()

    async def _refused(self, name: str) -> str:
        try:
            await self.client.execute_command("SET", name, 1, "PX", 1000)
        except Exception as e:
            if _refuses(e):
                return self.words(e)
            raise
        return ""


def words(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """What to tell people of *error*: hosts may be in it, never what a server repeats of a command, nor *secrets*.

    A server that does not know ``AUTH``, an old Sentinel or one where it was renamed, repeats its arguments, cut off.
    """
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    said = f"{type(error).__name__}: {error}".partition(_REPEATED)[0]
    for secret in secrets:
        said = said.replace(secret, "***")
    return said[:_MAX_WORDS]


def _refuses(error: Exception) -> bool:
    """Whether the server is there, and only does not want to write: full, a replica, a full disk, too few replicas."""
    if isinstance(error, (OutOfMemoryError, ReadOnlyError)):
        return True
    return isinstance(error, ResponseError) and not isinstance(error, (AskError, ClusterDownError))


class _TooOld(Exception):
    """The server cannot do what we need."""

    def __str__(self) -> str:
        return f"version {self.args[0]} is too old: Redis 7.0 or later is needed, or Valkey"


def _check_version(version: str) -> None:
    major = version.partition(".")[0]
    if not (major.isdigit() and int(major) >= OLDEST):
        raise _TooOld(version)
