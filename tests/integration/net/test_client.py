"""The one client against raw servers: rows of the threat list by id (S01 to S22, F01 to F13)."""

import asyncio
import contextlib
import datetime as dt
import gzip
import random
import socket
import ssl
import time

import aiohttp
import msgspec
import pytest
import trustme

from imagemill import __version__
from imagemill.model.entry import Validators
from imagemill.model.errors import (
    BadRequest,
    DependencyDown,
    Overloaded,
    SourceBadResponse,
    SourceForbidden,
    SourceNotFound,
    SourceTimeout,
    SourceTooLarge,
    SourceTruncated,
)
from imagemill.net import turns
from imagemill.net.client import Client, NotModified
from imagemill.net.connection import Connections, Hop, told
from imagemill.settings import Fetch, Sources
from support.raw import Server, body_of, by_path, drip, endless, moved, names, ok, reset, until

FETCH = Fetch(connect_s=10, first_byte_s=10, total_s=30, resolve_s=10, min_bytes_per_s=1000, slow_start_s=10)
"""Room for a busy machine, in tests that are not about time."""
BRIEF = Fetch(connect_s=0.4, first_byte_s=0.4, total_s=1.5, resolve_s=0.3, min_bytes_per_s=1000, slow_start_s=0.3)
FORBIDDEN = "the source address is not allowed"


def client(
    *servers: Server, fetch: Fetch = FETCH, networks=("127.0.0.0/8",), resolver=None, ssl_context=None, **sources
):
    ports = sources.pop("ports", tuple(s.port for s in servers) or (80, 443))
    return Client(
        Sources(ports=ports, allow_networks=networks, **sources),
        fetch,
        resolver=resolver,
        ssl_context=ssl_context,
    )


def settings(base: Fetch = FETCH, **changes) -> Fetch:
    return msgspec.structs.replace(base, **changes)


async def test_fetches():
    """A plain 200 comes back whole, with what its headers say."""
    answer = ok(
        b"x" * 300_000, 'ETag: "v1"', "Cache-Control: max-age=60", "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT"
    )
    async with Server(answer) as server, client(server) as it:
        got = await it.get(server.url("/a?b=c"), limit=300_000)

        assert got.body == b"x" * 300_000
        assert (got.etag, got.max_age_s, got.last_modified_s, got.storable) == ('"v1"', 60, 1_700_000_000, True)
        assert server.requests[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert (it.in_flight, it.buffered_bytes, it.known_hosts) == (0, 0, 0)


async def test_keeps_connections():
    async with Server(ok()) as server, client(server) as it:
        for _ in range(3):
            await it.get(server.url(), limit=100)

        assert server.accepted == 1


@pytest.mark.parametrize("framing", ["chunked", "close", "identity"])
async def test_framings(framing):
    """Chunked, closed by the end, and called identity: all whole bodies."""

    async def close(writer):
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nab")
        await writer.drain()
        writer.write(b"cde")
        writer.write_eof()
        await asyncio.sleep(0.05)

    answer = {
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
        "close": body_of(close),
        "identity": ok(b"abcde", "Content-Encoding: identity"),
    }[framing]
    async with Server(answer) as server, client(server) as it:
        assert (await it.get(server.url(), limit=5)).body == b"abcde"


# S01, S02
@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "x.localhost", "0.0.0.0", "0", "[::ffff:127.0.0.1]",
                                  "[::]", "[::1]", "[::ffff:0.0.0.0]", "2130706433", "127.1", "127.0.0.1.", "bad.test"])  # fmt: skip
async def test_no_packet_to_loopback(host):
    """S01, S02, S03, S08: a listener on loopback sees no connection, by any name."""
    async with Server(ok()) as canary, client(canary, networks=(), resolver=names({"bad.test": ["127.0.0.1"]})) as it:
        with pytest.raises((SourceForbidden, BadRequest)):
            await it.get(canary.url(host=host), limit=100)

        await asyncio.sleep(0.02)
        assert canary.accepted == 0


async def test_last_look_fails_closed(monkeypatch):
    """S01: with the first guard gone, the socket factory still refuses, literal or name."""
    monkeypatch.setattr("imagemill.net.client.check", lambda *_: None)
    monkeypatch.setattr(Connections, "addresses", lambda *_: asyncio.sleep(0, ["127.0.0.1"]))
    async with Server(ok()) as canary, client(canary, networks=()) as it:
        for host in ("127.0.0.1", "some.test"):
            with pytest.raises(SourceForbidden):
                await it.get(canary.url(host=host), limit=100)

        assert canary.accepted == 0


async def test_only_judged_addresses_are_dialled(monkeypatch):
    """S10: an address that policy allows, but that this hop did not judge, gets no socket."""
    monkeypatch.setattr(Connections, "addresses", lambda *_: asyncio.sleep(0, ["127.0.0.9"]))
    async with Server(ok()) as canary, client(canary) as it:
        with pytest.raises(SourceForbidden):
            await it.get(canary.url(), limit=100)

        assert canary.accepted == 0


async def test_no_socket_into_a_zone():
    """S18: an address with a scope gets no socket, even where the address without it was judged and allowed."""
    address = "2606:4700::1111"
    async with client() as it:
        with told(Hop([address], 1, keep=True)):
            it._out.socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 80, 0, 0))).close()
            with pytest.raises(PermissionError):
                it._out.socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 80, 0, 3)))


