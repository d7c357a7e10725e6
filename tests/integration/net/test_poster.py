"""The poster against raw receivers: rows J09 and J10 of the threat list, and of section 1 by id."""

import asyncio
import socket
import ssl
import time

import pytest
import trustme

from imagemill import __version__
from imagemill.model.errors import BadRequest, Overloaded, SourceBadResponse, SourceForbidden, SourceTimeout
from imagemill.net import poster as poster_module
from imagemill.net.connection import Connections
from imagemill.net.poster import Poster
from imagemill.settings import Callbacks
from support.raw import Server, body_of, drip, endless, moved, names, ok, reset, until

FORBIDDEN = "the source address is not allowed"
BODY = b'{"type":"job.succeeded"}'
HEADERS = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
AUTHORITY = trustme.CA()


def poster(*servers: Server, networks=("127.0.0.0/8",), resolver=None, ssl_context=None, **changes) -> Poster:
    ports = changes.pop("ports", tuple(s.port for s in servers) or (443,))
    settings = Callbacks(**{"allow_http": True, "ports": ports, "allow_networks": networks} | changes)
    return Poster(settings, resolver=resolver, ssl_context=ssl_context)


async def send(it: Poster, url: str, timeout_s=10) -> int:
    return await it.post(url, BODY, HEADERS, timeout_s)


async def test_posts():
    """The body as it is, the given headers, and beside them always the same few."""
    async with Server(ok()) as server, poster(server) as it:
        assert await send(it, server.url("/hook?a=b")) == 200

        assert server.bodies == [BODY]
        first, *fields = server.requests[0].decode().split("\r\n")[:-2]
        assert first == "POST /hook?a=b HTTP/1.1"
        assert sorted(fields) == sorted(
            [
                f"Host: 127.0.0.1:{server.port}",
                f"User-Agent: imagemill/{__version__}",
                "Content-Type: application/json",
                f"Content-Length: {len(BODY)}",
                "Accept: */*",
                "Accept-Encoding: identity",
                "Connection: close",
                *(f"{name}: {value}" for name, value in HEADERS.items()),
            ]
        )


async def test_nothing_is_remembered():
    """Each message has a connection of its own, and no cookie comes back."""
    async with Server(ok(b"x", "Set-Cookie: a=b; Path=/")) as server, poster(server) as it:
        for _ in range(2):
            await send(it, server.url())

        assert server.accepted == 2
        assert b"ookie" not in server.requests[1]
        await until(lambda: server.open == 0)


# J09, as S01 to S07 and S12 to S14
FORBIDDEN_URLS = [
    "http://127.0.0.1/",
    "http://127.8.8.8/",
    "http://localhost/",
    "http://x.localhost/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:0.0.0.0]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://metadata.google.internal/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://example.com:22/",
    "http://example.com:6379/",
    "http://example.com:8080/",
    "https://example.com:80443/",
]
ILL_FORMED_URLS = ["http://0/", "http://2130706433/", "http://127.1/", "http://0x7f.1/", "http://0177.0.0.1/", "http://u@example.com/", "file:///etc/passwd", "http://127.0.0.1\\@example.com/", "http://example.com#@127.0.0.1/", "gopher://example.com/", "http://[fe80::1%25eth0]/", "http://①②⑦.0.0.1/", "x", "http://example.com:0/", "http://xn--127-/", "http://example.com/%zz", "unix:/run/x", "http://ex%61mple.com/", "//example.com/"]  # fmt: skip


@pytest.mark.parametrize("url", FORBIDDEN_URLS[:-1])
async def test_forbidden_addresses(url):
    """At submission and at each call, by the same words, and the resolver is not even asked."""
    resolver = names({})
    async with poster(networks=(), resolver=resolver) as it:
        for call in (it.judge(url), send(it, url)):
            with pytest.raises(SourceForbidden, match=FORBIDDEN):
                await call
        with pytest.raises(SourceForbidden):
            it.check(url)

        assert resolver.asked == []


