"""What every store promises, once for all of them."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import unquote

import pytest

from imagemill.model.errors import BadRequest, SourceNotFound, SourceTooLarge
from imagemill.net.client import Client
from imagemill.settings import Fetch, Sources
from imagemill.storage.base import Blob
from imagemill.storage.file import FileStore
from imagemill.storage.file import Settings as FileSettings
from imagemill.storage.http import HttpStore


class Shelf:
    """A store, a way to put things into it, and how its keys look."""

    def __init__(self, store, root, prefix):
        self.store = store
        self.root = root
        self.prefix = prefix

    def put(self, name: str, body: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    async def get(self, name: str, limit: int = 100) -> Blob:
        return await self.store.get(self.prefix + name, limit=limit)


@asynccontextmanager
async def on_files(root):
    yield Shelf(FileStore(FileSettings(root=root)), root, "")


@asynccontextmanager
async def on_http(root):
    async def serve(reader, writer):
        path = unquote((await reader.readuntil(b"\r\n\r\n")).split()[1].decode())
        file = root / path.lstrip("/")
        found = file.is_file()
        body = file.read_bytes() if found else b"sorry"
        head = f"HTTP/1.1 {'200 OK' if found else '404 No'}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        writer.write(
            f'{head}ETag: "{len(body)}"\r\nLast-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n'.encode() + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client(Sources(ports=(port,), allow_networks=("127.0.0.0/8",)), Fetch())
    try:
        yield Shelf(HttpStore(client), root, f"http://127.0.0.1:{port}/")
    finally:
        await client.close()
        server.close()


STORES = {"file": on_files, "http": on_http}


@pytest.fixture(params=STORES)
async def shelf(request, tmp_path):
    async with STORES[request.param](tmp_path) as shelf:
        yield shelf


async def test_gives_what_was_put(shelf):
    """Every byte comes back, with a validator and a date."""
    body = bytes(range(256)) * 1000
    shelf.put("a/b c.jpg", body)

    blob = await shelf.get("a/b c.jpg", limit=len(body))

    assert blob.body == body
    assert blob.etag
    assert blob.last_modified_s > 0
    assert blob.storable


async def test_limit_is_inclusive(shelf):
    """One byte over the limit is refused, not cut."""
    shelf.put("a", b"12345678")

    assert (await shelf.get("a", limit=8)).body == b"12345678"
    with pytest.raises(SourceTooLarge, match="8 > 7 bytes"):
        await shelf.get("a", limit=7)


async def test_missing(shelf):
    with pytest.raises(SourceNotFound):
        await shelf.get("no")


async def test_empty_object(shelf):
    """Nothing is something: whether it is a picture is for others to say."""
    shelf.put("empty", b"")

    assert (await shelf.get("empty", limit=0)).body == b""


async def test_equal_objects_have_equal_validators(shelf):
    shelf.put("a", b"1234")

    assert (await shelf.get("a")).etag == (await shelf.get("a")).etag


@pytest.mark.parametrize("key", ["a\0", "\\a", "a\\b"])
async def test_what_is_no_key(shelf, key):
    with pytest.raises(BadRequest):
        await shelf.get(key)


async def test_many_at_once(shelf):
    for n in range(10):
        shelf.put(str(n), str(n).encode())

    blobs = await asyncio.gather(*(shelf.get(str(n)) for n in range(10)))

    assert [b.body for b in blobs] == [str(n).encode() for n in range(10)]


async def test_cancelled_reads_leave_the_store_usable(shelf):
    shelf.put("a", b"x" * 100)
    tasks = [asyncio.create_task(shelf.get("a")) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert (await shelf.get("a")).body == b"x" * 100
