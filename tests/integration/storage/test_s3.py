"""A real S3 server, well and unwell: what `storage.s3` says of it, and what it leaves there."""

import asyncio
import http.client
import json
import os
import re
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from imagemill.model.errors import (
    BadRequest,
    DependencyDown,
    SourceForbidden,
    SourceNotFound,
    SourceTimeout,
    SourceTooLarge,
    SourceTruncated,
    StoreCorrupt,
    StoreRefused,
)
from imagemill.settings import MiB, Secret, Signing
from imagemill.settings import Settings as AllSettings
from imagemill.storage.base import Terms, Unchanged
from imagemill.storage.s3 import S3Store, Settings
from imagemill.stores import open_all
from support.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, serving, serving_tls

BODY = b"PICTURE" * 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def settings(server) -> Settings:
    table = {k: Secret(v) if "key" in k else v for k, v in server.settings(write=True).items()}
    return Settings(**table)


@pytest.fixture
def store(settings) -> S3Store:
    return S3Store(settings)


def layered(settings: Settings, told: list | None = None):
    """The store as the service has it; *told* hears of each attempt."""
    table = {f: getattr(settings, f) for f in settings.__struct_fields__ if getattr(settings, f) is not None}
    observe = (lambda operation, outcome, _: told.append((operation, outcome))) if told is not None else lambda *_: None
    return open_all(AllSettings(signing=Signing(mode="unsigned"), storage={"it": table}), observe).all["it"]


def requests(server, key: str) -> list[str]:
    """Methods of the requests for *key*, by the server's own log."""
    lines = (server.folder / "log").read_text().splitlines()
    return [m[1] for line in lines if (m := re.search(rf"\| (\w+) \| /{BUCKET}/{re.escape(key)} \|", line))]


def collected(server, prefix: str) -> list[str]:
    """Methods of the requests where large objects are collected."""
    return [m for line in (server.folder / "log").read_text().splitlines() if f"/{BUCKET}/{prefix}/.unfinished/" in line
            for m in re.findall(r"\| (POST|PUT|DELETE) \|", line)]  # fmt: skip


def leftovers(server) -> list[str]:
    """Parts and objects that the server keeps of writes that are over."""
    bucket = server.object("")
    return [
        str(f.relative_to(bucket))
        for f in bucket.rglob("*")
        if {".unfinished", "multipart"} & set(f.parts) and f.is_file()
    ]


async def tidied(server, prefix: str) -> None:
    """Nothing is left, and nothing is to be done any more; a writer itself waits no longer than a second for that."""
    async with asyncio.timeout(40):
        while leftovers(server) or "DELETE" not in collected(server, prefix):
            await asyncio.sleep(0.01)