# S08
@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1%eth0", "x"]
)
async def test_names_of_bad_addresses(ip):
    async with Server(ok()) as canary, client(canary, networks=(), resolver=names({"n.test": [ip]})) as it:
        with pytest.raises(SourceForbidden, match=FORBIDDEN):
            await it.get(canary.url(host="n.test"), limit=100)

        assert canary.accepted == 0


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://localhost/", "http://n.test/", "http://none.test/", "http://h:22/"]
)
async def test_judges_before_it_fetches(url):
    """A job with a forbidden source is refused when it is submitted, by the same words, and nothing is connected to."""
    resolver = names({"n.test": ["8.8.8.8", "127.0.0.1"], "none.test": []})
    async with client(networks=(), resolver=resolver) as it:
        with pytest.raises(SourceForbidden, match=FORBIDDEN):
            await it.judge(url)


async def test_judging_gives_the_canonical_form():
    async with Server(ok()) as canary, client(canary, resolver=names({"n.test": ["127.0.0.1"]})) as it:
        assert await it.judge(f"HTTP://N.test.:{canary.port}") == f"http://n.test:{canary.port}/"

        with pytest.raises(BadRequest, match="source URL"):
            await it.judge("ftp://n.test/")
        assert canary.accepted == 0


@pytest.mark.timed
async def test_judging_does_not_wait_for_a_slow_resolver():
    """What cannot be said in time is said at the fetch."""
    async with client(ports=(80,), resolver=lambda *_: asyncio.sleep(30), fetch=BRIEF) as it:
        begun = time.monotonic()
        assert await it.judge("http://n.test/") == "http://n.test/"
        assert time.monotonic() - begun < 0.6


async def test_mixed_answers():
    """S09: one bad address condemns the name, wherever it stands."""
    answers = ["127.0.0.1", "127.0.0.2", "10.0.0.1"]
    dice = random.Random(9)
    orders = [dice.sample(answers, 3) for _ in range(100)]
    async with Server(ok()) as canary, client(canary, resolver=names({"n.test": orders})) as it:
        for _ in range(100):
            with pytest.raises(SourceForbidden):
                await it.get(canary.url(host="n.test"), limit=100)

        assert canary.accepted == 0


async def test_rebinding():
    """S10: one look-up a hop; what it said is where we go, and a later bad answer is refused."""
    resolver = names({"n.test": [["127.0.0.1"], ["10.0.0.1"]]})
    async with Server(ok()) as server, client(server, resolver=resolver) as it:
        await it.get(server.url(host="n.test"), limit=100)
        assert resolver.asked == ["n.test"]

        with pytest.raises(SourceForbidden):
            await it.get(server.url(host="n.test"), limit=100)
        assert resolver.asked == ["n.test", "n.test"]
        assert len(server.requests) == 1
        assert f"Host: n.test:{server.port}".encode() in server.requests[0]


async def test_rebinding_within_a_redirect():
    """S10, S11: the second hop to the same name is looked up and judged again."""
    resolver = names({"n.test": [["127.0.0.1"], ["10.0.0.1"]]})
    async with Server(moved("/next")) as server, client(server, resolver=resolver) as it:
        with pytest.raises(SourceForbidden):
            await it.get(server.url(host="n.test"), limit=100)

        assert len(server.requests) == 1


LOCATIONS = """http://10.0.0.1/ http://[::1]/ http://[::ffff:10.0.0.1]/ //10.0.0.1/ ///10.0.0.1/../x file:///etc/passwd
ftp://h/ gopher://h/ data:image/png,x javascript:alert(1) http://u@127.0.0.1:{port}/ http://127.0.0.1:1/ http://2130706433/
http://0x7f.1/ http://0/ http://169.254.169.254/latest https://metadata.google.internal/ http://[fe80::1%25eth0]/ http://h:0/
http://h:65536/ \\\\10.0.0.1\\ /\\10.0.0.1/ http:\\\\10.0.0.1 http://127.0.0.1:{port}\\@10.0.0.1/ /%zz http://①②⑦.0.0.1/
/ne\txt http://localhost:22/ http://no.test:{port}/ http://bad.test:{port}/ http://192.168.0.1:{port}/ HTTP://10.0.0.1 http://a\tb/
http://[64:ff9b::a00:1]:{port}/ //u@127.0.0.1:{port}/ unix:/x ws://127.0.0.1:{port}/""".replace("\n", " ").split(" ")


# S11
@pytest.mark.parametrize("location", LOCATIONS)
async def test_redirects_elsewhere(location):
    """A redirect to anything we would not have fetched itself is forbidden; `///` has no host and stays here."""
    resolver = names({"no.test": [], "bad.test": ["10.0.0.1"], "h": ["10.0.0.1"]})
    async with Server(lambda r: ok() if b"GET /10." in r else moved(location.format(port=server.port))) as server:
        async with client(server, resolver=resolver) as it:
            if location.startswith("///"):
                return
            with pytest.raises(SourceForbidden, match=FORBIDDEN):
                await it.get(server.url(), limit=100)

        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["/next", "next", "//127.0.0.1:{port}/next", "http://127.0.0.1:{port}/next#part", "?x"]
)
async def test_redirects_are_followed(status, location):
    async with (
        Server(
            lambda r: ok() if b"next" in r or b"?x" in r else moved(location.format(port=server.port), status)
        ) as server,
        client(server) as it,
    ):
        assert (await it.get(server.url(), limit=100)).body == b"picture"


async def test_redirect_bounds():
    """S11: five hops are followed, the sixth is not, and a loop ends at once."""
    chain = {str(n): moved(f"/{n + 1}") for n in range(9)} | {"6": ok(), "loop": moved("/loop"), "none": moved("")}
    async with Server(by_path(**chain)) as server, client(server) as it:
        await it.get(server.url("/1"), limit=100)
        with pytest.raises(SourceBadResponse):
            await it.get(server.url("/0"), limit=100)
        assert len(server.requests) == 6 + 6

        for path in ("/loop", "/none"):
            with pytest.raises(SourceBadResponse):
                await it.get(server.url(path), limit=100)
        assert len(server.requests) == 6 + 6 + 2


