"""What every store promises, once for all of them."""

import asyncio
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from secrets import token_hex
from urllib.parse import unquote

import opendal
import pytest

from imagemill.model.entry import Validators
from imagemill.model.errors import (
    BadRequest,
    SourceNotFound,
    SourceTooLarge,
    SourceTruncated,
    StoreCorrupt,
    StoreRefused,
)
from imagemill.net.client import Client
from imagemill.settings import Fetch, Signing, Sources
from imagemill.settings import Settings as AllSettings
from imagemill.storage.base import NONE_KNOWN, Blob, Terms, Unchanged
from imagemill.storage.file import FileStore
from imagemill.storage.file import Settings as FileSettings
from imagemill.storage.http import HttpStore
from imagemill.stores import open_all
from support.s3 import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server, serving
from support.stores import MemoryStore


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

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def unfinished(self) -> list:
        """What lies about of writes that are over."""
        return [f for f in self.root.rglob("*") if "unfinished" in str(f.parent) and f.is_file()]

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


class InMemory(Shelf):
    def put(self, name, body):
        self.store.lay(name, body, Terms())

    def remove(self, name):
        del self.store.objects[name]

    def unfinished(self):
        return []


class InBucket(Shelf):
    """Things are put there by a client of its own."""

    def __init__(self, store, server, prefix):
        super().__init__(store, None, "")
        self._server, self._prefix = server, prefix
        self._client = opendal.Operator(
            "s3", bucket=BUCKET, region=REGION, endpoint=server.endpoint, root=prefix,
            access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY,
        )  # fmt: skip

    def put(self, name, body):
        self._client.write(name, body)

    def remove(self, name):
        self._client.delete(name)

    def unfinished(self):
        """Objects where large ones are collected, and parts of uploads that were neither completed nor aborted."""
        places = (self._server.object(self._prefix) / ".unfinished", self._server.object(".sgwtmp/multipart"))
        return [f for place in places for f in place.rglob("*") if f.is_file()]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("s3")) as running:
        yield running


@asynccontextmanager
async def on_writable_files(root):
    yield Shelf(FileStore(FileSettings(root=root, write=True)), root, "")


@asynccontextmanager
async def in_memory(_):
    yield InMemory(MemoryStore(), None, "")


@asynccontextmanager
async def in_bucket(server: S3Server):
    """As the service has it: with its layers around it."""
    prefix = token_hex(8)
    table = server.settings(prefix=prefix, write=True)
    stores = open_all(AllSettings(signing=Signing(mode="unsigned"), storage={"it": table}))
    yield InBucket(stores.all["it"], server, prefix)


STORES = {"file": on_files, "http": on_http, "memory": in_memory, "s3": in_bucket}
WRITABLE = {"file": on_writable_files, "memory": in_memory, "s3": in_bucket}


def place(request, tmp_path):
    return request.getfixturevalue("server") if request.param == "s3" else tmp_path


@pytest.fixture(params=STORES)
async def shelf(request, tmp_path):
    async with STORES[request.param](place(request, tmp_path)) as shelf:
        yield shelf


@pytest.fixture(params=WRITABLE)
async def writable(request, tmp_path):
    async with WRITABLE[request.param](place(request, tmp_path)) as shelf:
        yield shelf


@pytest.fixture
def store(writable):
    return writable.store


@pytest.fixture(params=["file", "memory", "s3"])
async def read_only(request, tmp_path):
    """A store whose settings do not allow writing."""
    if request.param == "memory":
        return MemoryStore(write=False)
    if request.param == "file":
        return FileStore(FileSettings(root=tmp_path))
    table = request.getfixturevalue("server").settings()
    return open_all(AllSettings(signing=Signing(mode="unsigned"), storage={"it": table})).all["it"]


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
    shelf.remove("a")
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


async def test_what_was_written_is_read(store):
    """Every byte, and its size and digest without reading it; a new folder needs no preparation."""
    body = bytes(range(256)) * 1000

    put = await store.put("new/deep/a b é.jpg", body, Terms("image/jpeg", "max-age=60", sha256(body).hexdigest()))

    assert (put.body_bytes, put.sha256) == (len(body), sha256(body).hexdigest())
    assert await store.stat("new/deep/a b é.jpg") == put
    assert (await store.get("new/deep/a b é.jpg", limit=len(body))).body == body


async def test_an_empty_body_is_written(store):
    await store.put("empty", b"", Terms())

    assert (await store.stat("empty")).body_bytes == 0
    assert (await store.get("empty", limit=0)).body == b""


async def test_nothing_lies_where_nothing_was_written(store):
    """Neither where there is no object, nor where there is only a folder, nor below an object."""
    await store.put("a/b", b"1", Terms())

    assert [await store.stat(key) for key in ("no", "a", "a/no", "a/b/c", "no/no")] == [None] * 5


