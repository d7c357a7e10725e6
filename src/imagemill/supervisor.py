"""Keep one job process alive beside `serve`: start it, hear that it is well, and replace it where it is not.

It never outlives `serve`: it asks the kernel to die with it, and sees the link between them end. Whatever happens to
it, `serve` goes on answering and accepting jobs, for those lie in the engine's file and wait.
Units    ``_s`` seconds of the loop's own turns: while `serve` itself stands still, nobody is taken for silent.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from imagemill.configuration import PREFIX
from imagemill.job_link import REFUSED, SILENT_S, Beat, LinkBroken, hear, tell_settings
from imagemill.obs.logs import Log
from imagemill.settings import Settings

COMMAND = (sys.executable, "-P", "-m", "imagemill", "worker", "--supervised")
_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
_LONG_LIFE_S = 60.0
"""Whoever has lived so long is begun anew without a wait."""
_TICK_S = 1.0
_LAST_WORDS_S = 5.0
_MAX_LINE_BYTES = 64 * 1024
_GRACE_MORE_S = 3.0
_POLL_S = 0.02


class Supervisor:
    """The job process of this node, from the side of `serve`."""

    def __init__(
        self,
        settings: Settings,
        *,
        relay: Callable[[bytes], None],
        count: Callable[[str], None] = lambda _reason: None,
        free: Callable[[], bool] = lambda: True,
        command: Sequence[str] = COMMAND,
        silent_s: float = SILENT_S,
    ) -> None:
        """*relay* takes each line of its log, *free* says whether the directory is nobody's just now."""
        self._settings = settings
        self._relay = relay
        self._count = count
        self._free = free
        self._command = command
        self._silent_s = silent_s
        self._log = Log("imagemill.jobs")
        self._popen: subprocess.Popen[bytes] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._beat = Beat()
        self._unheard_s = 0.0
        self._stopping = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether a job process of ours takes jobs."""
        return self._beat.working

    @property
    def pid(self) -> int | None:
        """Of the job process, where there is one."""
        return self._popen.pid if self._popen else None

    def metrics(self) -> bytes:
        """What the job process last told of itself; nothing while there is none."""
        return self._beat.metrics.encode()

    def start(self) -> None:
        """Begin to keep a job process alive; whether one comes up is not waited for."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    def begin_stop(self) -> None:
        """Ask it to finish or hand back what it is at, and start no other."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    async def close(self) -> None:
        """Wait until it has ended, for as long as its grace lasts; then end it."""
        self.begin_stop()
        if self._keeping:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.jobs.grace_s + _GRACE_MORE_S):
                    await asyncio.shield(self._keeping)
            self._signal(signal.SIGKILL)
            await self._keeping

    async def _keep(self) -> None:
        short_lives = 0
        while not self._stopping.is_set():
            lived_s, code, why = await self._one()
            if self._stopping.is_set():
                return
            if code == REFUSED:
                await self._until_free()
                continue
            short_lives = 0 if lived_s >= _LONG_LIFE_S else short_lives + 1
            wait_s = _BACKOFF_S[min(short_lives, len(_BACKOFF_S)) - 1] if short_lives else 0.0
            self._count(why)
            self._log.warning("the job process ended", reason=why, status=code, again_in_s=wait_s)
            await self._pause(wait_s)

    async def _one(self) -> tuple[float, int, str]:
        """As `_life`; what should not happen to it must not end all the others."""
        try:
            return await self._life()
        except Exception as e:  # noqa: BLE001 - told, and begun anew
            self._log.failure("the job process could not be kept", e)
            return 0.0, -1, "start"

    async def _until_free(self) -> None:
        """Jobs of this directory are done by the process that another `serve`, or `imagemill worker`, has there."""
        self._log.info(
            "another process does the jobs of this directory; they are accepted here all the same",
            then="this node takes over once that one is gone",
        )
        while not self._stopping.is_set():
            await self._pause(2 * _TICK_S)
            with suppress(OSError):  # it cannot be looked at just now
                if self._free():
                    return

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _life(self) -> tuple[float, int, str]:
        """One process from its start to its end: how long it lived, its exit status, and why it ended."""
        loop = asyncio.get_running_loop()
        begun, self._unheard_s = loop.time(), 0.0
        try:
            popen, link, words = self._spawn()
        except OSError as e:
            self._log.error("the job process did not start", reason=e.strerror)
            return 0.0, -1, "start"
        self._popen = popen
        relaying = asyncio.create_task(self._relay_lines(words))
        try:
            why = await self._heed(link)
            code = await self._gone(popen)
        finally:
            popen.kill()
            self._popen, self._beat = None, Beat()
            with suppress(TimeoutError):
                await asyncio.wait_for(relaying, _LAST_WORDS_S)
        return loop.time() - begun, code, why or ("ended" if code == 0 else "crash")

    def _spawn(self) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
        """Start it, from the main thread: it asks to die with the thread that started it."""
        ours, theirs = socket.socketpair()
        words, end_of_words = os.pipe()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        try:
            popen = subprocess.Popen(  # noqa: S603 - our own interpreter, our own command
                [*self._command, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=end_of_words, start_new_session=True,
            )  # fmt: skip
        except OSError:
            ours.close()
            os.close(words)
            raise
        finally:
            theirs.close()
            os.close(end_of_words)
        return popen, ours, words

    async def _heed(self, link: socket.socket) -> str:
        """Take its signs of life until there are no more; why it had to be killed, if it had to be."""
        reader, writer = await asyncio.open_unix_connection(sock=link)
        hearing = asyncio.create_task(self._hear(reader, writer))
        try:
            while not hearing.done():
                await asyncio.wait({hearing}, timeout=_TICK_S)
                self._unheard_s += _TICK_S
                if self._unheard_s > self._silent_s:
                    self._log.error("the job process is silent, and is killed", silent_s=self._silent_s)
                    self._signal(signal.SIGKILL)
                    return "silent"
        finally:
            hearing.cancel()
            writer.close()
        return ""

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(LinkBroken):
            await tell_settings(writer, self._settings)
            while True:
                self._beat = await hear(reader)
                self._unheard_s = 0.0

    async def _gone(self, popen: subprocess.Popen[bytes]) -> int:
        """Its exit status; it has let go of the link, so it has little time left."""
        turns = int(_LAST_WORDS_S / _POLL_S)
        while (code := popen.poll()) is None:
            await asyncio.sleep(_POLL_S)
            turns -= 1
            if not turns:
                popen.kill()
        return code

    async def _relay_lines(self, words: int) -> None:
        """Pass its log on, line by line: two processes that write into one pipe would break each other's lines."""
        reader = asyncio.StreamReader(limit=_MAX_LINE_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(words, "rb"))
        try:
            while line := await _line(reader):
                self._say(line.strip())
        finally:
            transport.close()

    def _say(self, line: bytes) -> None:
        if not line:
            return
        if line.startswith(b"{") or self._settings.log.format == "pretty":
            self._relay(line)
        else:  # the interpreter's own last words
            self._log.warning("the job process says", words=line)

    def _signal(self, number: int) -> None:
        if self._popen and self._popen.poll() is None:
            self._popen.send_signal(number)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, its end included; nothing at the end of all. A line that is too long is left out."""
    while True:
        try:
            return await reader.readline()
        except ValueError:  # the reader has thrown it away
            continue