@pytest.mark.parametrize("status", [300, 304, 305, 306])
async def test_other_redirects_are_not(status):
    async with Server(moved("/next", status)) as server, client(server) as it:
        with pytest.raises(SourceBadResponse):
            await it.get(server.url(), limit=100)
        assert len(server.requests) == 1


async def test_allow_list_holds_for_each_hop():
    """S11, S19: a listed host cannot redirect past the list."""
    async with Server(moved("/secret/x")) as server, client(server, allow=("127.0.0.1/pics/",)) as it:
        with pytest.raises(SourceForbidden):
            await it.get(server.url("/pics/1"), limit=100)
        assert len(server.requests) == 1


# S13
@pytest.mark.parametrize("url", ["http://good@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@good/", "http://a@b@127.0.0.1:{port}/",
                                 "http://127.0.0.1:{port}#@good/", "http://127.0.0.1%40good:{port}/", "http://127.0\t.0.1:{port}/"])  # fmt: skip
async def test_userinfo(url):
    async with Server(ok()) as canary, client(canary) as it:
        with pytest.raises(BadRequest):
            await it.get(url.format(port=canary.port), limit=100)
        assert canary.accepted == 0


async def test_ports():
    """S14: an unlisted port sees no packet."""
    async with Server(ok()) as canary, client(ports=(80,)) as it:
        with pytest.raises(SourceForbidden):
            await it.get(canary.url(), limit=100)
        assert canary.accepted == 0


async def test_nothing_is_injected():
    """S15: line ends and spaces stay encoded, dot segments stay as they were judged."""
    async with Server(ok()) as server, client(server) as it:
        await it.get(server.url("/a%0d%0aX:y/../b c?q=é r"), limit=100)

        assert server.requests[0].splitlines()[0] == b"GET /a%0d%0aX:y/../b%20c?q=%C3%A9%20r HTTP/1.1"


