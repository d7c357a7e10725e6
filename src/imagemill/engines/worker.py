"""A worker process: receives a source and tasks, returns renditions; gives its rights up before the first byte.

Started  as ``python -c`` by `engines.pool`, with an environment of only the names set there.
Memory   two memfds: the source, mapped read-only, and the output; both sealed against changes of size.
Errors   leave as `wire.Failed` with the code of the error tree; anything unforeseen leaves as ``image_corrupt``, or as
         ``limit_exceeded`` where memory ran out.
"""

import codecs
import logging
import mmap
import os
import socket
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from imagemill import heap
from imagemill.engines import faces, judging, sandbox, scaler, wire
from imagemill.engines.decoded import pyvips
from imagemill.engines.decoders import heic, jxl
from imagemill.engines.decoders.base import MORE_MEMORY, ran_out
from imagemill.engines.description.profile import ENCODING as PROFILES
from imagemill.engines.headers import probe
from imagemill.engines.layers import Given
from imagemill.engines.operations.lettering import Lettering
from imagemill.engines.svg.text import encodings
from imagemill.engines.vips import Vips
from imagemill.model.errors import ImagemillError, LimitExceeded
from imagemill.model.media import Rendition
from imagemill.model.source import SourceRef
from imagemill.plan.policy import check_source

_PAGE = os.sysconf("SC_PAGE_SIZE")
_IDLE_S = 10.0
"""So long without a job, a worker returns the memory that it keeps for the next one."""
_KEEP_S = 5.0
"""And so long under load, what the jobs since then have left: they differ, and each would keep its most for good."""


def main(words_fd: int, source_fd: int, output_fd: int, engine: type[Vips] = Vips) -> None:
    """Serve jobs from the socket *words_fd* until it closes."""
    with socket.socket(fileno=words_fd) as words:
        setup = wire.heard_from_front(words.recv(wire.MAX_PACKET))
        assert isinstance(setup, wire.Setup)
        source = mmap.mmap(source_fd, setup.source_area, mmap.MAP_SHARED, mmap.PROT_READ)
        output = mmap.mmap(output_fd, setup.output_area)
        memory = os.open("/proc/self/statm", os.O_RDONLY)
        os.close(source_fd)
        os.close(output_fd)
        lettering = Lettering(setup.fonts, setup.limits.output_pixels)
        lettering.before_confinement()
        vips = engine(setup.limits, setup.engine, lettering)
        if setup.engine.quality_auto:
            judging.load()
        load_codecs()
        versions = _versions()  # read from files that are out of reach from here on
        sandbox.enter(
            sandbox.Confinement(setup.engine.address_space_bytes, setup.limits.output_bytes, setup.parent_pid)
        )
        lettering.check()
        logging.disable()  # nobody reads it, and pyvips has libvips tell it of every name that it looks up
        heap.settle()
        words.send(wire.write(wire.Ready(versions)))
        Worker(words, memoryview(source), output, memory, setup, vips).serve()


def load_codecs() -> None:
    """Have what decodes texts of strangers at hand: Python imports a codec where it is first used, out of files."""
    for encoding in (*encodings(), PROFILES):
        codecs.lookup(encoding)


