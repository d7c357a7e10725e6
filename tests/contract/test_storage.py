"""What every store promises, once for all of them."""

import asyncio
from contextlib import asynccontextmanager
from hashlib import sha256
from urllib.parse import unquote

import pytest

from imagemill.model.entry import Validators
from imagemill.model.errors import BadRequest, SourceNotFound, SourceTooLarge
from imagemill.net.client import Client
from imagemill.settings import Fetch, Sources
from imagemill.storage.base import NONE_KNOWN, Blob, Unchanged
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

    async def get(self, name: str, limit: int = 100, known: Validators = NONE_KNOWN) -> Blob | Unchanged:
        return await self.store.get(self.prefix + name, limit=limit, known=known)


@asynccontextmanager
async def on_files(root):
    yield Shelf(FileStore(FileSettings(root=root)), root, "")


@asynccontextmanager
async def on_http(root):
    async def serve(reader, writer):
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = unquote(request.split()[1])
        file = root / path.lstrip("/")
        found = file.is_file()
        body = file.read_bytes() if found else b"sorry"
        head = f"HTTP/1.1 {'200 OK' if found else '404 No'}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        tag = f'"{sha256(body).hexdigest()[:16]}"'
        if found and f"If-None-Match: {tag}\r\n" in request:
            writer.write(b"HTTP/1.1 304 Same\r\nConnection: close\r\n\r\n")
        else:
            date = "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT"
            writer.write(f"{head}ETag: {tag}\r\n{date}\r\n\r\n".encode() + body)
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


async def test_unchanged_for_what_is_known(shelf):
    """Whoever has this version is told so, and given no bytes; also where it is larger than the limit by now."""
    shelf.put("a", b"12345678")
    known = (await shelf.get("a")).validators
    assert known

    assert await shelf.get("a", known=known) == Unchanged()
    assert await shelf.get("a", limit=7, known=known) == Unchanged()


async def test_whole_for_what_is_not_known(shelf):
    """Another version comes whole, and is known from then on; what is gone is gone."""
    shelf.put("a", b"1234")
    known = (await shelf.get("a")).validators
    shelf.put("a", b"12345")

    new = await shelf.get("a", known=known)

    assert new.body == b"12345"
    assert new.validators != known
    assert await shelf.get("a", known=new.validators) == Unchanged()
    (shelf.root / "a").unlink()
    with pytest.raises(SourceNotFound):
        await shelf.get("a", known=known)


@pytest.mark.parametrize(
    "etag",
    [
        "x",
        '"',
        '"a"b"',
        "a\r\nb: c",
        '"a\r\nb: c"',
        "\0",
        "*",
        "W/",
        "\udc80",
        "é",
        '"é"',
        "x" * 8192,
        '"' + "x" * 8192 + '"',
    ],
)
@pytest.mark.parametrize("date", [0, 1, -1, 2**62])
async def test_whole_whatever_is_known(shelf, etag, date):
    """A validator that this store never gave, or nobody could send, makes nothing unchanged and nothing fail."""
    shelf.put("a", b"1234")

    assert (await shelf.get("a", known=Validators(etag, date))).body == b"1234"


@pytest.mark.parametrize("date", [-1, 2**62, 253_402_300_800])
async def test_whole_whatever_date_is_known(shelf, date):
    """The same where there is a date alone: none that cannot be one is asked by."""
    shelf.put("a", b"1234")

    assert (await shelf.get("a", known=Validators("", date))).body == b"1234"


async def test_unchanged_is_not_told_of_another_object(shelf):
    """Validators are of one key."""
    shelf.put("a", b"1234")
    shelf.put("b", b"5678")

    assert (await shelf.get("b", known=(await shelf.get("a")).validators)).body == b"5678"