async def test_environment_changes_nothing(monkeypatch, tmp_path):
    """S16: neither proxies nor .netrc are looked at."""
    (tmp_path / "netrc").write_text("default login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with Server(ok()) as proxy, Server(ok()) as server, client(server, proxy) as it:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.setenv("NO_PROXY", "")
        await it.get(server.url(), limit=100)

        assert proxy.accepted == 0
        assert b"Authorization" not in server.requests[0]


async def test_only_constant_headers_go_out():
    """S17: the same few headers every time; no cookie comes back, on this host or the next."""
    async with Server(ok(b"x", "Set-Cookie: a=b; Path=/")) as other:
        first = moved(other.url("/y", "localhost")).replace(b"Content", b"Set-Cookie: c=d; Path=/\r\nContent", 1)
        async with Server(first) as server, client(server, other) as it:
            for _ in range(2):
                await it.get(server.url("/x"), limit=100)

            for request, host in [(r, f"127.0.0.1:{server.port}") for r in server.requests] + [
                (r, f"localhost:{other.port}") for r in other.requests
            ]:
                assert sorted(request.decode().split("\r\n")[1:-2]) == sorted(
                    [
                        f"Host: {host}",
                        f"User-Agent: imagemill/{__version__}",
                        "Accept: image/*",
                        "Accept-Encoding: identity",
                    ]
                )
            assert (len(server.requests), len(other.requests)) == (2, 2)


async def test_user_agent_setting():
    async with Server(ok()) as server, client(server, user_agent="mill") as it:
        await it.get(server.url(), limit=100)
        assert b"User-Agent: mill\r\n" in server.requests[0]


AUTHORITY = trustme.CA()


def tls(certificate=None, **versions) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (certificate or AUTHORITY.issue_cert("good.localhost", "127.0.0.1")).configure_cert(context)
    for name, value in versions.items():
        setattr(context, name, value)
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@contextlib.asynccontextmanager
async def tls_server(context):
    server = Server(ok())
    await server.__aenter__(context)
    try:
        yield server
    finally:
        await server.__aexit__()


async def test_tls():
    """S22: a certificate of a trusted authority for this very name or address is accepted."""
    async with tls_server(tls()) as server, client(server, ssl_context=trusting()) as it:
        for host in ("good.localhost", "127.0.0.1"):
            assert (await it.get(server.url(host=host, scheme="https"), limit=100)).body == b"picture"


# S22
@pytest.mark.parametrize("fault", ["self-signed", "wrong host", "expired"])
async def test_tls_faults(fault):
    past = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    context = {
        "self-signed": lambda: tls(trustme.CA().issue_cert("good.localhost")),
        "wrong host": lambda: tls(AUTHORITY.issue_cert("other.localhost")),
        "expired": lambda: tls(AUTHORITY.issue_cert("good.localhost", not_after=past)),
    }[fault]()
    async with tls_server(context) as server, client(server, ssl_context=trusting()) as it:
        with pytest.raises(SourceBadResponse):
            await it.get(server.url(host="good.localhost", scheme="https"), limit=100)
        assert not server.requests


async def test_not_tls_at_all():
    """S22: what answers in the clear where TLS is due is a bad response."""

    async def greet(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client(ports=(port,)) as it:
            with pytest.raises(SourceBadResponse):
                await it.get(f"https://good.localhost:{port}/", limit=100)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_tls():
    """S22: TLS 1.1 is not spoken, even by a context that would."""
    loose = trusting()
    loose.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    loose.set_ciphers("ALL:@SECLEVEL=0")
    old = tls(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with tls_server(old) as server, client(server, ssl_context=loose) as it:
        assert loose.minimum_version == ssl.TLSVersion.TLSv1_2
        with pytest.raises(SourceBadResponse):
            await it.get(server.url(host="good.localhost", scheme="https"), limit=100)


async def test_pooled_tls_is_kept_by_name():
    """S22: a connection opened for one name is not used for another at the same address."""
    certificate = AUTHORITY.issue_cert("good.localhost")
    async with tls_server(tls(certificate)) as server, client(server, ssl_context=trusting()) as it:
        await it.get(server.url(host="good.localhost", scheme="https"), limit=100)
        with pytest.raises(SourceBadResponse):
            await it.get(server.url(host="evil.localhost", scheme="https"), limit=100)
        assert len(server.requests) == 1


# S14 and section 0
async def test_no_oracle():
    """Blocked, refused and unknown names answer with the same words."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        resolver = names({"no.test": []})
        async with client(ports=(port,), resolver=resolver) as it:
            for host in ("127.0.0.1", "10.0.0.1", "no.test"):
                for _ in range(FETCH.breaker_failures + 2):
                    with pytest.raises(SourceForbidden) as caught:
                        await it.get(f"http://{host}:{port}/", limit=100)
                    assert str(caught.value) == FORBIDDEN
                    assert type(caught.value) is SourceForbidden
                    assert caught.value.unreachable is (host != "10.0.0.1")


async def test_nobody_answering_is_told_apart_for_the_caches():
    """A refused connection is an outage, also once the host is left alone for it; a blocked address is none."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with client(ports=(port,)) as it:
            for _ in range(FETCH.breaker_failures + 2):
                with pytest.raises(SourceForbidden, match=FORBIDDEN) as caught:
                    await it.get(f"http://127.0.0.1:{port}/", limit=100)
                assert caught.value.unreachable


async def test_system_resolver():
    """The system is asked with plain bytes, off the loop, and what it cannot find is forbidden."""
    async with client(ports=(80,)) as it:
        with pytest.raises(SourceForbidden):
            await it.get("http://does-not-exist.invalid/", limit=100)


@pytest.mark.timed
async def test_slow_resolver():
    async def resolve(host, port):
        await asyncio.sleep(30)

    async with client(ports=(80,), resolver=resolve, fetch=BRIEF) as it:
        begun = time.monotonic()
        with pytest.raises(SourceTimeout):
            await it.get("http://n.test/", limit=100)
        assert time.monotonic() - begun < 0.6


async def test_endless_body():
    """F01: cut at the limit; nothing like the whole is read."""
    async with Server(body_of(endless)) as server, client(server) as it:
        with pytest.raises(SourceTooLarge):
            await it.get(server.url(), limit=1_000_000)

        assert it.buffered_bytes == 0
        await until(lambda: server.open == 0)


async def test_limit_is_inclusive():
    async with Server(ok(b"12345678")) as server, client(server) as it:
        assert (await it.get(server.url(), limit=8)).body == b"12345678"
        with pytest.raises(SourceTooLarge, match="8 > 7 bytes"):
            await it.get(server.url(), limit=7)


# F02
@pytest.mark.parametrize(
    ("head", "error"),
    [
        ("Content-Length: 99999", SourceTooLarge),
        ("Content-Length: 9223372036854775808", (SourceTooLarge, SourceBadResponse)),
        ("Content-Length: 99999999999999999999999999", (SourceTooLarge, SourceBadResponse)),
        ("Content-Length: 9", SourceTruncated),
        ("Content-Length: -3", SourceBadResponse),
        ("Content-Length: +3", SourceBadResponse),
        ("Content-Length: 3e", SourceBadResponse),
        ("Content-Length: 3, 4", SourceBadResponse),
        ("Content-Length: 3\r\nContent-Length: 4", SourceBadResponse),
        ("Transfer-Encoding: chunked", SourceTruncated),
        ("Transfer-Encoding: gzip, chunked", SourceBadResponse),
        ("Transfer-Encoding: gzip", SourceBadResponse),
    ],
)
async def test_lying_lengths(head, error):
    async def answer(writer):
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + (b"3\r\nabc\r\n" if "chunked" in head else b"abc"))
        writer.write_eof()
        await asyncio.sleep(0.05)

    async with Server(body_of(answer)) as server, client(server) as it:
        with pytest.raises(error):
            await it.get(server.url(), limit=1000)


@pytest.mark.timed
async def test_announced_too_large_is_not_read():
    """F02: a length above the limit is refused before the body comes."""

    async def answer(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
        await asyncio.sleep(30)

    async with Server(body_of(answer)) as server, client(server) as it:
        begun = time.monotonic()
        with pytest.raises(SourceTooLarge):
            await it.get(server.url(), limit=1000)
        assert time.monotonic() - begun < 2, "at once, and not after the 30 s of the body"


BOMB = gzip.compress(bytes(20_000_000))


# F03
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", BOMB),
        ("gzip", gzip.compress(BOMB, mtime=0)),
        ("gzip, gzip", gzip.compress(BOMB, mtime=0)),
        ("x-gzip", gzip.compress(b"", mtime=0) * 10_000),
        ("GZIP", gzip.compress(b"small", mtime=0)),
        ("deflate", b"x"),
        ("br", b"x"),
        ("zstd", b"x"),
        ("identity, gzip", b"x"),
        ("aes128gcm", b"x"),
    ],
)
async def test_encoded_bodies(coding, body):
    async with Server(ok(body, f"Content-Encoding: {coding}")) as server, client(server) as it:
        with pytest.raises(SourceBadResponse):
            await it.get(server.url(), limit=1_000_000)


async def test_gzip_files_are_left_alone():
    """F03: a body that merely is gzip comes through as it is, never unpacked."""
    async with Server(ok(BOMB)) as server, client(server) as it:
        assert (await it.get(server.url(), limit=1_000_000)).body == BOMB


async def test_nothing_is_unpacked_on_the_way(monkeypatch):
    """F03: with the first wall gone, the library still hands the body over as it came, not twenty million bytes."""
    monkeypatch.setattr("imagemill.net.client._check_coding", lambda _response: None)
    async with Server(ok(BOMB, "Content-Encoding: gzip")) as server, client(server) as it:
        assert (await it.get(server.url(), limit=1_000_000)).body == BOMB


# F04
@pytest.mark.timed
@pytest.mark.parametrize(
    ("answer", "within_s"),
    [
        (drip(b"", b"", 1), 0.6),
        (drip(b"", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 99, 0.1), 0.6),
        (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x" * 999, 0.02), 0.6),
        (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"", 1), 0.6),
        (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + b"x" * 900, b"", 1), 1.2),
        (drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 9, 0.05), 0.6),
    ],
    ids=["silent", "slow head", "slow body", "no body", "stalls at 90 %", "slow interim"],
)
async def test_slow_sources(answer, within_s):
    """Each kind of slowness ends in time, and frees its place and its connection."""
    async with Server(answer) as server, client(server, fetch=BRIEF) as it:
        begun = time.monotonic()
        with pytest.raises(SourceTimeout):
            await it.get(server.url(), limit=10_000)

        assert time.monotonic() - begun < within_s
        await until(lambda: server.open == 0)
        assert it.in_flight == it.buffered_bytes == 0


