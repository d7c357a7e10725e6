"""One worker process as the front holds it: its memory, its words, its life.

Memory   memfds are sealed against shrinking and growing, so that no worker can make the front fault (SIGBUS).
         The source is not sealed against writing: that would also forbid giving its pages back (MADV_REMOVE).
Errors   `WorkerDied` when it is gone, or says what no worker of ours says.
"""

import asyncio
import fcntl
import mmap
import os
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

import msgspec

from imagemill.engines import wire
from imagemill.engines.base import NO_LAYERS, Layers, Task
from imagemill.model.errors import BadRequest, SettingsError

_CPU_CLOCK = 2  # clock_getcpuclockid(3) of another process, CPUCLOCK_SCHED
_KEEP_BYTES = 4 * 1024 * 1024
_KEEP_S = 0.5
"""So long after a large source its memory is kept: under load the next one comes before, and finds the pages there."""
_REST_S = 10.0
"""And so long after a small one."""
_READY_S = 20.0
_LAST_WORDS_S = 2.0
_MOST_UNHEARD = 16
"""Words of a worker that nobody asked for; ours says one at a time."""
_ENVIRONMENT = {
    # huge pages where the system lends them on request: the coefficients of a progressive JPEG are tens of MB that are
    # touched once, and to be given them in pieces of 4 KiB took a fifth of its CPU
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",  # one pipeline runs at a time: a second arena keeps as much again for the next
    # fixed, or glibc raises both with the largest picture and keeps its memory for good; lower ones cost page faults
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "50331648",  # the next large picture finds what the last one took; the idle give it back
    "OPENBLAS_NUM_THREADS": "1",  # NumPy brings it along, and nothing here multiplies matrices
    "VIPS_BLOCK_UNTRUSTED": "1",
    "VIPS_CONCURRENCY": "1",
    # past it libvips decodes through a file, of which a worker may have none: memory is bounded by other means
    "VIPS_DISC_THRESHOLD": "100g",
    "VIPS_WARNING": "0",
}


class WorkerDied(Exception):
    """The worker is gone, or talks nonsense."""

    of_job = True
    """Whether it had taken the job it was given."""
    silent = False
    """Whether it simply ended, rather than talked nonsense."""
    killed = False
    """Whether it ended by a SIGKILL that was not ours."""
    layer = 0
    """See `Process.layer`."""

    @classmethod
    def silently(cls) -> "WorkerDied":
        """It closed its end without a word."""
        death = cls()
        death.silent = True
        return death