class Worker:
    """The loop of one worker."""

    def __init__(
        self, words: socket.socket, source: memoryview, output: mmap.mmap, memory: int, setup: wire.Setup, vips: Vips
    ) -> None:
        self._words = words
        self._source = source
        self._output = output
        self._memory = memory
        self._limits = setup.limits
        self._vips = vips
        self._trimmed_s = time.monotonic()

    def serve(self) -> None:
        """Do jobs until the front is gone."""
        while packet := self._next_packet():
            message = wire.heard_from_front(packet)
            assert isinstance(message, wire.Job)
            self._output[0] = wire.TAKEN
            sandbox.budget_cpu(self._limits.cpu_s)
            try:
                self._job(message)
            except ImagemillError as e:
                limit = e.limit if isinstance(e, LimitExceeded) else ""
                self._fail(e.code, str(e), limit, e.layer)
            except Exception as e:  # noqa: BLE001 - whatever a decoder's binding raises, the next job must be served
                self._fail_unforeseen(e)

    def _next_packet(self) -> bytes:
        if time.monotonic() - self._trimmed_s > _KEEP_S:
            self._give_back()
        self._words.settimeout(_IDLE_S)
        try:
            return self._words.recv(wire.MAX_PACKET)
        except TimeoutError:
            self._give_back()
        finally:
            self._words.settimeout(None)
        return self._words.recv(wire.MAX_PACKET)

    def _give_back(self) -> None:
        heap.trim()
        self._trimmed_s = time.monotonic()

    def _job(self, job: wire.Job) -> None:
        begun, cpu = time.perf_counter(), time.process_time()
        source = self._source[: job.length]
        info = probe(source)
        check_source(info, self._limits)
        probed = time.perf_counter()
        made = self._vips.run(source, info, job.tasks, Given(self._layers(job), self._reading))
        for last, rendition in _with_last(made, len(job.tasks)):
            done = time.perf_counter()
            self._hand_over(rendition, probed - begun, done - probed, time.process_time() - cpu)
            if not last:
                self._next_task()
            sandbox.budget_cpu(self._limits.cpu_s)
            begun, probed, cpu = done, done, time.process_time()

    def _next_task(self) -> None:
        """Wait until the last rendition was taken: only then its memory is free again."""
        if not isinstance(wire.heard_from_front(self._words.recv(wire.MAX_PACKET)), wire.Next):
            raise SystemExit(0)
        self._output[0] = wire.TAKEN

    def _layers(self, job: wire.Job) -> dict[SourceRef, memoryview]:
        found, end = {}, job.length
        for part in job.layers:
            found[part.source] = self._source[end : end + part.length]
            end += part.length
        return found

    def _reading(self, layer: int) -> None:
        """Let the front know what is being read, should this process not live to tell; 0 = the picture itself."""
        self._output[0] = wire.LAYER + layer - 1 if layer else wire.TAKEN

    def _hand_over(self, made: Rendition, probe_s: float, render_s: float, cpu_s: float) -> None:
        self._output[: len(made.body)] = made.body
        self._say(
            wire.Done(
                len(made.body), made.format, made.etag, made.width_px, made.height_px, made.frames,
                probe_s * 1e3, render_s * 1e3, cpu_s * 1e3, self._private_bytes(), made.quality,
            )
        )  # fmt: skip

    def _fail_unforeseen(self, error: Exception) -> None:
        if ran_out(error):
            self._fail("limit_exceeded", MORE_MEMORY, "memory")
        else:
            self._fail("image_corrupt", f"the decoder failed: {type(error).__name__}")

    def _fail(self, code: str, message: str, limit: str = "", layer: str = "") -> None:
        self._say(wire.Failed(code, message[:300], limit, self._private_bytes(), layer))

    def _say(self, message: wire.Done | wire.Failed) -> None:
        self._words.send(wire.write(message))

    def _private_bytes(self) -> int:
        """Resident memory that is this process's own, in bytes."""
        resident, shared = os.pread(self._memory, 256, 0).split()[1:3]
        return (int(resident) - int(shared)) * _PAGE


def _with_last(made: Iterator[Rendition], count: int) -> Iterator[tuple[bool, Rendition]]:
    return ((n == count, rendition) for n, rendition in enumerate(made, 1))


def _versions() -> dict[str, str]:
    return {
        "libvips": ".".join(str(pyvips.version(n)) for n in range(3)),
        "pyvips": version("pyvips"),
        "pyvips-binary": version("pyvips-binary"),
        "simplejpeg": version("simplejpeg"),
        "pillow": version("pillow"),
        "pi-heif": version("pi-heif") if heic.AVAILABLE else "none",
        "pillow-jxl-plugin": version("pillow-jxl-plugin") if jxl.AVAILABLE else "none",
        "cykooz-resizer": version("cykooz-resizer") if scaler.AVAILABLE else "none",
        "dlib": faces.VERSION,
        "ssimulacra2": _installed("ssimulacra2"),
    }


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