async def test_the_new_takes_the_place_of_the_old(store):
    """After a write everybody reads the new bytes, and those who knew the old are not told that nothing changed."""
    await store.put("a", b"old", Terms())
    known = (await store.get("a", limit=9)).validators

    put = await store.put("a", b"newer", Terms())

    assert (await store.get("a", limit=9, known=known)).body == b"newer"
    assert await store.stat("a") == put


async def test_other_bytes_than_were_meant_are_refused(store):
    """A body that is not what its digest says is not stored; what was there stays."""
    await store.put("a", b"old", Terms())

    with pytest.raises(StoreCorrupt):
        await store.put("a", b"new", Terms(sha256=sha256(b"other").hexdigest()))

    assert (await store.get("a", limit=9)).body == b"old"


@pytest.mark.parametrize(
    "key", ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "a\0b", "a\\b", "x" * 256]
)
async def test_no_key_leads_out(store, key):
    """What is no key is neither written, nor looked at, nor given an address."""
    with pytest.raises(BadRequest):
        await store.put(key, b"1", Terms())
    with pytest.raises(BadRequest):
        await store.stat(key)
    with pytest.raises(BadRequest):
        await store.url(key, good_for_s=60)


async def test_a_store_is_written_to_only_by_its_settings(read_only):
    with pytest.raises(StoreRefused):
        await read_only.put("never", b"1", Terms())

    assert await read_only.stat("never") is None


async def test_a_store_that_is_there_says_so(store, read_only):
    """Whether it is written to or not, and whether anything lies in it or not."""
    await store.check()
    await read_only.check()


async def test_a_reader_never_sees_a_mixture(store):
    """While one body takes another's place again and again, whoever reads gets the one or the other, whole."""
    bodies = [bytes([n]) * 300_000 for n in (1, 2)]
    await store.put("a", bodies[0], Terms())
    writing, seen = True, []

    async def write():
        nonlocal writing
        for n in range(20):
            await store.put("a", bodies[n % 2], Terms())
        writing = False

    async def read():
        while writing:
            try:
                seen.append((await store.get("a", limit=300_000)).body)
            except SourceTruncated:
                continue  # another version came between look and read; the reader is told so

    await asyncio.gather(write(), read(), read())

    assert seen
    assert all(body in bodies for body in seen)


async def test_writers_of_one_key_leave_one_body(store):
    """The last one's or another's, but whole, and each was told what it wrote, or that another came between."""
    bodies = [bytes([n]) * 100_000 for n in range(8)]

    told = await asyncio.gather(*(store.put("a/b", body, Terms()) for body in bodies), return_exceptions=True)

    assert (await store.get("a/b", limit=100_000)).body in bodies
    assert all(isinstance(t, StoreCorrupt) or t.body_bytes == 100_000 for t in told)