@pytest.mark.parametrize("url", [*ILL_FORMED_URLS, FORBIDDEN_URLS[-1]])
async def test_ill_formed_addresses(url):
    async with poster(networks=()) as it:
        for call in (it.judge(url), send(it, url)):
            with pytest.raises(BadRequest, match="callback URL"):
                await call


# S08
@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1%eth0", "64:ff9b::a00:1", "x"]
)
async def test_names_of_bad_addresses(ip):
    """A name that leads to a forbidden address, alone or beside a good one, is forbidden; nobody is connected to."""
    zone = names({"n.test": [ip], "mixed.test": ["8.8.8.8", ip]})
    async with Server(ok()) as canary, poster(canary, networks=(), resolver=zone) as it:
        for host in ("n.test", "mixed.test"):
            for call in (it.judge(canary.url(host=host)), send(it, canary.url(host=host))):
                with pytest.raises(SourceForbidden, match=FORBIDDEN):
                    await call

        assert canary.accepted == 0


async def test_no_switch_opens_metadata():
    """S07: also where private networks and everything else may be called."""
    async with poster(networks=("0.0.0.0/0", "::/0"), allow_private_networks=True) as it:
        for host in ("169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "metadata.google.internal"):
            with pytest.raises(SourceForbidden):
                await it.judge(f"http://{host}/")


async def test_rebinding():
    """S10, J09: allowed when submitted, private when called: it is judged anew, and nothing goes out."""
    zone = names({"n.test": [["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"]]})
    async with Server(ok()) as server, poster(server, resolver=zone) as it:
        url = server.url(host="n.test")
        assert await it.judge(url) == url
        assert await send(it, url) == 200
        with pytest.raises(SourceForbidden):
            await send(it, url)
        assert await send(it, url) == 200

        assert zone.asked == ["n.test"] * 4
        assert server.accepted == 2
        assert f"Host: n.test:{server.port}".encode() in server.requests[0]


async def test_only_judged_addresses_are_dialled(monkeypatch):
    """S10: an address that policy allows, but that this call did not judge, gets no socket."""
    monkeypatch.setattr(Connections, "addresses", lambda *_: asyncio.sleep(0, ["127.0.0.9"]))
    async with Server(ok()) as canary, poster(canary) as it:
        with pytest.raises(SourceForbidden):
            await send(it, canary.url())

        assert canary.accepted == 0


async def test_last_look_fails_closed(monkeypatch):
    """S01: with the first guards gone, the socket factory still refuses."""
    monkeypatch.setattr(poster_module, "check", lambda *_: None)
    monkeypatch.setattr(Connections, "addresses", lambda *_: asyncio.sleep(0, ["127.0.0.1"]))
    async with Server(ok()) as canary, poster(canary, networks=()) as it:
        for host in ("127.0.0.1", "some.test"):
            with pytest.raises(SourceForbidden):
                await send(it, canary.url(host=host))

        assert canary.accepted == 0


async def test_judging_connects_to_nobody():
    async with Server(ok()) as canary, poster(canary, resolver=names({"n.test": ["127.0.0.1"]})) as it:
        assert await it.judge(f"HTTP://N.test.:{canary.port}") == f"http://n.test:{canary.port}/"

        await asyncio.sleep(0.02)
        assert canary.accepted == 0


async def test_judging_a_name_that_does_not_exist():
    async with poster(resolver=names({"none.test": [], "empty.test": [[]]})) as it:
        for host in ("none.test", "empty.test"):
            with pytest.raises(SourceForbidden, match=FORBIDDEN):
                await it.judge(f"http://{host}/")


async def test_judging_does_not_wait_for_a_slow_resolver(monkeypatch):
    """What cannot be said in time is said at the call."""
    monkeypatch.setattr(poster_module, "RESOLVE_S", 0.05)
    async with poster(resolver=lambda *_: asyncio.sleep(30)) as it:
        assert await it.judge("http://n.test/") == "http://n.test/"
        with pytest.raises(SourceTimeout):
            await send(it, "http://n.test/", 0.05)


async def test_https_only_unless_allowed():
    async with poster(allow_http=False, ports=(80, 443), resolver=names({"n.test": ["8.8.8.8"]})) as it:
        assert await it.judge("https://n.test/") == "https://n.test/"
        with pytest.raises(SourceForbidden):
            await it.judge("http://n.test/")


async def test_port_80_comes_with_http():
    zone = names({"n.test": ["8.8.8.8"]})
    async with poster(resolver=zone) as open_, poster(resolver=zone, allow_http=False) as shut:
        assert await open_.judge("http://n.test/") == "http://n.test/"
        with pytest.raises(SourceForbidden):
            await shut.judge("https://n.test:80/")


async def test_allow_list():
    """S19: whole labels and whole path segments."""
    zone = names({"hooks.test": ["8.8.8.8"], "hooks.test.evil.test": ["8.8.8.8"]})
    async with poster(allow=("hooks.test/in/",), resolver=zone) as it:
        assert await it.judge("https://hooks.test/in/1")
        for url in ("https://hooks.test/other", "https://hooks.test.evil.test/in/1", "https://hooks.test/in/../x"):
            with pytest.raises(SourceForbidden):
                await it.judge(url)


# S11, J09
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_redirects_are_never_followed(status):
    """Wherever they lead: to another host, or to the next path of this one."""
    async with Server(ok()) as other, Server(b"") as server, poster(server, other) as it:
        for location in (other.url("/x"), "/next", "//127.0.0.1/", "http://169.254.169.254/"):
            server.answer = moved(location, status)
            assert await send(it, server.url()) == status

        assert (len(server.requests), other.accepted) == (4, 0)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 304, 400, 404, 410, 429, 500, 503, 999])
