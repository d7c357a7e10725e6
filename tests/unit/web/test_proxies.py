"""O09: what is believed of who asks, and of the name a request has: tables over peers and headers, and any input."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.web.app import App
from imagemill.web.problems import json_reply
from imagemill.web.proxies import Proxies

PROXIES = Proxies(("10.0.0.0/8", "fd00::/8"))
PEER, STRANGER = "10.0.0.1", "203.0.113.9"


def client(peer, *headers, proxies=PROXIES):
    return proxies.client(peer, [(name.encode(), value.encode("latin-1")) for name, value in headers])


def xff(value):
    return ("x-forwarded-for", value)


def fwd(value):
    return ("forwarded", value)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([], PEER),
        ([xff("198.51.100.7")], "198.51.100.7"),
        ([xff("198.51.100.7:4711")], "198.51.100.7"),
        ([xff("2001:db8::1")], "2001:db8::1"),
        ([xff("[2001:db8::1]")], "2001:db8::1"),
        ([xff("[2001:DB8:0::1]:4711")], "2001:db8::1"),
        ([xff("::ffff:198.51.100.7")], "198.51.100.7"),
        ([xff("1.1.1.1, 198.51.100.7")], "198.51.100.7"),  # the client's own word stands before its address
        ([xff("1.1.1.1,198.51.100.7 ,\t10.2.3.4")], "198.51.100.7"),
        ([xff("1.1.1.1"), xff("198.51.100.7")], "198.51.100.7"),
        ([xff("10.9.9.9, 10.2.3.4")], "10.9.9.9"),  # everybody is trusted: the farthest
        ([xff("10.9.9.9, 198.51.100.7, 10.2.3.4")], "198.51.100.7"),
        ([xff("198.51.100.7, fd00::5")], "198.51.100.7"),
        ([xff("unknown")], PEER),
        ([xff("198.51.100.7, nonsense")], PEER),
        ([xff("198.51.100.7, nonsense, 10.2.3.4")], "10.2.3.4"),
        ([xff("")], PEER),
        ([xff("198.51.100.7,")], PEER),
        ([xff("localhost")], PEER),
        ([xff("1.2.3.4.5")], PEER),
        ([xff("0x7f.1")], PEER),
        ([xff("127.1")], PEER),
        ([xff("198.51.100.7:port")], PEER),
        ([xff("198.51.100.7\n")], PEER),
        ([xff("fe80::1%eth0")], PEER),
        ([xff("1.1.1.1, " * 10_000 + "198.51.100.7")], "198.51.100.7"),
        ([fwd("for=198.51.100.7")], "198.51.100.7"),
        ([fwd("For=198.51.100.7;proto=https;by=10.0.0.1")], "198.51.100.7"),
        ([fwd('proto=https; for="198.51.100.7:4711"')], "198.51.100.7"),
        ([fwd('for="[2001:db8::1]:4711"')], "2001:db8::1"),
        ([fwd("for=1.1.1.1, for=198.51.100.7")], "198.51.100.7"),
        ([fwd("for=1.1.1.1"), fwd("for=198.51.100.7")], "198.51.100.7"),
        ([fwd("for=198.51.100.7, for=10.2.3.4")], "198.51.100.7"),
        ([fwd('for=_hidden;x="a, for=1.1.1.1"')], PEER),
        ([fwd('x=", for=1.1.1.1", for=198.51.100.7')], "198.51.100.7"),
        ([fwd('for="1.1.1.1, for=198.51.100.7')], PEER),  # quotes that nobody closes
        ([fwd('for=1.1.1.1, x="\\", for=198.51.100.7')], PEER),
        ([fwd("for=unknown")], PEER),
        ([fwd("proto=https")], PEER),
        ([fwd("for = 198.51.100.7")], PEER),
        ([fwd("198.51.100.7")], PEER),
        ([fwd(";;;=,,")], PEER),
        ([fwd("for=2001:db8::1")], "2001:db8::1"),  # to be quoted, and yet plain
        ([xff("198.51.100.7"), fwd("for=198.51.100.7")], "198.51.100.7"),
        ([xff("198.51.100.7"), fwd("for=1.1.1.1")], PEER),  # one of them is the client's own
        ([("x-real-ip", "1.1.1.1"), ("x-client-ip", "1.1.1.1"), ("true-client-ip", "1.1.1.1"), ("via", "1.1 x")], PEER),
    ],
)
def test_who_asks(headers, told):
    """As far back as those who say so are trusted; what is no address ends the way."""
    assert client(PEER, *headers) == told


@pytest.mark.parametrize(
    "headers", [[], [xff("198.51.100.7")], [fwd("for=198.51.100.7")], [xff("10.0.0.2"), fwd("for=10.0.0.2")]]
)
@pytest.mark.parametrize("peer", [STRANGER, "127.0.0.1", "::1", "11.0.0.1", "", "unix:"])
def test_strangers_are_not_believed(peer, headers):
    """Whoever is not in the list, loopback and sockets without an address too."""
    assert client(peer, *headers) == peer


@pytest.mark.parametrize("peer", [PEER, STRANGER, "127.0.0.1", ""])
def test_by_default_nobody_is_believed(peer):
    assert client(peer, xff("198.51.100.7"), proxies=Proxies()) == peer
    assert Proxies().request_id(peer, [(b"x-request-id", b"abc")]) == ""


def test_ipv4_in_ipv6_is_the_same_proxy():
    """A port that listens on both shows an IPv4 proxy as ::ffff:10.0.0.1."""
    assert client("::ffff:10.0.0.1", xff("198.51.100.7")) == "198.51.100.7"


TEXT = st.text('forx=",;\\[]:. 0123456789abcdefF-_\t', max_size=60)


@given(
    st.lists(
        st.tuples(st.sampled_from(["forwarded", "x-forwarded-for"]), TEXT | st.text(st.characters(max_codepoint=255))),
        max_size=4,
    )
)
def test_any_header_names_an_address_or_nobody(headers):
    """What comes out is an address that a header holds, or the peer's own."""
    told = client(PEER, *headers)

    assert re.fullmatch(r"[0-9a-f:.]+", told)


