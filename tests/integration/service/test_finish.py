"""R14, R15, R21, O09: what goes over the wire of a real node, byte for byte."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from imagemill.model.signing import sign
from support.node import PHOTO, Node, SourceServer, serving

PICTURE = "/image?source=local:sample/dandelion.jpg"
KEY = "a-key-of-thirty-two-bytes-or-more-for-this"
ORIGIN = "https://shop.example"
FORBIDDEN = {
    "server", "x-powered-by", "set-cookie", "via", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade",
    "transfer-encoding", "access-control-allow-credentials", "x-from-source", "link", "refresh", "content-encoding", "strict-transport-security",
}  # fmt: skip


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, source: SourceServer) -> Iterator[Node]:
    """A node whose pages of one origin may read, behind a proxy at 127.0.0.1."""
    server = {"cors_origins": [ORIGIN], "trusted_proxies": ["127.0.0.1/32"]}
    with serving(tmp_path_factory.mktemp("front"), sources=source.allowed(), server=server) as running:
        yield running


def capture(
    node: Node, target: str, headers: str = "", method: str = "GET", host: str = "127.0.0.1"
) -> tuple[int, list[tuple[str, str]], bytes]:
    """One request on a raw socket: status, header lines as they came, and every byte behind them."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", node.port), 30)) as link:
        link.sendall(
            f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n".encode("latin-1")
        )
        raw = b""
        while chunk := link.recv(65_536):
            raw += chunk
    head, mark, body = raw.partition(b"\r\n\r\n")
    assert mark
    first, *lines = head.split(b"\r\n")
    assert not [line for line in lines if not re.fullmatch(rb"[a-z0-9-]+: [ -~]*", line)]
    pairs = [(n, v.strip()) for n, _, v in (line.decode("ascii").partition(":") for line in lines)]
    return int(first.split()[1]), pairs, body


def test_a_picture_in_parts(node: Node) -> None:
    """A first request that renders gets its part, and what follows is cut from the same picture, to its last byte."""
    target = f"{PICTURE}&width=91&format=jpeg"
    status, pairs, begin = capture(node, target, "Range: bytes=0-499\r\n")
    told = dict(pairs)
    size = int(told["content-range"].rpartition("/")[2])
    rest = [
        capture(node, target, f"Range: bytes={r}\r\nIf-Range: {told['etag']}\r\n") for r in ("500-999", f"1000-{size}")
    ]
    whole = capture(node, target)

    assert (status, told["x-cache"], told["content-range"], told["content-length"]) == (
        206,
        "MISS",
        f"bytes 0-499/{size}",
        "500",
    )
    assert [(s, dict(p)["x-cache"]) for s, p, _ in rest] == [(206, "L1")] * 2
    assert begin + b"".join(body for _, _, body in rest) == whole[2]
    assert (len(whole[2]), dict(whole[1])["accept-ranges"]) == (size, "bytes")


@pytest.mark.parametrize("tier", ["MISS", "L1"])
def test_nothing_there_and_nothing_doubled(node: Node, tier: str) -> None:
    """416 with the size, whether it was there or is made; HEAD and many ranges are of the whole."""
    target = f"{PICTURE}&width={92 if tier == 'MISS' else 93}&format=jpeg"
    if tier == "L1":
        node.get(target)
    status, pairs, body = capture(node, target, "Range: bytes=99999999-\r\n")
    size = len(node.get(target).body)

    assert (status, dict(pairs)["content-range"]) == (416, f"bytes */{size}")
    assert json.loads(body)["code"] == "range_not_satisfiable"
    many = "Range: bytes=" + ",".join(f"{n}-{n}" for n in range(1000)) + "\r\n"
    for asked in (
        many,
        "Range: bytes=0-9,5-14\r\n",
        "Range: bytes=0-1\r\nRange: bytes=0-1\r\n",
        "Range: lines=0-1\r\n",
    ):
        assert (capture(node, target, asked)[0], len(capture(node, target, asked)[2])) == (200, size)
    status, pairs, body = capture(node, target, "Range: bytes=0-9\r\n", "HEAD")
    assert (status, dict(pairs)["content-length"], body) == (200, str(size), b"")


def test_a_part_is_logged_and_counted_as_what_was_sent(node: Node) -> None:
    capture(node, f"{PICTURE}&width=94&format=jpeg&filename=logged", "Range: bytes=0-9\r\n")
    end = time.monotonic() + 30
    while not (lines := [line for line in node.lines() if "filename=logged" in line.get("target", "")]):
        assert time.monotonic() < end
        time.sleep(0.05)

    assert (lines[0]["status"], lines[0]["bytes"], lines[0]["code"]) == (206, 10, "ok")


