"""Streams through OpenDAL, and its errors as ours: what every store has in common that is reached by it.

Memory   reading, one chunk; writing in parts, `PARTS_AT_A_TIME` of them and two more.
Errors   reading: `SourceNotFound`, `SourceTruncated`, `SourceForbidden`; writing: `StoreRefused`, `StoreCorrupt`;
         `DependencyDown`: it failed or is away.
Source   OpenDAL 0.47 (its stubs, and runs against real servers): `read` holds whatever the server sends, however long,
         before it compares; `AsyncFile.read` takes no more than asked for, in one request, but raises `OSError` with
         words alone. A writer can be closed, and not aborted: dropped, it leaves its parts in the bucket for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from secrets import token_hex

from opendal import AsyncOperator
from opendal import exceptions as foreign
from opendal.file import AsyncFile
from opendal.options import WriteKwargs
from opendal.types import Metadata

from imagemill.model.errors import (
    DependencyDown,
    SourceForbidden,
    SourceNotFound,
    SourceTruncated,
    StoreCorrupt,
    StoreRefused,
)

Send = Callable[[bytes], Awaitable[None]]
CHUNK_BYTES = 1024 * 1024
PARTS_AT_A_TIME = 4
_LAST_WORDS_S = 1.0
"""So long does whoever ends a write wait until its leftovers are gone; then that goes on without them."""
_REMOVING_S = 60.0
_NOT_AS_SEEN = "ConditionNotMatch"
"""The kind of a failure, which files say in words."""
_FAILED = (
    foreign.Error, foreign.Unexpected, foreign.Unsupported, foreign.ConfigInvalid, foreign.NotFound,
    foreign.PermissionDenied, foreign.IsADirectory, foreign.NotADirectory, foreign.AlreadyExists, foreign.IsSameFile,
    foreign.ConditionNotMatch, foreign.RateLimited, foreign.RangeNotSatisfied, foreign.Conflict, OSError,
)  # fmt: skip
"""Every class of OpenDAL's, which have no common one, and what its files raise."""


@contextmanager
def as_source() -> Iterator[None]:
    """What OpenDAL raises, in the words of whoever reads."""
    try:
        yield
    except (foreign.NotFound, foreign.IsADirectory, foreign.NotADirectory) as e:
        raise SourceNotFound("no such object") from e
    except foreign.ConditionNotMatch as e:
        raise SourceTruncated("the source changed while it was read") from e
    except foreign.PermissionDenied as e:
        raise SourceForbidden("the store denies us this object") from e
    except _FAILED as e:
        raise DependencyDown("the store failed, or is away") from e


@contextmanager
def as_destination() -> Iterator[None]:
    """What OpenDAL raises, in the words of whoever writes."""
    try:
        yield
    except (foreign.PermissionDenied, foreign.ConfigInvalid, foreign.NotFound, foreign.IsADirectory) as e:
        raise StoreRefused("the store does not let us do that there") from e
    except foreign.ConditionNotMatch as e:
        raise StoreCorrupt("what was written was replaced before it could be read again") from e
    except _FAILED as e:
        raise DependencyDown("the store failed, or is away") from e


@asynccontextmanager
async def reading(bucket: AsyncOperator, path: str, seen: Metadata) -> AsyncIterator[AsyncIterator[bytes]]:
    """The bytes of the object that was *seen*, in one request; of no other that took its place."""
    with as_source():
        file = await (bucket.open(path, "rb", if_match=seen.etag) if seen.etag else bucket.open(path, "rb"))
    try:
        yield _chunks(bucket, file, path, seen)
    finally:
        await file.close()


async def _chunks(bucket: AsyncOperator, file: AsyncFile, path: str, seen: Metadata) -> AsyncIterator[bytes]:
    left = seen.content_length
    while left:
        with as_source():
            try:
                chunk = await file.read(min(CHUNK_BYTES, left + 1))  # one more, to see that there is no more
            except OSError as e:
                await _judge(bucket, path, seen, e)
                raise
        left -= len(chunk)
        if left < 0 or not chunk:
            raise SourceTruncated("the source changed while it was read")
        yield chunk


async def _judge(bucket: AsyncOperator, path: str, seen: Metadata, failed: OSError) -> None:
    """Find out why a stream failed: if the object is another or gone by now, or was another then, say so."""
    was_another = str(failed).startswith(_NOT_AS_SEEN)  # and may be the same again by now
    if was_another or (await bucket.stat(path)).etag != seen.etag:
        raise SourceTruncated("the source changed while it was read") from failed


class Staging:
    """Objects on their way to their place, sent in parts.

    They are collected under a name of their own in *folder*, and copied to their place by the store when they are whole
    and judged. So a write that fails can be undone: it is ended as an object, and that is deleted.
    """

    def __init__(self, bucket: AsyncOperator, folder: str, part_bytes: int) -> None:
        self._bucket = bucket
        self._folder = folder
        self._part_bytes = part_bytes
        self._removing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def sending(self, path: str, terms: WriteKwargs) -> AsyncIterator[Send]:
        """Collect what is sent, which waits for room, and show it at *path* where nothing fails meanwhile."""
        staged = f"{self._folder}/{token_hex(16)}"
        given: WriteKwargs = {**terms, "chunk": self._part_bytes, "concurrent": PARTS_AT_A_TIME}
        with as_destination():
            file = await self._bucket.open(staged, "wb", **given)
        try:
            yield partial(_send, file)
            with as_destination():
                await file.close()
                await self._bucket.copy(staged, path)
        finally:
            await self._removed(file, staged)

    async def _removed(self, file: AsyncFile, staged: str) -> None:
        removing = asyncio.create_task(_remove(self._bucket, file, staged))
        self._removing.add(removing)
        removing.add_done_callback(self._removing.discard)
        await asyncio.wait({removing}, timeout=_LAST_WORDS_S)


async def _send(file: AsyncFile, chunk: bytes) -> None:
    with as_destination():
        try:
            await file.write(chunk)
        except OSError:
            await file.close()  # fails as well, and by its class says how
            raise


async def _remove(bucket: AsyncOperator, file: AsyncFile, staged: str) -> None:
    """End it and delete it, as far as the store lets us: the rest is for its lifecycle rules."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REMOVING_S):
            with suppress(*_FAILED):
                await file.close()
            with suppress(*_FAILED):
                await bucket.delete(staged)
