"""Objects in one piece, for whoever has the memory: `Get.get` and `Put.put` by way of streams."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

from msgspec.structs import replace

from imagemill.model.entry import Validators
from imagemill.model.errors import SourceTooLarge, StoreCorrupt
from imagemill.storage.base import Blob, Read, Stat, Terms, Unchanged, Write

_HASHED_AT_ONCE_BYTES = 1024 * 1024


async def get(store: Read, key: str, *, limit: int, known: Validators) -> Blob | Unchanged:
    """See `storage.base.Get`. Holds *limit* bytes and a chunk at most, whatever the store announces or sends."""
    async with store.open(key, known=known) as opened:
        if isinstance(opened, Unchanged):
            return opened
        stat = opened.stat
        if stat.body_bytes > limit:
            raise SourceTooLarge(f"the source: {stat.body_bytes} > {limit} bytes")
        body = await _joined(opened.chunks, limit)
    return Blob(body, etag=stat.etag, last_modified_s=stat.last_modified_s)


async def put(store: Write, key: str, body: bytes, terms: Terms) -> Stat:
    """See `storage.base.Put`."""
    tally = Tally()
    if not terms.sha256:  # known ahead, it can be kept beside the object however large
        await tally.add(body)
        terms = replace(terms, sha256=tally.sha256)
    return await store.write(key, _chunks(body), terms)


async def first(chunks: AsyncIterator[bytes], most_bytes: int) -> list[bytes]:
    """The next of *chunks* until they are more than *most_bytes*, or all."""
    ahead: list[bytes] = []
    left = most_bytes
    while left >= 0 and (chunk := await anext(chunks, None)) is not None:
        ahead.append(chunk)
        left -= len(chunk)
    return ahead


class Tally:
    """Size and digest of what came so far."""

    def __init__(self) -> None:
        self.body_bytes = 0
        self._digest = sha256()

    @property
    def sha256(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()

    async def add(self, chunk: bytes) -> None:
        """Count it, off the loop where that would hold it."""
        self.body_bytes += len(chunk)
        if len(chunk) > _HASHED_AT_ONCE_BYTES:
            await asyncio.to_thread(self._digest.update, chunk)
        else:
            self._digest.update(chunk)

    def judge(self, digest: str) -> None:
        """Refuse all of it where it was meant to have another *digest*; an empty one is none."""
        if digest not in {"", self.sha256}:
            raise StoreCorrupt("these are not the bytes that were to be written")


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _joined(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    kept: list[bytes] = []
    left = limit
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise SourceTooLarge(f"the source: more than {limit} bytes")
        kept.append(chunk)
    return kept[0] if len(kept) == 1 else b"".join(kept)