HOSTILE = [
    "a%0d%0aSet-Cookie:%20x=y", "a%0D%0A%0D%0A<html>", "%0a", "a%00", "a%09b", "a%7f", "a%c2%85b", "%e2%80%aegpj.exe", "a%e2%80%8fb", "a%e2%81%a6b",
    "%e2%80%a8", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "a%5cb", "..", ".bashrc", "", "a" * 121, "%ff", "%c0%af", "%ed%a0%80", "%0", "a%", "%20a",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(node: Node, name: str) -> None:
    """R15: a 400, in which the name is not to be found."""
    status, pairs, body = capture(node, f"{PICTURE}&width=20&format=jpeg&filename={name}")

    assert status == 400
    assert json.loads(body)["code"] == "bad_option"
    assert "content-disposition" not in dict(pairs)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cats", 'inline; filename="cats.jpg"'),
        ("cats.exe", 'inline; filename="cats.exe.jpg"'),
        (
            "a%22%3b%20filename%3d%22b.html",
            "inline; filename=\"a_; filename=_b.html.jpg\"; filename*=UTF-8''a%22%3B%20filename%3D%22b.html.jpg",
        ),
        (
            "%250d%250aSet-Cookie:x",
            "inline; filename=\"_0d_0aSet-Cookie:x.jpg\"; filename*=UTF-8''%250d%250aSet-Cookie%3Ax.jpg",
        ),
        ("%E7%8C%AB.png&att=1", "attachment; filename=\"_.jpg\"; filename*=UTF-8''%E7%8C%AB.jpg"),
        ("%F0%9F%90%B1", "inline; filename=\"_.jpg\"; filename*=UTF-8''%F0%9F%90%B1.jpg"),
        ("a+b%26c", 'inline; filename="a+b&c.jpg"'),
    ],
)
def test_names_on_the_wire(node: Node, name: str, value: str) -> None:
    """One line that says one name, whatever it holds; the type is the encoder's, and the picture the same one."""
    plain = node.get(f"{PICTURE}&width=20&format=jpeg")
    status, pairs, body = capture(node, f"{PICTURE}&width=20&format=jpeg&filename={name}")

    assert [v for n, v in pairs if n == "content-disposition"] == [value]
    assert (status, body, dict(pairs)["content-type"], dict(pairs)["x-cache"]) == (200, plain.body, "image/jpeg", "L1")
    assert dict(pairs)["x-content-type-options"] == "nosniff"


def test_a_name_is_signed_like_everything_else(tmp_path: Path) -> None:
    """A name that is put in, taken out or changed is no longer what was signed."""
    target = f"{PICTURE}&width=20&format=jpeg"
    with serving(tmp_path, signing={"mode": "required", "keys": {"k1": KEY}}) as node:
        good = sign(f"{target}&filename=cats".encode(), "k1", KEY.encode()).decode()
        bare = sign(target.encode(), "k1", KEY.encode()).decode()
        wrong = [good.replace("cats", "dogs"), good.replace("&filename=cats", ""), f"{bare}&filename=cats",
                 bare.replace("&signature", "&filename=cats&signature"), good.replace("filename", "attachment=1&filename")]  # fmt: skip

        assert node.get(good).headers["content-disposition"] == 'inline; filename="cats.jpg"'
        assert [node.get(t).status for t in wrong] == [403] * len(wrong)


def test_jobs(tmp_path: Path) -> None:
    """There is no file name there, and what would be ignored is refused; a proxy that is trusted makes nobody local."""
    import http.client

    storage = {"out": {"kind": "file", "root": str(tmp_path / "out"), "write": True}}
    (tmp_path / "out").mkdir()
    trusting = {"trusted_proxies": ["127.0.0.0/8"]}
    with serving(tmp_path, storage=storage, jobs={"data": str(tmp_path / "jobs")}, server=trusting) as node:
        body = {"source": "local:sample/dandelion.jpg", "destination": {"store": "out"},
                "renditions": [{"name": "a", "params": "width=9&format=webp&filename=cats"}]}  # fmt: skip
        link = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
        link.request("POST", "/jobs", json.dumps(body), {"content-type": "application/json"})
        reply = link.getresponse()
        told = json.loads(reply.read())
        proxied = [
            capture(node, "/jobs", f"{h}\r\n")[0] for h in ("X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1")
        ]

    assert proxied == [401, 401]
    assert (reply.status, told["code"]) == (400, "bad_option")
    assert "filename: a job has none" in told["detail"]