class Process:
    """A worker."""

    def __init__(self, popen: subprocess.Popen[bytes], words: socket.socket, source: mmap.mmap, output: mmap.mmap,
                 last_words: int) -> None:  # fmt: skip
        self._popen = popen
        self._words = words
        self._source = source
        self._output = output
        self._last_words = last_words
        self._touched = 0
        self._giving_back: asyncio.TimerHandle | None = None
        self._expected = 0
        self._cpu_before_s = 0.0
        self._inbox: deque[bytes] = deque()
        self._ended = self._silent = False
        self._heard: asyncio.Future[None] | None = None
        self._died: Callable[[], None] | None = None
        # for as long as it lives: to come and go with each answer took four calls of the system a job
        asyncio.get_running_loop().add_reader(words, self._on_word)
        self.jobs = 0
        self.private_bytes = 0

    @classmethod
    def spawn(cls, command: list[str], setup: wire.Setup) -> "Process":
        """Start a worker; it is usable after `ready`.

        Called in the loop, from the main thread: the worker asks to die with the thread that started it.
        """
        with ExitStack() as theirs, ExitStack() as ours:
            words, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(words.close)
            theirs.callback(far_end.close)
            words.setblocking(False)  # noqa: FBT003 - the name says it
            fds = [far_end.fileno()]
            maps = []
            for name, size in (("source", setup.source_area), ("output", setup.output_area)):
                fd, area = _memory(name, size)
                theirs.callback(os.close, fd)
                ours.callback(area.close)
                fds.append(fd)
                maps.append(area)
            last_words = os.memfd_create("stderr", os.MFD_CLOEXEC)
            ours.callback(os.close, last_words)
            popen = subprocess.Popen(  # noqa: S603 - our own interpreter, our own line
                [*command, *map(str, fds)], pass_fds=fds, env=_ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=last_words, start_new_session=True,
            )  # fmt: skip
            with suppress(OSError):  # gone already: `ready` will say why
                words.send(wire.write(setup))
            ours.pop_all()
        return cls(popen, words, maps[0], maps[1], last_words)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._popen.poll() is not None

    @property
    def last_of_job(self) -> bool:
        """Whether the last answer heard was the last that the job gives."""
        return self._expected == 0

    async def ready(self) -> wire.Ready:
        """Wait for the worker's first word, or raise `SettingsError` with its last."""
        try:
            async with asyncio.timeout(_READY_S):
                message = await self._hear()
        except (WorkerDied, TimeoutError) as e:
            if isinstance(e, WorkerDied):  # it hangs up first, and says why after
                await self._over(_LAST_WORDS_S)
            raise SettingsError(f"a worker did not start: {self._said()}") from e
        if not isinstance(message, wire.Ready):
            raise SettingsError("a worker did not start: it said something else")
        return message

    def offer(self, source: bytes, tasks: Sequence[Task], layers: Layers = NO_LAYERS) -> bool:
        """Hand a job over, and say so; nothing is begun where it is refused.

        Raises:
            BadRequest: the tasks do not fit into one packet.
        """
        parts = tuple(wire.Part(name, len(body)) for name, body in layers.items())
        packet = wire.write(wire.Job(len(source), tuple(tasks), parts))
        if len(packet) > wire.MAX_PACKET:
            raise BadRequest(f"{len(tasks)} renditions are too many for one run")
        self.unwatch()
        self._keep()
        self._cpu_before_s = self._cpu_s()
        end = 0
        for body in (source, *layers.values()):
            self._source[end : end + len(body)] = body
            end += len(body)
        self._output[0] = wire.OFFERED
        self._touched = max(self._touched, end)
        self._expected = len(tasks)
        self.jobs += 1
        self._send(packet)
        return True

    @property
    def taken(self) -> bool:
        """Whether the worker began with the job it was offered; known even after its death."""
        return self._output[0] != wire.OFFERED

    @property
    def layer(self) -> int:
        """Which layer it was reading, from 1 on; 0 = none. Its own word, and so for no more than whom to blame."""
        return max(0, self._output[0] - wire.LAYER + 1)

    def job_cpu_s(self) -> float:
        """CPU that the job has taken so far."""
        return self._cpu_s() - self._cpu_before_s

    def _cpu_s(self) -> float:
        try:
            return time.clock_gettime((~self.pid << 3) | _CPU_CLOCK)
        except OSError:  # it is gone
            return 0.0

    def proceed(self) -> None:
        """Let the worker overwrite the rendition that was just taken."""
        self._send(wire.write(wire.Next()))

    async def answer(self) -> wire.Ready | wire.Done | wire.Failed:
        """The worker's next word on the job."""
        message = await self._hear()
        if isinstance(message, wire.Done | wire.Failed):
            self.private_bytes = message.private_bytes
            self._touched = max(self._touched, message.length if isinstance(message, wire.Done) else 0)
            self._expected = self._expected - 1 if isinstance(message, wire.Done) else 0
        if self._expected == 0:
            self._keep()
            rest_s = _KEEP_S if self._touched > _KEEP_BYTES else _REST_S
            self._giving_back = asyncio.get_running_loop().call_later(rest_s, self._give_back)
        return message

    def output(self, length: int) -> bytes:
        """A copy of the first *length* bytes of the output memory."""
        if not 0 < length <= len(self._output):
            raise WorkerDied
        return self._output[:length]

    def watch(self, died: Callable[[], None]) -> None:
        """Call *died* once the worker, idle, closes its end or speaks unasked."""
        self._died = died
        if self._inbox or self._ended:
            asyncio.get_running_loop().call_soon(self._tell)

    def unwatch(self) -> None:
        """Stop watching."""
        self._died = None

    def kill(self) -> None:
        """End the worker now; `gone` waits for it, and whoever hears it hears `WorkerDied`."""
        self.unwatch()
        self._keep()
        self._popen.kill()
        self._hang_up()
        self._words.close()
        if self._heard and not self._heard.done():
            self._heard.set_result(None)

    async def _over(self, most_s: float) -> None:
        """Wait until the process has ended, but no longer than *most_s*."""
        until_s = time.monotonic() + most_s
        while self._popen.poll() is None and time.monotonic() < until_s:  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.005)

    async def gone(self) -> int:
        """Wait until the process is reaped, let its memory go, and tell how it ended, as `subprocess` does."""
        while (code := self._popen.poll()) is None:  # noqa: ASYNC110 - a child's end is no event of the loop
            await asyncio.sleep(0.005)
        if self._last_words >= 0:
            os.close(self._last_words)
            self._last_words = -1
            self._source.close()
            self._output.close()
        return code

    def _keep(self) -> None:
        """Let no page be given back under a job."""
        if self._giving_back:
            self._giving_back.cancel()
            self._giving_back = None

    def _give_back(self) -> None:
        """Return the pages of the last source and answer to the system."""
        self._source.madvise(mmap.MADV_REMOVE)
        self._output.madvise(mmap.MADV_REMOVE)
        self._touched = 0

    def _send(self, packet: bytes) -> None:
        try:
            self._words.send(packet)
        except OSError as e:
            raise WorkerDied from e

    async def _hear(self) -> wire.Ready | wire.Done | wire.Failed:
        if self._words.fileno() < 0:
            raise WorkerDied
        if not self._inbox and not self._ended:
            self._heard = asyncio.get_running_loop().create_future()
            try:
                await self._heard
            finally:
                self._heard = None
        if not self._inbox:
            raise WorkerDied.silently() if self._silent else WorkerDied
        try:
            return wire.heard_from_worker(self._inbox.popleft())
        except msgspec.MsgspecError as e:
            raise WorkerDied from e

    def _on_word(self) -> None:
        """Take what the worker said, and wake whoever waits for it."""
        try:
            packet = self._words.recv(wire.MAX_PACKET)
            self._silent = not packet
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if packet:
            self._inbox.append(packet)
        if not packet or len(self._inbox) > _MOST_UNHEARD:  # it is gone, or talks without end
            self._ended = True
            self._hang_up()
        if self._heard and not self._heard.done():
            self._heard.set_result(None)
        else:
            self._tell()

    def _tell(self) -> None:
        died, self._died = self._died, None
        if died:
            died()

    def _hang_up(self) -> None:
        if self._words.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._words)

    def _said(self) -> str:
        size = os.fstat(self._last_words).st_size
        text = os.pread(self._last_words, 2000, max(0, size - 2000)).decode("utf-8", "replace").strip()
        return text.rsplit("\n", 1)[-1] if text else "no word from it"


def _memory(name: str, size: int) -> tuple[int, mmap.mmap]:
    """An anonymous file that stays *size* bytes long, and a writable map of it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd, mmap.mmap(fd, size)