def fetch(url: str, method: str = "GET"):
    """Status, headers and body, for somebody without credentials."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


async def test_anybody_may_fetch_a_presigned_address(store):
    """With the terms that it was stored on, and its digest."""
    await store.put("out/a b é?.webp", BODY, Terms("image/webp", "public, max-age=60", sha256(BODY).hexdigest()))

    status, headers, body = fetch(await store.url("out/a b é?.webp", good_for_s=60))

    assert (status, body) == (200, BODY)
    assert (headers["Content-Type"], headers["Cache-Control"]) == ("image/webp", "public, max-age=60")
    assert headers["x-amz-meta-sha256"] == sha256(BODY).hexdigest()


async def test_an_address_is_good_for_one_object_one_verb_and_its_time(store):
    await store.put("mine", BODY, Terms())
    await store.put("theirs", BODY, Terms())
    url, short = await store.url("mine", good_for_s=60), await store.url("mine", good_for_s=1)

    assert fetch(url)[0] == 200
    assert fetch(url.replace("/mine?", "/theirs?"))[0] == 403
    assert fetch(url, "DELETE")[0] == 403
    assert fetch(url.partition("?")[0])[0] == 403
    await asyncio.sleep(2.1)
    assert fetch(short)[0] == 403


async def test_large_bodies_go_in_parts(server, settings):
    """Above `part_bytes`, at their size whole, with a digest of all of it; where they were collected nothing is left."""
    store = S3Store(replace(settings, part_bytes=5 * MiB, prefix="parts"))
    body = os.urandom(11 * MiB)

    put = await store.put("large", body, Terms("image/png"))
    await store.put("at-the-size", body[: 5 * MiB], Terms())

    assert (put.body_bytes, put.sha256) == (len(body), sha256(body).hexdigest())
    assert (await store.get("large", limit=len(body))).body == body
    await tidied(server, "parts")
    assert collected(server, "parts") == ["POST", *["PUT"] * 3, "POST", "DELETE"]
    assert requests(server, "parts/large").count("PUT") == 1
    assert requests(server, "parts/at-the-size").count("PUT") == 1


async def test_what_is_known_or_too_large_is_not_read(server, store):
    """The look alone decides."""
    await store.put("looked-at", BODY, Terms())
    known = (await store.get("looked-at", limit=len(BODY))).validators
    before = requests(server, "looked-at").count("GET")

    assert await store.get("looked-at", limit=1, known=known) == Unchanged()
    with pytest.raises(SourceTooLarge, match="7000 > 6999 bytes"):
        await store.get("looked-at", limit=len(BODY) - 1)
    assert requests(server, "looked-at").count("GET") == before == 1


async def streamed(body: bytes, size: int = MiB):
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def test_a_large_stream_keeps_its_terms(server, settings, store):
    """They are given to the place where it is collected, and stay with it when it is shown; so does a digest that is known."""
    body = os.urandom(9 * MiB)
    terms = Terms("image/png", "max-age=9", sha256(body).hexdigest())

    put = await store.write("streamed", streamed(body), terms)
    unnamed = await store.write("unnamed", streamed(body), Terms())

    headers = fetch(await store.url("streamed", good_for_s=60))[1]
    assert (headers["Content-Type"], headers["Cache-Control"]) == ("image/png", "max-age=9")
    assert await store.stat("streamed") == put
    assert unnamed.sha256 == terms.sha256
    assert (await store.stat("unnamed")).sha256 == ""
    again = await S3Store(replace(settings, read_back=True)).write("again", streamed(body), Terms())
    assert again.sha256 == terms.sha256


async def test_a_large_object_that_is_denied_is_refused(server, settings):
    """Not as a store that may come back: its streams say how they failed only when they are ended."""
    stranger = S3Store(replace(settings, secret_access_key=Secret("no")))

    with pytest.raises(StoreRefused):
        await stranger.write("denied", streamed(bytes(20 * MiB)), Terms())


async def test_where_large_objects_are_collected_has_no_key(store):
    for call in (store.stat(".unfinished/x"), store.put(".unfinished/x", b"1", Terms())):
        with pytest.raises(BadRequest):
            await call


@asynccontextmanager
async def lying(announced: int, sent: int, told: list[int]):
    """A server that says one size when it is asked, and sends another; *told* hears of each MiB."""

    async def serve(reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                size = announced if request.startswith(b"HEAD") else sent
                writer.write(f'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: {size}\r\n\r\n'.encode())
                for at in range(0, 0 if size == announced else size, MiB):
                    writer.write(bytes(min(MiB, size - at)))
                    await writer.drain()
                    told.append(at)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("sent", [5, 500 * MiB])
async def test_what_was_not_announced_is_not_taken(settings, sent):
    """Less than was announced is an error; more is one, too, long before all of it has come."""
    told = []
    async with lying(10, sent, told) as endpoint:
        liar = S3Store(replace(settings, endpoint=endpoint))
        with pytest.raises((SourceTruncated, DependencyDown)):
            await liar.get("a", limit=MiB)
        taken = []
        with pytest.raises((SourceTruncated, DependencyDown)):
            async with liar.open("a") as opened:
                async for chunk in opened.chunks:
                    taken.append(chunk)

    assert len(b"".join(taken)) <= 10
    assert len(told) < 40


async def test_a_server_that_dies_during_a_stream(tmp_path):
    """Reading and writing end, soon, as with a store that is away; the old object is there when it is back."""
    with serving(tmp_path) as server:
        store = S3Store(Settings(**{k: Secret(v) if "key" in k else v for k, v in server.settings(write=True).items()}))
        body = os.urandom(30 * MiB)
        await store.put("a", body, Terms())

        async def dying():
            yield body[: 20 * MiB]
            server.kill()
            yield body[20 * MiB :]

        async with store.open("a") as opened:
            await anext(opened.chunks)
            with pytest.raises(DependencyDown):
                await store.write("a", dying(), Terms())
            with pytest.raises(DependencyDown):
                async for _ in opened.chunks:
                    pass
        server.start()

        assert (await store.get("a", limit=len(body))).body == body


class Between:
    """OpenDAL's operator, with something happening after one of its calls."""

    def __init__(self, inner, after: str, happens) -> None:
        self._inner, self._after, self._happens = inner, after, happens

    def __getattr__(self, name):
        real = getattr(self._inner, name)
        if name != self._after:
            return real

        async def call(*args, **rest):
            got = await real(*args, **rest)
            await self._happens()
            return got

        return call