@pytest.mark.timed
async def test_total_deadline():
    """F04: fast enough at every moment, and still too long."""

    async def answer(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 500)
            await asyncio.sleep(0.05)

    async with Server(body_of(answer)) as server, client(server, fetch=settings(BRIEF, total_s=0.7)) as it:
        begun = time.monotonic()
        with pytest.raises(SourceTimeout):
            await it.get(server.url(), limit=10_000_000)
        assert 0.6 < time.monotonic() - begun < 1


@pytest.mark.timed  # more than one hop has to come within the time
async def test_total_deadline_covers_all_hops():
    async def answer(writer):
        await asyncio.sleep(0.25)
        writer.write(moved(f"/{random.random()}"))
        await asyncio.sleep(0.05)

    async with Server(body_of(answer)) as server, client(server, fetch=settings(BRIEF, total_s=0.6)) as it:
        with pytest.raises(SourceTimeout):
            await it.get(server.url(), limit=100)
        assert len(server.requests) in {2, 3}


@pytest.mark.timed
async def test_first_byte_counts_from_the_request():
    """The wait for an answer is first_byte_s, not connect_s more."""
    async with Server(drip(b"", b"", 1)) as server, client(server, fetch=settings(BRIEF, connect_s=5, total_s=9)) as it:
        begun = time.monotonic()
        with pytest.raises(SourceTimeout):
            await it.get(server.url(), limit=100)
        assert time.monotonic() - begun < 0.6