async def test_statuses(status):
    """The status is told as it is, and what stands beside it changes nothing."""
    body = b"" if status in {204, 304} else b"an error page"
    answer = ok(body, "Content-Encoding: gzip").replace(b"200 OK", b"%d No" % status)
    async with Server(answer) as server, poster(server) as it:
        assert await send(it, server.url()) == status


async def test_environment_changes_nothing(monkeypatch, tmp_path):
    """S16: neither proxies nor .netrc are looked at."""
    (tmp_path / "netrc").write_text("default login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with Server(ok()) as proxy, Server(ok()) as server, poster(server, proxy) as it:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        await send(it, server.url())

        assert proxy.accepted == 0
        assert b"Authorization" not in server.requests[0]


async def test_down():
    """J10: nobody listens; the same words as for what is blocked."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with poster(ports=(unused.getsockname()[1],)) as it:
            with pytest.raises(SourceForbidden, match=FORBIDDEN):
                await send(it, f"http://127.0.0.1:{unused.getsockname()[1]}/")


# J10
@pytest.mark.timed
@pytest.mark.parametrize(
    "answer",
    [
        drip(b"", b"", 1),
        drip(b"", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 99, 0.05),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 9, 0.02),
    ],
    ids=["hangs", "slow head", "slow interim"],
)
async def test_slow_receivers(answer):
    """Whatever way it is slow, the attempt ends in its time, and its connection with it."""
    async with Server(answer) as server, poster(server) as it:
        begun = time.monotonic()
        with pytest.raises(SourceTimeout, match="the receiver is too slow"):
            await send(it, server.url(), 0.3)

        assert 0.25 < time.monotonic() - begun < 0.6
        await until(lambda: server.open == 0)


async def test_never_accepts():
    """J10: connecting, the handshake and the look-up are within the time, too."""
    async with Server(drip(b"", b"", 1)) as server, poster(server) as it:
        with pytest.raises(SourceTimeout):
            await send(it, server.url(host="good.localhost", scheme="https"), 0.2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"y" * 1_000_000 + b"\r\n\r\n",
        ok(b"x", "X: " + "y" * 20_000),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000 + ok(),
        b"220 smtp ready\r\n",
        b"\0" * 1000,
    ],
    ids=["many headers", "long header", "long status", "too long", "interim", "smtp", "zeros"],
)
async def test_head_floods(answer):
    """F05, J10: no head, no success, and nobody is asked twice."""
    async with Server(answer) as server, poster(server) as it:
        with pytest.raises(SourceBadResponse, match="the receiver"):
            await send(it, server.url())

        assert len(server.requests) == 1


async def test_reset():
    """J10: the message is not sent again by the library; that is the schedule's to say."""

    async def broken(writer):
        reset(writer)

    async with Server(body_of(broken)) as server, poster(server) as it:
        with pytest.raises(SourceBadResponse):
            await send(it, server.url())

        assert len(server.requests) == 1


@pytest.mark.timed
@pytest.mark.parametrize(
    "answer",
    [
        drip(b"HTTP/1.1 204 OK\r\nContent-Length: 999\r\n\r\n", b"", 1),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x" * 99, 0.02),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"xyz\r\n", 0.01),
    ],
    ids=["no body", "slow body", "junk body"],
)
async def test_a_slow_body_changes_nothing(answer, monkeypatch):
    """The head was a success; the body is not waited for."""
    monkeypatch.setattr(poster_module, "MAX_WORDS_S", 0.1)
    async with Server(answer) as server, poster(server) as it:
        begun = time.monotonic()
        assert await send(it, server.url(), 5) in {200, 204}

        assert time.monotonic() - begun < 0.5
        await until(lambda: server.open == 0)


@pytest.mark.timed
async def test_an_endless_body_is_left(monkeypatch):
    """J10: a few kilobytes of it are read, whatever comes, and its connection is closed."""
    read = []

    original = poster_module.aiohttp.StreamReader.read

    async def counted(self, n=-1):
        chunk = await original(self, n)
        read.append(len(chunk))
        return chunk

    monkeypatch.setattr(poster_module.aiohttp.StreamReader, "read", counted)
    async with Server(body_of(endless)) as server, poster(server) as it:
        begun = time.monotonic()
        assert await send(it, server.url(), 5) == 200

        assert time.monotonic() - begun < 1
        assert 0 < sum(read) <= 4096
        await until(lambda: server.open == 0)


async def test_nothing_is_injected():
    """S15: a header with a line end in it is not sent."""
    async with Server(ok()) as server, poster(server) as it:
        with pytest.raises(SourceBadResponse):
            await it.post(server.url(), BODY, {"webhook-id": "a\r\nX-Evil: 1"}, 10)

        assert server.requests == []


async def test_no_sockets_left(monkeypatch):
    """That is our own fault, and not the receiver's."""

    def none_left(self, info):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Connections, "socket", none_left)
    async with poster() as it:
        with pytest.raises(Overloaded):
            await send(it, "http://127.0.0.1/")


def tls(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def test_tls():
    """S22: this very name by a trusted authority, and nothing else."""
    trust = ssl.create_default_context()
    AUTHORITY.configure_trust(trust)
    server = Server(ok())
    await server.__aenter__(tls(AUTHORITY.issue_cert("good.localhost")))
    try:
        async with poster(server, ssl_context=trust, allow_http=False) as it:
            assert await send(it, server.url(host="good.localhost", scheme="https")) == 200
            with pytest.raises(SourceBadResponse):
                await send(it, server.url(host="evil.localhost", scheme="https"))
        assert len(server.requests) == 1
    finally:
        await server.__aexit__()


async def test_cancelling_closes_at_once():
    async with Server(drip(b"", b"", 1)) as server, poster(server) as it:
        task = asyncio.create_task(send(it, server.url(), 30))
        await until(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await until(lambda: server.open == 0)