async def test_an_object_that_is_replaced_while_it_is_read(settings, store):
    """Neither a mixture nor new bytes under an old validator: an error that may pass."""
    await store.put("moving", BODY, Terms())
    reader = S3Store(settings)
    reader._bucket = Between(reader._bucket, "stat", lambda: store.put("moving", BODY[::-1], Terms()))

    with pytest.raises(SourceTruncated):
        await reader.get("moving", limit=len(BODY))


async def test_what_lies_there_is_compared(server, settings, store):
    """J02: another size is noticed at once, other bytes where they are read back; what is gone is, too."""
    path = server.object("rotten")

    def after_writing(act, **given):
        async def happens():
            act()

        it = S3Store(replace(settings, **given))
        it._bucket = Between(it._bucket, "write", happens)
        return it

    with pytest.raises(StoreCorrupt):
        await after_writing(lambda: path.write_bytes(BODY[:-1])).put("rotten", BODY, Terms())
    with pytest.raises(StoreCorrupt):
        await after_writing(path.unlink).put("rotten", BODY, Terms())
    with pytest.raises(StoreCorrupt):
        await after_writing(lambda: path.write_bytes(BODY[::-1]), read_back=True).put("rotten", BODY, Terms())
    await after_writing(lambda: None, read_back=True).put("rotten", BODY, Terms())
    assert (await store.stat("rotten")).sha256 == sha256(BODY).hexdigest()


async def test_a_concurrent_writer_is_no_damage(settings, store):
    """Whoever wrote last is right; the other is told that not its own bytes lie there."""
    late = S3Store(settings)
    late._bucket = Between(late._bucket, "write", lambda: store.put("raced", b"the other's", Terms()))

    with pytest.raises(StoreCorrupt):
        await late.put("raced", BODY, Terms())

    assert (await store.get("raced", limit=99)).body == b"the other's"


@asynccontextmanager
async def damaging(port: int):
    """A way to the server on which every PICTURE becomes a PICTURF."""
    writers = []

    async def pump(reader, writer, damage):
        while data := await reader.read(1 << 16):
            writer.write(data.replace(b"PICTURE", b"PICTURF") if damage else data)
            await writer.drain()
        writer.close()

    async def serve(reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, back))
        await asyncio.gather(pump(reader, back, damage=True), pump(there, writer, damage=False), return_exceptions=True)

    way = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{way.sockets[0].getsockname()[1]}"
    finally:
        way.close()
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("checksum", ["crc32c", "md5"])
async def test_what_is_damaged_on_the_way_is_not_stored(server, settings, store, checksum):
    """The server compares what arrives with the checksum that came with it; the old object stays."""
    await store.put("sent", b"old", Terms())

    async with damaging(server.port) as endpoint:
        with pytest.raises(DependencyDown):
            await S3Store(replace(settings, endpoint=endpoint, checksum=checksum)).put("sent", BODY, Terms())

    assert (await store.get("sent", limit=9)).body == b"old"


async def test_without_a_checksum_reading_back_notices(server, settings):
    """And without either nobody does: what the two settings are for."""
    async with damaging(server.port) as endpoint:
        careless = replace(settings, endpoint=endpoint, checksum="none")
        await S3Store(careless).put("sent", BODY, Terms())
        with pytest.raises(StoreCorrupt):
            await S3Store(replace(careless, read_back=True)).put("sent", BODY, Terms())


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        ({"secret_access_key": Secret("no")}, (SourceForbidden, StoreRefused)),
        (
            {"access_key_id": Secret(""), "secret_access_key": Secret(""), "anonymous": True},
            (SourceForbidden, StoreRefused),
        ),
        ({"bucket": "nowhere"}, (SourceNotFound, StoreRefused)),
        ({"region": "elsewhere"}, None),
    ],
)
async def test_wrong_settings_are_no_riddle(settings, store, wrong, outcome):
    """Denied, or not there: not to be tried again, in words without names, with the cause."""
    await store.put("there", BODY, Terms())
    stranger = S3Store(replace(settings, **wrong))

    reading = pytest.raises(outcome[0] if outcome else (DependencyDown, SourceForbidden))
    with reading as read:
        await stranger.get("there", limit=len(BODY))
    with pytest.raises(outcome[1] if outcome else (DependencyDown, StoreRefused)) as written:
        await stranger.put("there", b"x", Terms())
    with pytest.raises(outcome[1] if outcome else (DependencyDown, StoreRefused)) as checked:
        await stranger.check()

    for caught in (read, written, checked):
        assert caught.value.__cause__ is not None
        assert not re.search(rf"{BUCKET}|nowhere|127\.0|{ACCESS_KEY}|there\b/", str(caught.value))
    assert (await store.get("there", limit=len(BODY))).body == BODY