@pytest.mark.timed
async def test_connect_timeout():
    """F04: a listener that never accepts: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            async with client(ports=(port,), fetch=BRIEF) as it:
                begun = time.monotonic()
                with pytest.raises(SourceTimeout):
                    await it.get(f"http://127.0.0.1:{port}/", limit=100)
                assert time.monotonic() - begun < 0.7
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.timed
async def test_slow_handshake():
    """F04: a listener that is connected to and never speaks TLS is given up long before the whole time has passed."""
    async with Server(drip(b"", b"", 1)) as server, client(server, fetch=settings(BRIEF, total_s=9)) as it:
        begun = time.monotonic()
        with pytest.raises(SourceTimeout):
            await it.get(server.url(host="good.localhost", scheme="https"), limit=100)
        assert time.monotonic() - begun < 3


# F05
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"y" * 1_000_000 + b"\r\n\r\n",
        ok(b"x", *(f"X-{n}: y" for n in range(500))),
        ok(b"x", "X: " + "y" * 20_000),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000 + ok(),
        (b"HTTP/1.1 103 Early Hints\r\nLink: " + b"y" * 8000 + b"\r\n\r\n") * 17 + ok(),
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
        b"\0" * 1000,
        b"220 smtp ready\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n z\r\n\0: 1\r\n\r\n",
    ],
    ids=[
        "many",
        "long",
        "long status",
        "too many",
        "too long",
        "interim",
        "hints",
        "upgrade",
        "zeros",
        "smtp",
        "version",
        "junk",
    ],
)
async def test_head_floods(answer):
    async with Server(answer) as server, client(server) as it:
        with pytest.raises(SourceBadResponse):
            await it.get(server.url(), limit=10_000)


# F06
@pytest.mark.parametrize(
    "chunks",
    [
        b"1\r\nx\r\n" * 300_000 + b"0\r\n\r\n",
        b"1;" + b"y" * 2_000_000 + b"\r\nx\r\n0\r\n\r\n",
        b"xyz\r\n",
        b"-1\r\nx",
        b"ffffffffffffffffff\r\nx",
    ],
    ids=["trickle", "extension", "junk", "negative", "overflow"],
)
async def test_chunk_abuse(chunks):
    async def answer(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        await writer.drain()
        await asyncio.sleep(0.2)

    async with Server(body_of(answer)) as server, client(server) as it:
        begun = time.process_time()
        with pytest.raises((SourceBadResponse, SourceTruncated, SourceTooLarge)):
            await it.get(server.url(), limit=10_000_000)
        assert time.process_time() - begun < 2


# F08
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (201, SourceBadResponse), (202, SourceBadResponse), (204, SourceBadResponse), (205, SourceBadResponse),
        (206, SourceBadResponse), (304, SourceBadResponse), (400, SourceBadResponse), (401, SourceBadResponse),
        (403, SourceBadResponse), (404, SourceNotFound), (410, SourceNotFound), (418, SourceBadResponse),
        (429, SourceBadResponse), (500, SourceBadResponse), (503, SourceBadResponse), (999, SourceBadResponse),
    ],
)  # fmt: skip
async def test_statuses(status, error):
    answer = ok(b"an error page: top secret", "Content-Range: bytes 5-9/99").replace(b"200 OK", b"%d No" % status)
    async with Server(answer) as server, client(server) as it:
        with pytest.raises(error) as caught:
            await it.get(server.url(), limit=100)
        assert "secret" not in str(caught.value)
        assert caught.value.retryable is (error is SourceBadResponse)


# F09
@pytest.mark.parametrize("head", ["Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n"])
@pytest.mark.parametrize("faults", [1, 9])
async def test_reset_in_the_body(head, faults):
    """A reset body is asked for once more, and never taken for whole."""

    async def broken(writer):
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + (b"2\r\nab\r\n" if "chunked" in head else b"ab"))
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    async with Server(lambda _: broken if len(server.requests) <= faults else ok()) as server, client(server) as it:
        if faults == 1:
            assert (await it.get(server.url(), limit=100)).body == b"picture"
        else:
            with pytest.raises((SourceTruncated, SourceBadResponse)):
                await it.get(server.url(), limit=100)
        assert len(server.requests) == 2


@pytest.mark.parametrize("faults", [1, 9])
async def test_reset_before_the_answer(faults):
    async def broken(writer):
        reset(writer)

    async with Server(lambda _: broken if len(server.requests) <= faults else ok()) as server, client(server) as it:
        if faults == 1:
            assert (await it.get(server.url(), limit=100)).body == b"picture"
        else:
            with pytest.raises(SourceBadResponse):
                await it.get(server.url(), limit=100)
        assert len(server.requests) == 2


async def test_short_body_is_asked_for_twice():
    """F02, F09: truncated once is healed, truncated twice is said."""

    async def short(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
        writer.write_eof()
        await asyncio.sleep(0.05)

    async with Server(lambda _: short if len(server.requests) == 1 else ok()) as server, client(server) as it:
        assert (await it.get(server.url(), limit=100)).body == b"picture"
    async with Server(body_of(short)) as server, client(server) as it:
        with pytest.raises(SourceTruncated):
            await it.get(server.url(), limit=100)
        assert len(server.requests) == 2


# F10
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_breaker(status):
    """After enough failures nothing is sent; later one probe is, and one good answer heals."""
    bad = ok().replace(b"200 OK", b"%d No" % status)
    now_s = 0.0
    fetch = settings(breaker_failures=3, breaker_s=60)
    async with Server(bad) as server, client(server, fetch=fetch) as it:
        it._turns._clock = lambda: now_s
        for _ in range(3):
            with pytest.raises(SourceBadResponse):
                await it.get(server.url(), limit=100)
        for _ in range(5):
            with pytest.raises(DependencyDown) as caught:
                await it.get(server.url(), limit=100)
            assert caught.value.retry_after_s >= 1
        assert len(server.requests) == 3

        now_s = 61.0
        got = await asyncio.gather(*(it.get(server.url(), limit=100) for _ in range(9)), return_exceptions=True)
        assert len(server.requests) == 4
        assert sorted(type(e).__name__ for e in got) == ["DependencyDown"] * 8 + ["SourceBadResponse"]

        now_s = 122.0
        server.answer = ok()
        for _ in range(3):
            await it.get(server.url(), limit=100)
        assert it.known_hosts == 0


async def test_breaker_counts_timeouts_not_answers():
    """F10: a 404 shows that the host is up."""
    fetch = settings(breaker_failures=2)
    hasty = settings(fetch, first_byte_s=0.05)
    silent = drip(b"", b"", 1)(b"")
    missing = ok().replace(b"200", b"404")
    async with Server(by_path(slow=silent, none=missing)) as server, client(server, fetch=fetch) as it:
        for path, error in [("/slow", SourceTimeout), ("/none", SourceNotFound)] * 3:
            it._fetch = hasty if error is SourceTimeout else fetch  # a busy machine may need more to say 404
            with pytest.raises(error):
                await it.get(server.url(path), limit=100)
        it._fetch = hasty
        for _ in range(2):
            with pytest.raises(SourceTimeout):
                await it.get(server.url("/slow"), limit=100)
        with pytest.raises(DependencyDown):
            await it.get(server.url("/none"), limit=100)


async def test_cancelled_probe_frees_the_breaker():
    fetch = settings(breaker_failures=1, breaker_s=0.05)
    async with Server(ok().replace(b"200", b"500")) as server, client(server, fetch=fetch) as it:
        with pytest.raises(SourceBadResponse):
            await it.get(server.url(), limit=100)
        await asyncio.sleep(0.06)
        server.answer = drip(b"", b"", 1)
        probe = asyncio.create_task(it.get(server.url(), limit=100))
        await until(lambda: len(server.requests) == 2)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe

        server.answer = ok()
        assert await it.get(server.url(), limit=100)


@pytest.mark.timed
async def test_one_slow_host_leaves_the_others():
    """F11: 200 requests hang at A; B answers as before; past A's queue nothing waits."""
    fetch = settings(first_byte_s=9, total_s=9, per_host=4, per_host_queue=6)
    async with Server(drip(b"", b"", 1)) as a, Server(ok()) as b, client(a, b, fetch=fetch) as it:
        hung = [asyncio.create_task(it.get(a.url(), limit=100)) for _ in range(200)]
        await until(lambda: (len(a.requests), it.in_flight) == (4, 10))
        assert a.accepted == 4

        begun = time.monotonic()
        for _ in range(20):
            await it.get(b.url(), limit=100)
        assert time.monotonic() - begun < 0.5

        for task in hung:
            task.cancel()
        ends = await asyncio.gather(*hung, return_exceptions=True)
        assert sum(isinstance(e, Overloaded) for e in ends) == 190
        assert (it.in_flight, it.buffered_bytes, it.known_hosts) == (0, 0, 0)
        await until(lambda: a.open == 0)


