"""What stores offer to whoever reads and writes: whole objects or streams, one key grammar, one error family."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from imagemill.model.entry import Validators
from imagemill.model.errors import BadRequest

NONE_KNOWN = Validators()


class Blob(Struct, frozen=True):
    """One source as it was read: its bytes, and what the store said of them."""

    body: bytes
    etag: str = ""
    """The store's own validator; clamped, never reflected to callers."""
    last_modified_s: int = 0
    """Unix time; 0 = not said. What cannot be is as not said: see `service.origin`."""
    max_age_s: int | None = None
    """What ``Cache-Control`` or ``Expires`` allow, clamped to a year; None = not said."""
    storable: bool = True
    """False where the source says ``private`` or ``no-store``."""
    born_s: float = 0.0
    """Unix time at which it was asked for; filled in by `service.origin`."""
    asked_ms: int = 0
    """The same on the clock that purges are dated by; filled in there, too."""

    @property
    def validators(self) -> Validators:
        """By what its store tells this version from others."""
        return Validators(self.etag, self.last_modified_s)


class Unchanged(Struct, frozen=True):
    """The object is still the one that its validators tell: nothing was read."""

    max_age_s: int | None = None
    storable: bool = True
    born_s: float = 0.0
    """Unix time at which it was asked for; filled in by `service.origin`."""
    asked_ms: int = 0
    """The same on the clock that purges are dated by; filled in there, too."""


class Stat(Struct, frozen=True):
    """What a store says of one object without its bytes."""

    body_bytes: int
    sha256: str = ""
    """64 hex digits; empty where the store cannot tell without reading."""
    etag: str = ""
    last_modified_s: int = 0


class Opened(Struct, frozen=True):
    """One object that is being read."""

    stat: Stat
    """What the store says of it; its size is announced, and not yet true."""
    chunks: AsyncIterator[bytes]
    """All its bytes, once, in order; none is empty. They end only where as many came as were announced.

    Raises:
        SourceTruncated: fewer came, or more, or it was replaced meanwhile.
        SourceError: the store failed; see `model.errors`.
    """


class Get(Protocol):
    """A place sources are read from."""

    async def get(self, key: str, /, *, limit: int, known: Validators = NONE_KNOWN) -> Blob | Unchanged:
        """Read one object of at most *limit* bytes, unless it is still the one *known*.

        Raises:
            BadRequest: not a key of this store.
            SourceNotFound: no such object.
            SourceTooLarge: more than *limit* bytes.
            SourceError: the store failed; see `model.errors`.
        """
        ...


class Terms(Struct, frozen=True):
    """What is kept beside an object, as far as its store can."""

    media_type: str = "application/octet-stream"
    cache_control: str = ""
    sha256: str = ""
    """Of the body, 64 hex digits: the store is asked to check it, and to keep it."""


class Put(Protocol):
    """A place results are written to."""

    async def put(self, key: str, body: bytes, /, terms: Terms) -> Stat:
        """Write one object; a reader sees the old bytes or the new, never a mixture, and after this always the new.

        Raises:
            BadRequest: not a key of this store.
            StoreRefused: it does not let us write there.
            StoreCorrupt: what was written is not what lies there.
            DependencyDown: it failed, and may not fail again.
        """
        ...

    async def stat(self, key: str, /) -> Stat | None:
        """What lies at *key*; None = nothing does."""
        ...

    def address(self, key: str, /) -> str:
        """Where *key* is, for people and programs: ``s3://bucket/key``, ``local:<store>/<key>``."""
        ...

    async def url(self, key: str, /, *, good_for_s: int) -> str | None:
        """An http address from which anybody may read *key* for so long; None where this store has none."""
        ...


class Read(Protocol):
    """A place from which sources of any size are read, in the memory of one chunk."""

    def open(self, key: str, /, *, known: Validators = NONE_KNOWN) -> AbstractAsyncContextManager[Opened | Unchanged]:
        """Look at one object, and give its bytes as they are asked for, unless it is still the one *known*.

        Every chunk is of one and the same version. Whoever leaves early leaves nothing open.

        Raises:
            BadRequest: not a key of this store.
            SourceNotFound: no such object.
            SourceError: the store failed; see `model.errors`.
        """
        ...


class Write(Protocol):
    """A place to which results of any size are written, in the memory of some chunks."""

    async def write(self, key: str, chunks: AsyncIterable[bytes], /, terms: Terms) -> Stat:
        """Write one object as its *chunks* come; until the last is there and judged, readers see the old bytes.

        Where *chunks* or the store fail, or nobody waits any more, the old stays, and what was written is removed.
        The returned digest is that of what came; where *terms* name none, a store may keep none of a large object.

        Raises:
            BadRequest: not a key of this store.
            StoreRefused: it does not let us write there.
            StoreCorrupt: what came is not what *terms* say, or what was written is not what lies there.
            DependencyDown: it failed, and may not fail again.
        """
        ...


class Store(Get, Put, Read, Write, Protocol):
    """A place of both kinds, as `[storage.<name>]` describes it; what its settings do not allow is refused."""

    async def check(self) -> None:
        """Ask whether it is there and lets us in.

        Raises:
            StoreRefused: it is not, or does not.
            DependencyDown: it failed, or is away.
        """
        ...


MAX_URL_S = 7 * 86_400
"""For no longer is an address good: the most that S3 signs for (Signature Version 4)."""


def is_source(sources: bool | None, *, write: bool) -> bool:
    """Whether callers may read a store: as its settings say, else where nothing is written to it.

    What jobs store is not everybody's to read only because it lies in a store.
    """
    return not write if sources is None else sources


def split(key: str) -> list[str]:
    """Cut a key at "/" into plain names of 1 to 255 bytes, or raise `BadRequest`."""
    parts = key.split("/")
    for part in parts:
        bad = part in {"", ".", ".."} or "\0" in part or "\\" in part
        if bad or len(part.encode("utf-8", "surrogatepass")) > 255:
            raise BadRequest("not a key: empty, dot or overlong names, NUL and backslash are refused")
    return parts