async def test_what_cannot_lie_there(store):
    """This server keeps objects as files: below one there is no room. It says 409, which may or may not pass."""
    await store.put("a-file", BODY, Terms())

    with pytest.raises(DependencyDown):
        await store.put("a-file/below", BODY, Terms())


async def test_odd_keys_are_what_they_look_like(server, store):
    """None is decoded again, cut or joined: each is one object of that name."""
    keys = ["%2e%2e/%2fa", "a+b", "a b", "a%20b", "a?b#c&d=e", "é/日本", "~", "a;b", "a:b@c", "...", "-", "'\"<>`{}|^"]
    for key in keys:
        await store.put(f"odd/{key}", key.encode(), Terms())

    for key in keys:
        assert (await store.get(f"odd/{key}", limit=99)).body == key.encode()
        assert server.object(f"odd/{key}").read_bytes() == key.encode()
        assert fetch(await store.url(f"odd/{key}", good_for_s=60))[2] == key.encode()


async def test_no_key_leaves_the_prefix(settings, store):
    await store.put("outside", BODY, Terms())
    inside = S3Store(replace(settings, prefix="deep/er"))

    await inside.put("x", b"1", Terms())

    assert (await store.get("deep/er/x", limit=1)).body == b"1"
    for key in ("outside", "%2e%2e/%2e%2e/outside", "..%2f..%2foutside"):
        with pytest.raises(SourceNotFound):
            await inside.get(key, limit=len(BODY))


@pytest.mark.timed
async def test_a_dead_server_is_asked_so_often_and_no_more(tmp_path):
    """Each operation ends in the same error, soon, after its attempts; and works again when the server is back."""
    told = []
    with serving(tmp_path) as server:
        table = {k: Secret(v) if "key" in k else v for k, v in server.settings(write=True, attempts=3).items()}
        store = layered(Settings(**table), told)
        await store.put("a", BODY, Terms())
        server.kill()
        begun = time.monotonic()
        for call in (store.get("a", limit=len(BODY)), store.put("a", b"x", Terms()), store.stat("a")):
            with pytest.raises(DependencyDown) as caught:
                await call
            assert str(caught.value) == "the store failed, or is away"
        seconds = time.monotonic() - begun
        down = told[1:]
        server.start()

        assert (await store.get("a", limit=len(BODY))).body == BODY
    assert down == [(name, "dependency_down") for name in ("get", "put", "stat") for _ in range(3)]
    assert seconds < 5


async def test_a_server_that_comes_back_meanwhile_is_not_noticed(tmp_path):
    """A restart within the attempts costs a pause."""
    told = []
    with serving(tmp_path) as server:
        table = {k: Secret(v) if "key" in k else v for k, v in server.settings(write=True, attempts=10).items()}
        store = layered(Settings(**table), told)
        server.kill()
        writing = asyncio.create_task(store.put("a", BODY, Terms()))
        while ("put", "dependency_down") not in told:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(server.start)

        assert (await writing).body_bytes == len(BODY)
    assert told[-1] == ("put", "ok")


@pytest.mark.timed
async def test_a_server_that_hangs_is_left(server, settings):
    """After `timeout_s` of each attempt."""
    store = layered(replace(settings, timeout_s=0.2, attempts=2))
    await store.put("a", BODY, Terms())

    with server.frozen():
        begun = time.monotonic()
        with pytest.raises(SourceTimeout):
            await store.get("a", limit=len(BODY))
        with pytest.raises(DependencyDown):
            await store.put("a", b"x", Terms())
        seconds = time.monotonic() - begun

    assert 0.8 <= seconds < 3


CHILD = """
import asyncio, json, sys
from imagemill.model.errors import ImagemillError
from imagemill.settings import Secret
from imagemill.storage.base import Terms
from imagemill.storage.s3 import S3Store, Settings

async def main():
    store = S3Store(Settings(**{k: Secret(v) if "key" in k else v for k, v in json.loads(sys.argv[1]).items()}))
    try:
        print((await store.put("a", b"1", Terms())).body_bytes, (await store.get("a", limit=1)).body.decode())
    except ImagemillError as e:
        print(e.code)

asyncio.run(main())
"""