async def test_waiting_ones_get_their_turn():
    """A place changes hands; whoever gives up waiting loses nothing for the others."""
    fetch = settings(per_host=1, per_host_queue=50)

    async def slow(writer):
        await asyncio.sleep(0.01)
        writer.write(ok())
        await writer.drain()

    async with Server(body_of(slow)) as server, client(server, fetch=fetch) as it:
        tasks = [asyncio.create_task(it.get(server.url(), limit=100)) for _ in range(20)]
        await asyncio.sleep(0.03)
        for task in tasks[::2]:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)

        assert sum(isinstance(e, BaseException) for e in ends) <= 10
        assert (it.in_flight, it.known_hosts) == (0, 0)
        assert (await it.get(server.url(), limit=100)).body == b"picture"


async def test_waiting_too_long_is_overload():
    fetch = settings(per_host=1, total_s=0.3, first_byte_s=5, connect_s=5)
    async with Server(drip(b"", b"", 1)) as server, client(server, fetch=fetch) as it:
        first = asyncio.create_task(it.get(server.url(), limit=100))
        await until(lambda: len(server.requests) == 1)
        ends = await asyncio.gather(first, *(it.get(server.url(), limit=100) for _ in range(2)), return_exceptions=True)
        assert isinstance(ends[0], SourceTimeout)
        assert isinstance(ends[2], Overloaded)


async def test_total_concurrency():
    fetch = settings(total=2, first_byte_s=5, total_s=5)
    async with Server(drip(b"", b"", 1)) as a, Server(ok()) as b, client(a, b, fetch=fetch) as it:
        hung = [asyncio.create_task(it.get(a.url(), limit=100)) for _ in range(2)]
        await until(lambda: len(a.requests) == 2)
        with pytest.raises(Overloaded):
            await it.get(b.url(), limit=100)
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
        assert await it.get(b.url(), limit=100)


async def test_unfinished_bytes_are_bounded():
    async def half(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 40_000)
        await asyncio.sleep(30)

    fetch = settings(inflight_bytes=100_000, slow_start_s=5)
    async with Server(body_of(half)) as server, client(server, fetch=fetch) as it:
        held = [asyncio.create_task(it.get(server.url(), limit=100_000)) for _ in range(2)]
        await until(lambda: it.buffered_bytes == 80_000)
        with pytest.raises(Overloaded):
            await it.get(server.url(), limit=100_000)
        assert it.buffered_bytes == 80_000

        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        assert it.buffered_bytes == 0


@pytest.mark.parametrize("phase", ["resolve", "head", "body", "queue"])
async def test_cancelling_frees_everything_at_once(phase):
    """Cancelled anywhere: no counter is left, the connection is closed."""

    async def resolve(host, port):
        await asyncio.sleep(30 if phase == "resolve" else 0)
        return ["127.0.0.1"]

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 4000
    fetch = settings(resolve_s=9, first_byte_s=9, slow_start_s=9, total_s=9, per_host=1)
    async with (
        Server(drip(head if phase == "body" else b"", b"", 1)) as server,
        client(server, fetch=fetch, resolver=resolve) as it,
    ):
        tasks = [
            asyncio.create_task(it.get(server.url(host="n.test"), limit=99_000)) for _ in range(1 + (phase == "queue"))
        ]
        await until(lambda: server.requests or phase == "resolve")
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert (it.in_flight, it.buffered_bytes, it.known_hosts) == (0, 0, 0)
        await until(lambda: server.open == 0)


async def test_only_get_is_sent():
    """F12: no HEAD is asked, so none is believed."""
    async with Server(ok()) as server, client(server) as it:
        await it.get(server.url(), limit=100)
        assert [r.split()[0] for r in server.requests] == [b"GET"]


# F13
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["Cache-Control: max-age=1e99"], ("", 0, 0, True)),
        (["Cache-Control: max-age=99999999999999999999"], ("", 0, 31_536_000, True)),
        (["Cache-Control: private", "Cache-Control: max-age=5"], ("", 0, 5, False)),
        (["Expires: 0"], ("", 0, 0, True)),
        (["ETag: " + "x" * 8000, "Last-Modified: yesterday"], ("", 0, None, True)),
        (["ETag: a\tb"], ("", 0, None, True)),
        (["ETag: \xff\xfe"], ("", 0, None, True)),
    ],
)
async def test_hostile_validators(headers, expected):
    async with Server(ok(b"x", *headers)) as server, client(server) as it:
        got = await it.get(server.url(), limit=100)
        assert (got.etag, got.last_modified_s, got.max_age_s, got.storable) == expected


async def test_hosts_are_forgotten(monkeypatch):
    """However many hosts fail, only so many are remembered."""
    monkeypatch.setattr(turns, "MAX_HOSTS", 10)
    async with Server(ok().replace(b"200", b"500")) as server, client(server) as it:
        for n in range(30):
            with pytest.raises(SourceBadResponse):
                await it.get(server.url(host=f"h{n}.localhost"), limit=100)
        assert it.known_hosts == 10


async def test_idle_connections_are_bounded():
    """Each host leaves a connection behind until there are enough of them."""
    async with Server(ok()) as server, client(server, fetch=settings(total=3)) as it:
        for n in range(30):
            await it.get(server.url(host=f"h{n}.localhost"), limit=100)
        await until(lambda: server.open <= 7)


async def test_observer_sees_codes():
    seen = []
    async with Server(by_path(a=ok(), b=ok().replace(b"200", b"404"))) as server:
        it = Client(
            Sources(ports=(server.port,), allow_networks=("127.0.0.0/8",)),
            FETCH,
            observe=lambda code, s: seen.append(code),
        )
        await it.get(server.url("/a"), limit=100)
        with pytest.raises(SourceNotFound):
            await it.get(server.url("/b"), limit=100)
        with pytest.raises(BadRequest):
            await it.get("x", limit=100)
        await it.close()
    assert seen == ["ok", "source_not_found", "bad_request"]