def test_every_answer_is_clean(front: Node, source: SourceServer) -> None:
    """No header twice, none of the source's own, none of hop by hop, no word about the server; whatever the status."""
    source.bodies["/loud.jpg"] = PHOTO
    source.headers = {
        "Server": "evil/1", "X-Powered-By": "PHP/4", "Set-Cookie": "a=b", "Keep-Alive": "timeout=5", "Proxy-Authenticate": "Basic", "Via": "1.1 x",
        "Trailer": "X-From-Source", "Upgrade": "h2c", "X-From-Source": "1", "Access-Control-Allow-Origin": "*", "Vary": "*", "X-Cache": "HIT",
        "Access-Control-Allow-Credentials": "true", "Content-Disposition": "attachment; filename=evil.html", "Content-Type": "text/html",
        "Link": "</a>; rel=preload", "Refresh": "0", "Strict-Transport-Security": "max-age=1", "Content-Language": "en", "Accept-Ranges": "none",
    }  # fmt: skip
    try:
        target = f"/image?source={quote(source.url('/loud.jpg'), safe='')}&width=21&format=auto"
        answers = [
            capture(front, *asked) for asked in [
                (target,), (target,), (target, "If-None-Match: *\r\n"), (target, "Range: bytes=0-9\r\n"), (target, "Range: bytes=9999999-\r\n"),
                (target, 'If-Match: "x"\r\n'), (target, f"Origin: {ORIGIN}\r\n"), (target, "", "HEAD"), (target, f"Origin: {ORIGIN}\r\n", "OPTIONS"),
                (target, "", "POST"), ("/none",), (f"{target}&x=1",), (f"{target}&filename=a&attachment=1",), ("/" + "a" * 9_000,),
                (target, "X-Request-ID: edge-1\r\n"), (target, "Transfer-Encoding: x\r\n"),
            ]
        ]  # fmt: skip
    finally:
        source.headers = {}

    assert [status for status, _, _ in answers] == [
        200,
        200,
        304,
        206,
        416,
        412,
        200,
        200,
        204,
        405,
        404,
        400,
        200,
        414,
        200,
        400,
    ]
    for status, pairs, _ in answers:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), names
        assert not FORBIDDEN & set(names)
        assert dict(pairs)["x-content-type-options"] == "nosniff"
        assert not [value for _, value in pairs if "evil" in value or "x-from-source" in value.lower() or value == "en"]
        assert status not in {200, 206} or dict(pairs)["content-type"] == "image/jpeg"
        assert status not in {200, 206} or dict(pairs)["vary"] == "Accept, Origin"


def test_pages_of_one_origin(front: Node) -> None:
    """R21: echoed to that one alone, a preflight answered, and nothing of it where it is not set."""
    target = f"{PICTURE}&width=22&format=jpeg"
    asked = f"Origin: {ORIGIN}\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: range\r\n"
    status, pairs, body = capture(front, target, asked, "OPTIONS")
    stranger = dict(capture(front, target, "Origin: https://evil.example\r\nCookie: a=b\r\n")[1])

    assert (status, body) == (204, b"")
    assert dict(pairs)["access-control-allow-origin"] == ORIGIN
    assert dict(capture(front, target, f"Origin: {ORIGIN}\r\n")[1])["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in stranger


def logged(node: Node, request_id: str) -> dict[str, object]:
    end = time.monotonic() + 30
    while True:
        found = [line for line in node.lines() if line.get("request_id") == request_id]
        if found:
            return found[0]
        assert time.monotonic() < end
        time.sleep(0.05)


def test_who_asks_is_logged(front: Node, node: Node) -> None:
    """O09: the client that a trusted proxy names, under its id; elsewhere the connection's own address, under ours."""
    headers = "X-Forwarded-For: 1.1.1.1, 198.51.100.7\r\nX-Request-ID: edge-7\r\n"
    told, bad = (
        dict(capture(front, f"{PICTURE}&width=23", h)[1])["x-request-id"]
        for h in (headers, headers.replace("-7", "_7"))
    )
    own = dict(capture(node, f"{PICTURE}&width=23", headers)[1])["x-request-id"]

    assert told == "edge-7"
    assert logged(front, told)["client"] == "198.51.100.7"
    assert [bool(re.fullmatch("[0-9a-f]{16}", i)) for i in (bad, own)] == [True, True]
    assert logged(front, bad)["client"] == "198.51.100.7"
    assert logged(node, own)["client"] == "127.0.0.1"