def in_a_process(table: dict, env: dict[str, str]) -> str:
    """What a process of its own prints, whose environment holds nothing of AWS but *env*."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SSL_"))} | {"HOME": "/nonexistent"}
    made = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(table)],
        env=clean | {"AWS_EC2_METADATA_DISABLED": "true"} | env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_a_virtual_host_names_the_bucket(server, tmp_path):
    """And the path does not: a server that looks there for it finds none.

    The server is reached as a proxy is, without any name server.
    """
    with serving(tmp_path, "--virtual-domain", "s3.test") as knowing:
        table = server.settings(write=True, endpoint="http://s3.test", addressing="virtual_host")

        assert in_a_process(table, {"http_proxy": f"http://127.0.0.1:{knowing.port}"}) == "1 1"
        assert knowing.object("a").read_bytes() == b"1"
        assert in_a_process(table, {"http_proxy": f"http://127.0.0.1:{server.port}"}) != "1 1"


def test_tls_is_judged_by_the_authorities_that_the_process_trusts(tmp_path):
    """Those of the system, or of ``SSL_CERT_FILE``; nobody else's certificate will do."""
    with serving_tls(tmp_path) as (server, authority):
        table = server.settings(write=True)

        assert in_a_process(table, {"SSL_CERT_FILE": str(authority)}) == "1 1"
        assert in_a_process(table, {}) == "dependency_down"


def test_credentials_come_from_where_every_program_has_them(server, tmp_path):
    """From the environment, or a profile; those of the settings go first; with none at all nothing is sent."""
    table = server.settings(write=True)
    bare = {k: v for k, v in table.items() if "key" not in k}
    file = tmp_path / "credentials"
    file.write_text(f"[mill]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    right = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    wrong = {"AWS_ACCESS_KEY_ID": "no", "AWS_SECRET_ACCESS_KEY": "no", "AWS_SESSION_TOKEN": "no"}
    shared = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}

    assert in_a_process(bare, right) == "1 1"
    assert in_a_process(bare | {"profile": "mill"}, shared) == "1 1"
    assert in_a_process(bare, shared | {"AWS_PROFILE": "mill"}) == "1 1"
    assert in_a_process(table, wrong) == "1 1"
    assert in_a_process(bare, {}) == "dependency_down"


class Metadata(BaseHTTPRequestHandler):
    """Who a machine or a container at Amazon asks for the keys of its role: only with the token that it was given.

    Source: EC2 user guide, "Use the Instance Metadata Service", version 2; ECS guide, "Task IAM role" (2026-11).
    """

    protocol_version = "HTTP/1.1"
    secret = SECRET_KEY
    machines = "/latest/meta-data/iam/security-credentials/"

    def do_PUT(self):
        self.answer("token" if self.path == "/latest/api/token" else "")

    def do_GET(self):
        # a real role's keys have a session token, which a server without temporary keys refuses
        keys = json.dumps({"Code": "Success", "AccessKeyId": ACCESS_KEY, "SecretAccessKey": self.secret, "Token": "",
                           "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"})  # fmt: skip
        header = "authorization" if self.path == "/container" else "x-aws-ec2-metadata-token"
        known = {self.machines: "mill", f"{self.machines}mill": keys, "/container": keys}
        self.answer(known.get(self.path, "") if self.headers[header] == "token" else "")

    def answer(self, body: str) -> None:
        self.send_response(200 if body else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_) -> None:
        """Say nothing."""


@contextmanager
def metadata(secret: str):
    """The address of a service that hands *secret* out."""
    service = ThreadingHTTPServer(("127.0.0.1", 0), type("Handing", (Metadata,), {"secret": secret}))
    thread = Thread(target=service.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{service.server_port}"
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


@pytest.mark.parametrize(
    "env",
    [
        {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "{}"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{}/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token"},
    ],
    ids=["machine", "container"],
)
def test_the_role_of_a_machine_or_a_container_is_asked_last(server, env):
    """Its keys are used where there are no others, and are what the server judges."""
    bare = {k: v for k, v in server.settings(write=True).items() if "key" not in k}
    others = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    with metadata(SECRET_KEY) as right, metadata("no") as wrong:
        assert in_a_process(bare, {k: v.format(right) for k, v in env.items()}) == "1 1"
        assert in_a_process(bare, {k: v.format(wrong) for k, v in env.items()}) == "store_refused"
        assert in_a_process(bare, others | {k: v.format(wrong) for k, v in env.items()}) == "1 1"