async def test_aiohttp_still_bypasses_resolvers_for_literals():
    """The reason for the socket factory; when this fails, read the connector again."""
    connector = aiohttp.TCPConnector()
    assert (await connector._resolve_host("127.0.0.1", 80))[0]["host"] == "127.0.0.1"
    await connector.close()


def conditions(request: bytes) -> dict[bytes, bytes]:
    lines = [line.partition(b": ") for line in request.split(b"\r\n")]
    return {name: value for name, _, value in lines if name.lower().startswith(b"if-")}


def unchanged(*headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 304 Not Modified", *headers]).encode() + b"\r\n\r\n"


DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize("etag", ['"v1"', 'W/"v1"', '""', '"a/b+c=d"', '"' + "x" * 200 + '"'])
@pytest.mark.parametrize("date", [True, False])
async def test_asks_by_the_tag_as_it_came(etag, date):
    """If-None-Match is what the source gave, byte for byte, and goes alone."""
    headers = [f"ETag: {etag}", *([f"Last-Modified: {DATE}"] if date else [])]
    async with (
        Server(lambda r: unchanged("Cache-Control: max-age=7") if b"If-" in r else ok(b"x", *headers)) as server,
        client(server) as it,
    ):
        got = await it.get(server.url(), limit=100)
        again = await it.get(server.url(), limit=100, known=Validators(got.etag, got.last_modified_s))

        assert again == NotModified(7, storable=True)
        assert [conditions(r) for r in server.requests] == [{}, {b"If-None-Match": etag.encode()}]
        assert server.accepted == 1


async def test_asks_by_the_date_where_there_is_no_tag():
    async with (
        Server(
            lambda r: unchanged("Cache-Control: private") if b"If-" in r else ok(b"x", f"Last-Modified: {DATE}")
        ) as server,
        client(server) as it,
    ):
        got = await it.get(server.url(), limit=100)
        again = await it.get(server.url(), limit=100, known=Validators(got.etag, got.last_modified_s))

        assert again == NotModified(None, storable=False)
        assert conditions(server.requests[1]) == {b"If-Modified-Since": DATE.encode()}


@pytest.mark.parametrize("known", [Validators(), Validators("unquoted"), Validators('"a"b"')])
async def test_a_304_that_nobody_asked_for(known):
    """Nothing was known that could be asked by, so nothing can be unchanged."""
    async with Server(unchanged('ETag: "v1"')) as server, client(server) as it:
        with pytest.raises(SourceBadResponse, match="304"):
            await it.get(server.url(), limit=100, known=known)

        assert conditions(server.requests[0]) == {}


async def test_a_changed_source_comes_whole():
    """Asked whether it has changed, it has: its bytes, and what it says of them now."""
    async with Server(ok(b"new", 'ETag: "v2"')) as server, client(server) as it:
        got = await it.get(server.url(), limit=100, known=Validators('"v1"'))

        assert (got.body, got.etag) == (b"new", '"v2"')


@pytest.mark.parametrize("validator", ['ETag: "1"', f"Last-Modified: {DATE}"])
async def test_no_condition_goes_beyond_a_redirect(validator):
    """What a redirect leads to may be another file with the same tag, or an older one: it is fetched whole each time."""
    first = [moved("/1"), moved("/2")]
    answers = {"1": ok(b"one", validator), "2": ok(b"two", validator), "root": None}

    def answer(request):
        return by_path(**answers)(request) or (first[0] if len(first) == 1 else first.pop(0))

    async with Server(lambda r: answer(r) if b"If-" not in r else unchanged()) as server, client(server) as it:
        got = await it.get(server.url(), limit=100)
        again = await it.get(server.url(), limit=100, known=Validators(got.etag, got.last_modified_s))

        assert (got.body, again.body) == (b"one", b"two")
        assert got.etag.startswith("moved-")
        assert [conditions(r) for r in server.requests] == [{}] * 4


async def test_where_it_was_asked_by_is_asked_by_again():
    """A source that redirects of late is asked by its own tag at its own place, and by nothing after it."""
    async with Server(by_path(root=moved("/1"), **{"1": ok(b"one", 'ETag: "1"')})) as server, client(server) as it:
        got = await it.get(server.url(), limit=100, known=Validators('"1"'))

        assert got.body == b"one"
        assert [conditions(r) for r in server.requests] == [{b"If-None-Match": b'"1"'}, {}]


async def test_an_unmoved_version_stays_one():
    """A redirect to another address each time (signed ones) is no other version where its tag is the same."""
    where = iter("12")
    async with (
        Server(lambda r: moved(f"/x?{next(where)}") if b"GET / " in r else ok(b"one", 'ETag: "1"')) as server,
        client(server) as it,
    ):
        got = [await it.get(server.url(), limit=100) for _ in range(2)]

        assert got[0].etag == got[1].etag


@pytest.mark.parametrize(
    "etag", ['"a\r\nX-Evil: 1"', '"a\nb"', '"a"b"', "a b", '"' + "x" * 8192 + '"', '"\x7f"', '"\u00e9"', '"', "W/", "*"]
)
async def test_hostile_tags_never_reach_the_wire(etag):
    """Whatever a cache or another node holds: a tag that is none is not asked by, and nothing is in its place."""
    async with Server(ok(b"x")) as server, client(server) as it:
        assert (await it.get(server.url(), limit=100, known=Validators(etag, 1_700_000_000))).body == b"x"

        assert conditions(server.requests[0]) == {}
        assert b"X-Evil" not in server.requests[0]
