"""Objects in one piece, for whoever has the memory: `Get.get` and `Put.put` by way of streams."""

from collections.abc import AsyncIterable, AsyncIterator

from imagemill.model.entry import Validators
from imagemill.model.errors import SourceTooLarge
from imagemill.storage.base import Blob, Read, Stat, Terms, Unchanged, Write


async def get(store: Read, key: str, *, limit: int, known: Validators) -> Blob | Unchanged:
    """See `storage.base.Get`. Never holds more than *limit* bytes and a chunk, whatever the store announces or sends."""
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
    return await store.write(key, _chunks(body), terms)


async def cut(chunks: AsyncIterable[bytes], piece_bytes: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of *piece_bytes*; only the last is smaller."""
    kept: list[bytes] = []
    missing = piece_bytes
    async for chunk in chunks:
        rest = memoryview(chunk)
        while len(rest) >= missing:
            yield b"".join((*kept, rest[:missing]))
            rest, kept, missing = rest[missing:], [], piece_bytes
        if rest:
            kept.append(bytes(rest))
            missing -= len(rest)
    if kept:
        yield b"".join(kept)


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