@given(
    TEXT | st.text(st.characters(max_codepoint=255)),
    st.sampled_from(["for=198.51.100.7", 'for="[2001:db8::1]:80"', "for=198.51.100.7;proto=https"]),
)
def test_nobody_speaks_for_the_proxy(forged, appended):
    """Whatever a client puts in front, what the proxy appends is told, or else nothing is."""
    assert client(PEER, fwd(f"{forged}, {appended}")) in {"198.51.100.7", "2001:db8::1", PEER}
    assert client(PEER, xff(f"{forged}, 198.51.100.7")) == "198.51.100.7"


@pytest.mark.parametrize("given_id", ["a", "A-Z-0-9", "x" * 64, "-", "7f3c9f0e-6d1b-4c39-8a3a-000000000000"])
def test_ids_of_trusted_proxies(given_id):
    assert PROXIES.request_id(PEER, [(b"x-request-id", given_id.encode())]) == given_id
    assert PROXIES.request_id(STRANGER, [(b"x-request-id", given_id.encode())]) == ""


BAD_IDS = [
    b"", b"x" * 65, b"a b", b"a,b", b"a_b", b"a.b", b"a/b", b"a\r\nb", b"a\n", b"\0", b"\xff", "é".encode(), b"a;b", b'"a"', b"${jndi:x}", b"<b>", b"a%0d",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_IDS, ids=range(len(BAD_IDS)))
def test_ids_that_are_none(bad):
    """Anything but 1 to 64 of A-Z a-z 0-9 - is dropped, not mended."""
    assert PROXIES.request_id(PEER, [(b"x-request-id", bad)]) == ""


def test_two_ids_are_none():
    assert PROXIES.request_id(PEER, [(b"x-request-id", b"a"), (b"x-request-id", b"a")]) == ""


async def answered(peer, *headers, fails=False, proxies=PROXIES):
    """The id that the answer carries, and the call as it is logged."""
    told, sent = [], []

    async def handler(_call, _receive):
        if fails:
            raise ValueError
        return json_reply(200, 1)

    async def send(message):
        sent.append(message)

    app = App({"/": handler}, lambda call, _reply, _seconds: told.append(call), proxies=proxies)
    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/",
        "query_string": b"",
        "headers": list(headers),
        "client": (peer, 1),
    }
    await app(scope, None, send)
    ids = [value.decode() for name, value in sent[0]["headers"] if name == b"x-request-id"]
    assert len(ids) == 1
    return ids[0], told[0], sent[1]["body"]


async def test_the_port_goes_by_it():
    """The answer and the log have the proxy's id and the client's address; who may do what is still judged by the peer."""
    shown, call, _ = await answered(PEER, (b"x-request-id", b"edge-1"), (b"x-forwarded-for", b"198.51.100.7"))

    assert shown == call.request_id == "edge-1"
    assert (call.asker, call.client) == ("198.51.100.7", PEER)


async def test_a_problem_has_the_same_id():
    shown, _, body = await answered(PEER, (b"x-request-id", b"edge-1"), fails=True)

    assert shown == "edge-1"
    assert b'"request_id": "edge-1"' in body


@pytest.mark.parametrize(("peer", "proxies"), [(STRANGER, PROXIES), (PEER, Proxies())])
async def test_the_port_believes_nobody_else(peer, proxies):
    shown, call, _ = await answered(
        peer, (b"x-request-id", b"edge-1"), (b"x-forwarded-for", b"198.51.100.7"), proxies=proxies
    )

    assert re.fullmatch(r"[0-9a-f]{16}", shown)
    assert call.asker == call.client == peer