async def test_a_write_that_nobody_waits_for_leaves_the_old_or_the_new(store):
    await store.put("a", b"old" * 50_000, Terms())
    for pause_s in (0, 0.001, 0.003):
        task = asyncio.create_task(store.put("a", b"new" * 50_000, Terms()))
        await asyncio.sleep(pause_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert (await store.get("a", limit=150_000)).body in {b"old" * 50_000, b"new" * 50_000}

    await store.put("a", b"last", Terms())
    assert (await store.get("a", limit=150_000)).body == b"last"


LARGE = bytes(range(251)) * 80_000
"""20 MB: on S3 more than two parts."""


async def streamed(body: bytes, size: int = 700_000, then=None):
    """*body* in chunks; *then*, when a store has had the time to send them, it may fail."""
    for at in range(0, len(body), size):
        await asyncio.sleep(0)
        yield body[at : at + size]
    if then is not None:
        await asyncio.sleep(0.05)
        raise then


async def emptied(writable) -> None:
    """Nothing is left of writes that are over; a writer itself waits no longer than a second for that."""
    async with asyncio.timeout(40):
        while writable.unfinished():
            await asyncio.sleep(0.01)


async def read(store, key: str, known: Validators = NONE_KNOWN) -> list[bytes]:
    async with store.open(key, known=known) as opened:
        return [chunk async for chunk in opened.chunks]


@pytest.mark.parametrize("size", [0, 1, 700_000, len(LARGE)])
async def test_streams_come_out_as_they_went_in(store, size):
    """Every byte, with the facts that a look gives, and no empty chunk; a new folder needs no preparation."""
    body = LARGE[:size]
    terms = Terms("image/jpeg", sha256=sha256(body).hexdigest())

    written = await store.write("new/deep/a b é", streamed(body), terms)

    assert (written.body_bytes, written.sha256) == (size, terms.sha256)
    assert await store.stat("new/deep/a b é") == written
    async with store.open("new/deep/a b é") as opened:
        chunks = [chunk async for chunk in opened.chunks]
    assert (opened.stat.body_bytes, opened.stat.etag) == (size, written.etag)
    assert all(chunks)
    assert b"".join(chunks) == body


async def test_chunks_may_be_of_any_size(store):
    """Also empty ones."""
    pieces = [b"", b"1", b"", b"23", b"4" * 100_000, b""]

    async def odd():
        for piece in pieces:
            yield piece

    await store.write("odd", odd(), Terms())

    assert b"".join(await read(store, "odd")) == b"".join(pieces)


async def test_streams_and_whole_objects_are_the_same_objects(store):
    """Written by one verb, read by the other, with the same validators."""
    await store.write("a", streamed(b"12345"), Terms())
    await store.put("b", b"67890", Terms())

    blob = await store.get("a", limit=5)

    assert blob.body == b"12345"
    assert b"".join(await read(store, "b")) == b"67890"
    async with store.open("a", known=blob.validators) as opened:
        assert opened == Unchanged()
    async with store.open("a", known=Validators("other", 1)) as opened:
        assert opened.stat.etag == blob.etag


async def test_opening_what_is_not_there(store):
    await store.put("a/b", b"1", Terms())
    for key, error in (("no", SourceNotFound), ("a", SourceNotFound), ("../a", BadRequest), ("", BadRequest)):
        with pytest.raises(error):
            async with store.open(key):
                pass


async def test_a_stream_is_written_only_where_settings_allow(read_only):
    """Without a chunk being asked for."""

    async def never():
        pytest.fail("was asked")
        yield b""

    with pytest.raises(StoreRefused):
        await read_only.write("never", never(), Terms())
    with pytest.raises(BadRequest):
        await read_only.write("../never", never(), Terms())


async def test_who_leaves_early_leaves_nothing(store):
    """After a chunk, before the first, or by an error of the reader's own: the store goes on as before."""
    await store.put("a", LARGE, Terms())
    for _ in range(20):
        async with store.open("a") as opened:
            await anext(opened.chunks)
        async with store.open("a"):
            pass
        with pytest.raises(ZeroDivisionError):
            async with store.open("a") as opened:
                async for _ in opened.chunks:
                    raise ZeroDivisionError

    assert b"".join(await read(store, "a")) == LARGE


async def test_a_reader_who_is_cancelled_leaves_nothing(store):
    await store.put("a", LARGE, Terms())
    for pause_s in (0, 0.001, 0.005):
        task = asyncio.create_task(read(store, "a"))
        await asyncio.sleep(pause_s)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert b"".join(await read(store, "a")) == LARGE


@pytest.mark.parametrize("size", [1000, 9_000_000, len(LARGE)])
async def test_a_stream_that_fails_leaves_the_old(writable, size):
    """The error is that of the chunks; neither the new bytes nor a trace of them remain."""
    store = writable.store
    await store.put("a", b"old", Terms())

    with pytest.raises(ZeroDivisionError):
        await store.write("a", streamed(LARGE[:size], then=ZeroDivisionError()), Terms())
    with pytest.raises(ZeroDivisionError):
        await store.write("new", streamed(LARGE[:size], then=ZeroDivisionError()), Terms())

    assert (await store.get("a", limit=9)).body == b"old"
    assert await store.stat("new") is None
    await emptied(writable)


@pytest.mark.parametrize("size", [1000, len(LARGE)])
async def test_a_stream_of_other_bytes_than_were_meant_leaves_the_old(writable, size):
    store = writable.store
    await store.put("a", b"old", Terms())

    with pytest.raises(StoreCorrupt):
        await store.write("a", streamed(LARGE[:size]), Terms(sha256=sha256(b"other").hexdigest()))

    assert (await store.get("a", limit=9)).body == b"old"
    await emptied(writable)


@pytest.mark.parametrize("size", [1000, 9_000_000, len(LARGE)])
async def test_a_writer_who_is_cancelled_leaves_the_old(writable, size):
    """While its chunks are awaited; a later write is not undone by it."""
    store = writable.store
    await store.put("a", b"old", Terms())
    waits = asyncio.Event()

    async def stuck():
        async for chunk in streamed(LARGE[:size]):
            yield chunk
        waits.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(store.write("a", stuck(), Terms()))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await store.get("a", limit=9)).body == b"old"
    await emptied(writable)
    await store.put("a", b"later", Terms())
    assert (await store.get("a", limit=9)).body == b"later"


async def test_nobody_sees_a_stream_before_its_end(store):
    """While it is written the old bytes are read; after it the new ones."""
    await store.put("a", b"old", Terms())
    seen = []

    async def watched():
        async for chunk in streamed(LARGE, 4_000_000):
            seen.append((await store.get("a", limit=9)).body)
            yield chunk

    await store.write("a", watched(), Terms())

    assert set(seen) == {b"old"}
    assert b"".join(await read(store, "a")) == LARGE


async def test_a_stream_is_of_one_version(store):
    """Where another takes its place meanwhile, the reader gets the old one whole, or is told."""
    await store.put("a", LARGE, Terms())
    got = []

    with suppress(SourceTruncated):
        async with store.open("a") as opened:
            got.append(await anext(opened.chunks))
            await store.put("a", LARGE[::-1], Terms())
            got.extend([chunk async for chunk in opened.chunks])
        assert b"".join(got) == LARGE

    assert LARGE.startswith(b"".join(got))
    assert b"".join(await read(store, "a")) == LARGE[::-1]
