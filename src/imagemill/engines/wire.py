"""The words between the front and a worker: one msgpack message a packet, bodies in shared memory.

Front    `Setup` once, then `Job`, and `Next` after each `Done` but the last.
Worker   `Ready` once, then for each job `Done` per task, or one `Failed`.
The front believes nothing a worker says: `read` checks types, and `pool` checks lengths.
"""

import msgspec
from msgspec import Struct

from imagemill.engines.base import Task
from imagemill.engines.typefaces import Fonts
from imagemill.model.keys import is_etag
from imagemill.model.media import ANSWERS, Format
from imagemill.model.source import SourceRef
from imagemill.settings import Engine, Limits

OFFERED, TAKEN, LAYER = 0, 1, 2
"""First byte of the output memory until there is output: a worker that dies of a job has marked it first, and while it
reads a layer it says which: `LAYER` for the first of them."""
MAX_PACKET = 64 * 1024
_MAX_MS = 1e9
_BEST = 100


class Setup(Struct, frozen=True, tag=True):
    """Who the worker is to be."""

    limits: Limits
    engine: Engine
    parent_pid: int
    source_area: int
    output_area: int
    fonts: Fonts = Fonts()


class Part(Struct, frozen=True):
    """The source of a layer, and its length."""

    source: SourceRef
    length: int


class Job(Struct, frozen=True, tag=True):
    """Make these of the first *length* bytes of the source memory; those of *layers* lie behind, in their order."""

    length: int
    tasks: tuple[Task, ...]
    layers: tuple[Part, ...] = ()


class Next(Struct, frozen=True, tag=True):
    """The last rendition was taken; its memory is free again."""


class Ready(Struct, frozen=True, tag=True):
    """The worker is confined and waits for its first job."""

    versions: dict[str, str]


class Done(Struct, frozen=True, tag=True):
    """One rendition lies in the output memory.

    Checked wherever it is built or read: what it says goes into headers and metrics.
    """

    length: int
    format: Format
    etag: str
    width_px: int
    height_px: int
    frames: int
    probe_ms: float
    render_ms: float
    cpu_ms: float
    private_bytes: int
    quality: int = 0

    def __post_init__(self) -> None:
        """Keep to what a rendition of ours may be."""
        if self.format not in ANSWERS or not is_etag(self.etag):
            raise ValueError("no rendition of ours")
        if min(self.length, self.width_px, self.height_px, self.frames) < 1:
            raise ValueError("an empty rendition")
        if not 0 <= self.quality <= _BEST:
            raise ValueError("no quality")
        if not all(0 <= ms < _MAX_MS for ms in (self.probe_ms, self.render_ms, self.cpu_ms)):
            raise ValueError("a time that cannot be")


class Failed(Struct, frozen=True, tag=True):
    """The job is over; `code` is one of `model.errors`."""

    code: str
    message: str
    limit: str = ""
    private_bytes: int = 0
    layer: str = ""
    """See `model.errors.ImagemillError.layer`; the message has it, too."""


_encoder = msgspec.msgpack.Encoder()
_from_front = msgspec.msgpack.Decoder(Setup | Job | Next)
_from_worker = msgspec.msgpack.Decoder(Ready | Done | Failed)


def write(message: Setup | Job | Next | Ready | Done | Failed) -> bytes:
    """One packet."""
    return _encoder.encode(message)


def heard_from_front(packet: bytes) -> Setup | Job | Next:
    """What the front said."""
    heard: Setup | Job | Next = _from_front.decode(packet)
    return heard


def heard_from_worker(packet: bytes) -> Ready | Done | Failed:
    """What the worker said, or `msgspec.MsgspecError`."""
    heard: Ready | Done | Failed = _from_worker.decode(packet)
    return heard
