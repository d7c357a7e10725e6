"""A store in this process: what `storage.base.Store` promises, without a disk or a network."""

import asyncio
import time
from contextlib import asynccontextmanager
from hashlib import sha256

from imagemill.model.errors import SourceNotFound, SourceTooLarge, StoreCorrupt, StoreRefused
from imagemill.storage.base import NONE_KNOWN, Blob, Opened, Stat, Terms, Unchanged, split


class MemoryStore:
    """Objects in a dictionary, with the terms that they were stored on."""

    def __init__(self, *, write: bool = True) -> None:
        self.objects: dict[str, tuple[bytes, Stat, Terms]] = {}
        self._write = write
        self.chunk_bytes = 1024 * 1024

    async def get(self, key, /, *, limit, known=NONE_KNOWN):
        split(key)
        await asyncio.sleep(0)
        if key not in self.objects:
            raise SourceNotFound("no such object")
        body, stat, _ = self.objects[key]
        if known.etag == stat.etag:
            return Unchanged()
        if len(body) > limit:
            raise SourceTooLarge(f"the source: {len(body)} > {limit} bytes")
        return Blob(body, etag=stat.etag, last_modified_s=stat.last_modified_s)

    async def put(self, key, body, /, terms):
        split(key)
        if not self._write:
            raise StoreRefused("this store is not written to")
        digest = sha256(body).hexdigest()
        if terms.sha256 not in {"", digest}:
            raise StoreCorrupt("these are not the bytes that were to be written")
        await asyncio.sleep(0)
        return self.lay(key, body, terms)

    @asynccontextmanager
    async def open(self, key, /, *, known=NONE_KNOWN):
        split(key)
        await asyncio.sleep(0)
        if key not in self.objects:
            raise SourceNotFound("no such object")
        body, stat, _ = self.objects[key]
        yield Unchanged() if known.etag == stat.etag else Opened(stat, self._chunks(body))

    async def _chunks(self, body):
        for at in range(0, len(body), self.chunk_bytes):
            await asyncio.sleep(0)
            yield body[at : at + self.chunk_bytes]

    async def write(self, key, chunks, /, terms):
        split(key)
        if not self._write:
            raise StoreRefused("this store is not written to")
        return await self.put(key, b"".join([chunk async for chunk in chunks]), terms)

    def lay(self, key, body, terms):
        """Put it there, whoever may write."""
        digest = sha256(body).hexdigest()
        stat = Stat(len(body), digest, digest[:16], int(time.time()))
        self.objects[key] = (bytes(body), stat, terms)
        return stat

    async def stat(self, key, /):
        split(key)
        return self.objects[key][1] if key in self.objects else None

    async def check(self):
        pass

    def address(self, key, /):
        return f"memory:{key}"

    async def url(self, key, /, *, good_for_s):
        split(key)
