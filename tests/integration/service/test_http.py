"""The native dialect over HTTP, on a real node: what a client sees."""

import io
import random
import socket
import string
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import pytest
from PIL import Image

from support.node import PHOTO, Node, SourceServer

PICTURE = "/image?source=local:sample/dandelion.jpg"


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), "red").save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "avif", "gif"])
def test_a_photograph_in_every_format(node: Node, name: str) -> None:
    """A real photograph comes out in the format and the size asked for, under its type."""
    answer = node.get(f"{PICTURE}&width=300&format={name}")

    picture = Image.open(io.BytesIO(answer.body))
    assert (answer.status, answer.headers["content-type"]) == (200, f"image/{name}")
    assert (picture.format, picture.size) == (name.upper(), (300, 200))
    assert not picture.getexif()
    assert "icc_profile" not in picture.info


def test_headers_of_a_miss_and_a_hit(node: Node) -> None:
    """X-Cache, ETag, Age, Cache-Control, Last-Modified, Server-Timing, nosniff, a request id of ours."""
    target = f"{PICTURE}&width=64&format=webp&ttl=90000"
    miss, hit = node.get(target), node.get(target, {"X-Request-Id": "mine"})

    assert (miss.headers["x-cache"], hit.headers["x-cache"]) == ("MISS", "L1")
    assert miss.headers["etag"] == hit.headers["etag"]
    assert miss.headers["etag"].startswith('"')
    assert miss.body == hit.body
    assert hit.headers["cache-control"] == "public, max-age=90000"
    assert int(hit.headers["age"]) >= 0
    assert hit.headers["last-modified"].endswith("GMT")
    assert {part.partition(";")[0] for part in miss.headers["server-timing"].split(", ")} >= {
        "fetch",
        "queue",
        "render",
    }
    assert hit.headers["x-content-type-options"] == "nosniff"
    assert hit.headers["x-request-id"] not in {"mine", miss.headers["x-request-id"]}
    assert "vary" not in hit.headers


def test_conditional_requests(node: Node) -> None:
    """304 without a body for the tag we gave, in any list, weak or not; 200 for another."""
    target = f"{PICTURE}&width=65&format=webp"
    first = node.get(target)
    tag = first.headers["etag"]

    for value in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = node.get(target, {"If-None-Match": value})
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == tag
    assert node.get(target, {"If-None-Match": '"other"'}).status == 200
    assert node.get(target, {"If-Modified-Since": first.headers["last-modified"]}).status == 304
    assert node.get(target, {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}).status == 200
    both = {"If-None-Match": '"other"', "If-Modified-Since": first.headers["last-modified"]}
    assert node.get(target, both).status == 200


def test_head_and_options(node: Node) -> None:
    """HEAD is GET without its body; OPTIONS names the methods."""
    target = f"{PICTURE}&width=66&format=webp"
    got, head, options = node.get(target), node.get(target, method="HEAD"), node.get(target, method="OPTIONS")

    assert head.body == b""
    assert head.headers["content-length"] == str(len(got.body)) == got.headers["content-length"]
    assert head.headers["etag"] == got.headers["etag"]
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert options.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("target", [f"{PICTURE}&width=66", "/image?x", "/none"])
def test_nothing_follows_the_head(node: Node, target: str) -> None:
    """RFC 9110 9.3.2: on the wire, too, where a client that takes the length at its word would take it for a body."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as wire:
        wire.sendall(f"HEAD {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        told = b"".join(iter(lambda: wire.recv(65536), b""))

    assert told.endswith(b"\r\n\r\n")
    assert told.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods(node: Node, method: str) -> None:
    answer = node.get(PICTURE, method=method)

    assert (answer.status, answer.problem["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "bad_option"),
        ("source=", 400, "bad_option"),
        ("source=local:sample/dandelion.jpg&width=0", 400, "bad_option"),
        ("source=local:sample/dandelion.jpg&width=9000", 422, "limit_exceeded"),
        ("source=local:sample/dandelion.jpg&w=1&width=1", 400, "bad_option"),
        ("source=local:sample/dandelion.jpg&blur=1000000", 422, "limit_exceeded"),
        ("source=local:sample/dandelion.jpg&width=10&dpr=50", 422, "limit_exceeded"),
        ("source=local:sample/dandelion.jpg&format=bmp", 400, "bad_option"),
        ("source=local:sample/dandelion.jpg&crop=9000,9000,5,5", 400, "bad_option"),
        ("source=local:sample/LICENSE.md", 415, "unsupported_source_type"),
        ("source=local:sample/none.jpg", 404, "source_not_found"),
        ("source=local:sample/../x.jpg", 400, "bad_request"),
        ("source=local:none/a.jpg", 403, "source_forbidden"),
        ("source=file:///etc/passwd", 400, "bad_request"),
        ("source=ftp://example.com/a", 400, "bad_request"),
        ("source=http://127.0.0.1:22/a", 403, "source_forbidden"),
        ("source=http://169.254.169.254/latest", 403, "source_forbidden"),
        ("source=local:sample/dandelion.jpg&expires=1", 410, "url_expired"),
        ("source=local:sample/dandelion.jpg&signature=k.x", 400, "bad_option"),
        ("source=local:sample/dandelion.jpg&ttl=259201", 422, "limit_exceeded"),
        ("source=local:sample/dandelion.jpg&w=8192&h=8192&fit=fill&enlarge=1&f=avif", 422, "limit_exceeded"),
        ("source=local:sample/dandelion.jpg&w=6000&enlarge=1&f=avif", 422, "limit_exceeded"),
    ],
)  # fmt: skip
def test_refusals(node: Node, query: str, status: int, code: str) -> None:
    """Each refusal has its status, its code, a detail, and nothing of the inside."""
    answer = node.get(f"/image?{query}")
    problem = answer.problem

    assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
    assert set(problem) - {"limit"} == {"type", "title", "status", "detail", "code", "request_id", "retryable"}
    assert ("limit" in problem) == (code == "limit_exceeded")
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "/usr" not in answer.body.decode()
    assert "Traceback" not in answer.body.decode()


def test_refused_sources_are_told_apart_by_nothing(node: Node, source: SourceServer) -> None:
    """Section 0: blocked, refused port and unknown name are the same bytes, save the request id."""
    bodies = set()
    for address in ("http://10.0.0.1/", "http://127.0.0.1:1/", f"http://127.0.0.1:{source.port + 1}/",
                    "http://no-such-name.invalid/", "http://[::1]/"):  # fmt: skip
        answer = node.get(f"/image?source={quote(address, safe='')}")
        assert answer.status == 403, address
        bodies.add(answer.body.decode().replace(answer.problem["request_id"], ""))

    assert len(bodies) == 1


def test_unknown_paths(node: Node) -> None:
    for path in ("/", "/image/", "/IMAGE?source=x", "//image?source=x", "/./image", "/image;x=1", "/%69mage", "/admin"):
        answer = node.get(path)
        assert (answer.status, answer.problem["code"]) == (404, "not_found"), path


def test_admin_is_not_on_the_public_port(node: Node) -> None:
    """R20: health, readiness, metrics and versions answer on the admin port, and nowhere else."""
    for path in ("/healthz", "/readyz", "/metrics", "/version", "/debug"):
        assert node.get(path).status == 404
        assert node.admin(path).status == (404 if path == "/debug" else 200)
    assert node.admin(PICTURE).status == 404
    listening = [line for line in node.lines() if line["event"] == "serving"]
    assert listening[0]["admin"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("path", [f"{PICTURE}&w=9", "/image?x", "/none", "/explain?source=local:sample/dandelion.jpg"])
def test_nosniff_everywhere(node: Node, path: str) -> None:
    """R17: on every route, good or bad; images and problems are also sandboxed."""
    answer = node.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    if "json" not in answer.headers["content-type"] or "problem" in answer.headers["content-type"]:
        assert "sandbox" in answer.headers["content-security-policy"]
    if answer.status == 200 and path.startswith("/image"):
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


def test_what_is_not_in_the_key_changes_nothing(node: Node) -> None:
    """R11: prime with one set of headers, read with another: the same bytes, from L1, and no Vary."""
    target = f"{PICTURE}&width=67&format=jpeg"
    first = node.get(target, {"Accept": "image/avif", "Host": "a"})
    for headers in (
        {"Accept": "text/html"}, {"Save-Data": "on"}, {"Sec-CH-DPR": "3", "DPR": "3", "Width": "9"}, {"Host": "evil"},
        {"X-Forwarded-Host": "evil", "X-Forwarded-Proto": "https"}, {"Cookie": "a=b"}, {"Range": "bytes=0-9,20-29"},
        {"X-Original-URL": "/admin"}, {"Authorization": "Bearer x"},
    ):  # fmt: skip
        answer = node.get(target, headers)
        assert (answer.status, answer.body, answer.headers["x-cache"]) == (200, first.body, "L1"), headers
        assert "vary" not in answer.headers


def test_auto_varies_by_accept_and_by_nothing_else(node: Node) -> None:
    """R11: format=auto answers each class of client with its own rendition, and says so."""
    target = f"{PICTURE}&width=168&format=auto"
    types = {}
    for accept in (
        "image/avif,image/webp,*/*",
        "image/webp,*/*;q=0.8",
        "*/*",
        "image/avif;q=0, image/webp",
        "",
        "image/png",
    ):
        answer = node.get(target, {"Accept": accept} if accept else {})
        types[accept] = answer.headers["content-type"]
        assert answer.headers["vary"] == "Accept"
        again = node.get(target, {"Accept": f" {accept.upper()} ,text/x"})
        assert (again.headers["x-cache"], again.body) == ("L1", answer.body)

    assert list(types.values()) == [
        "image/avif", "image/webp", "image/jpeg", "image/webp", "image/jpeg", "image/jpeg",
    ]  # fmt: skip


def test_errors_and_parts_are_never_kept_as_images(node: Node, source: SourceServer) -> None:
    """R12: a failure is an answer for seconds, never an image; HEAD and Range store only whole renditions."""
    path = "/appears.png"
    target = f"/image?source={quote(source.url(path), safe='')}&format=png"
    source.bodies.pop(path, None)
    assert node.get(target).problem["code"] == "source_not_found"
    source.bodies["/half.jpg"] = PHOTO[: len(PHOTO) // 2]
    half = f"/image?source={quote(source.url('/half.jpg'), safe='')}&width=100"
    for _ in range(2):
        assert node.get(half).problem["code"] == "image_corrupt"

    whole = f"{PICTURE}&width=69&format=png"
    head = node.get(whole, {"Range": "bytes=0-9"}, method="HEAD")
    answer = node.get(whole)

    assert head.headers["content-length"] == str(len(answer.body))
    assert (answer.headers["x-cache"], Image.open(io.BytesIO(answer.body)).size) == ("L1", (69, 46))


@pytest.mark.parametrize(
    ("path", "content_type", "body", "status"),
    [
        ("/a.svg", "image/svg+xml", png(20, 10), 200), ("/a.html", "text/html", png(20, 10), 200),
        ("/a", "application/octet-stream", png(20, 10), 200), ("/a.gif", "image/gif", png(20, 10), 200),
        ("/page.jpg", "image/jpeg", b"<!doctype html><html><body>not found</body></html>", 415),
        ("/picture.png", "image/png", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 200),
        ("/list.gif", "image/gif", b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/x\n#EXT-X-ENDLIST\n", 415),
        ("/head.v", "image/webp", b"\x08\xf2\xa6\xb6" + bytes(60), 415), ("/table.csv", "image/avif", b"1,2\n3,4\n", 415),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("/") else "",
)  # fmt: skip
def test_only_the_bytes_decide_what_a_source_is(
    node: Node, source: SourceServer, path: str, content_type: str, body: bytes, status: int
) -> None:
    """F07, D14: neither the header nor the name makes a picture of what is none, or keeps one from being one."""
    source.bodies[path], source.headers = body, {"Content-Type": content_type}
    try:
        answer = node.get(f"/image?source={quote(source.url(path), safe='')}&format=png")
    finally:
        source.headers = {}

    assert answer.status == status
    if status == 415:
        assert answer.problem["code"] == "unsupported_source_type"


def test_private_sources_are_not_kept(node: Node, source: SourceServer) -> None:
    """A source's private or no-store is passed on, and nothing of it stays."""
    source.bodies["/private.png"] = png(20, 10)
    target = f"/image?source={quote(source.url('/private.png'), safe='')}&format=png"
    source.headers = {"Cache-Control": "private, max-age=60"}
    try:
        answers = [node.get(target) for _ in range(2)]
    finally:
        source.headers = {}

    assert [a.headers["x-cache"] for a in answers] == ["MISS", "MISS"]
    assert {a.headers["cache-control"] for a in answers} == {"private, no-store"}
    assert source.requests.count("/private.png") == 2


def test_lifetime_comes_from_request_then_source(node: Node, source: SourceServer) -> None:
    """Cache-Control: the request's ttl, else the source's max-age, else a day; Last-Modified is passed through."""
    source.bodies["/aged.png"] = png(21, 10)
    source.headers = {"Cache-Control": "max-age=77", "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    target = f"/image?source={quote(source.url('/aged.png'), safe='')}"
    try:
        plain, asked = node.get(target), node.get(f"{target}&ttl=99999")
    finally:
        source.headers = {}

    assert plain.headers["cache-control"] == "public, max-age=77"
    assert asked.headers["cache-control"] == "public, max-age=99999"
    assert asked.headers["x-cache"] == "L1"
    assert plain.headers["last-modified"] == "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    "said",
    ["Fri, 31 Dec 9999 23:59:59 -1200", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +1400", "soon"],
)
def test_dates_that_cannot_be(node: Node, source: SourceServer, said: str) -> None:
    """F13: whatever a source says of its last change, the answer is a picture, and its date is not in the future."""
    path = f"/dated-{abs(hash(said))}.png"
    source.bodies[path] = png(22, 10)
    source.headers = {"Last-Modified": said}
    try:
        answer = node.get(f"/image?source={quote(source.url(path), safe='')}")
    finally:
        source.headers = {}

    assert answer.status == 200
    if "last-modified" in answer.headers:
        changed, now = (parsedate_to_datetime(answer.headers[name]) for name in ("last-modified", "date"))
        assert changed <= now + timedelta(seconds=2)  # the server makes its Date once a second


def test_expiry_bounds_the_lifetime(node: Node) -> None:
    """R05: no cache may keep an answer beyond the URL's own end."""
    import time

    answer = node.get(f"{PICTURE}&width=70&expires={int(time.time()) + 50}")

    assert 40 <= int(answer.headers["cache-control"].rpartition("=")[2]) - int(answer.headers["age"]) <= 50


def test_explain_does_nothing(node: Node, source: SourceServer) -> None:
    """`explain` says key, recipe, cost and tier, on both ports in unsigned mode, without a fetch."""
    query = f"source={quote(source.url('/explained.jpg'), safe='')}&width=10&format=webp"
    before = len(source.requests)
    public, admin = node.get(f"/explain?{query}"), node.admin(f"/explain?{query}")

    assert public.body == admin.body
    import json

    facts = json.loads(public.body)
    assert facts["tier"] == "MISS"
    assert facts["recipe"][-1]["type"] == "encode"
    assert len(facts["key"]) == 64
    assert facts["estimate"]["cpu_ms"] > 0
    assert len(source.requests) == before
    node.get(f"{PICTURE}&width=71")
    assert json.loads(node.get(f"/explain?{PICTURE[7:]}&width=71").body)["tier"] == "L1"
    assert node.get("/explain?widht=1").problem["code"] == "bad_option"


def test_no_query_yields_a_500(node: Node) -> None:
    """R07: 600 random queries, half of them near misses: a documented answer to each, and the node is well."""
    draw = random.Random(7)
    names = [
        "source",
        "width",
        "w",
        "h",
        "fit",
        "crop",
        "focus",
        "dpr",
        "blur",
        "q",
        "format",
        "bg",
        "ttl",
        "rotate",
        "x",
    ]
    values = [
        "1",
        "-1",
        "0",
        "cover",
        "0.5,0.5",
        "1,2,3,4",
        "ffffff",
        "%ff",
        "%",
        "%00",
        "webp",
        "9" * 40,
        "١٢",
        "1e9",
        "",
    ]
    for _ in range(600):
        parts = [f"{draw.choice(names)}={quote(draw.choice(values), safe='%,')}" for _ in range(draw.randint(0, 6))]
        if draw.random() < 0.5:
            parts.append("source=local:sample/dandelion.jpg&w=8")
        if draw.random() < 0.2:
            parts.append("".join(draw.choice(string.printable[:94]) for _ in range(20)).replace("#", ""))
        answer = node.get("/image?" + "&".join(parts))
        assert answer.status in {200, 400, 403, 404, 410, 414, 415, 422}, parts
    assert node.metric('imagemill_requests_total{outcome="internal"') == 0


def test_targets_have_a_length(node: Node) -> None:
    """R07: a 64 kB URL is refused by its length, whatever it holds."""
    answer = node.get(f"/image?source={'a' * 65_000}")
    assert answer.status in {400, 414}
    answer = node.get(f"/image?source={'a' * 9_000}")
    assert (answer.status, answer.problem["code"]) == (414, "target_too_long")
    assert node.get(PICTURE + "&w=5" + "&x=1" * 500).status == 400


def series(node: Node) -> set[str]:
    """The series of ours that a scrape shows, without their values."""
    lines = node.admin("/metrics").body.decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if line.startswith("imagemill_")}


def test_series_are_few(node: Node) -> None:
    """O03: no path, host, port, option or user agent makes a series: hundreds of requests make no more than three."""

    def ask(n: int) -> None:
        agent = {"User-Agent": f"agent{n}", "Referer": f"http://r{n}.example/"}
        node.get(f"/{n}", agent)
        node.get(f"/image?source=http://h{n}.invalid:{n + 1}/&w={n + 1}", agent)
        node.get(f"/image?source=http://h{n}.invalid/&w={n + 1}", agent)
        node.get(f"/image?source=local:s{n}/{n}.jpg&o{n}={n}", agent)
        node.get(f"/image?source=local:sample/{n}.jpg&w={n + 1}", agent)

    for n in range(3):
        ask(n)
    before = series(node)
    for n in range(3, 150):
        ask(n)

    assert len(series(node) - before) < 10  # a code that had not been seen yet
    assert len(before) < 500


def marked(node: Node, path: str) -> int:
    """How many lines the log has with that of *path*, which nobody else asks for: it is written behind, in order."""
    assert node.get(path).status == 404
    for _ in range(600):
        lines = node.lines()
        for n, line in enumerate(lines, 1):
            if line.get("target") == path:
                return n
        time.sleep(0.05)
    raise AssertionError("it is not logged")


def test_every_request_is_one_line(node: Node) -> None:
    """I7, O01: whatever is sent, the log has one JSON line for it, with a code and nothing unescaped."""
    before = marked(node, "/first-of-lines")
    hostile = ["%0d%0ainjected", "%1b[31mred", "%e2%80%a8", "\x1b[31m", "x" * 5_000, "%ff%fe", "a&w=1&w=2"]
    for text in hostile:
        node.get(f"/image?source=local:{quote(text, safe='%&=')}")
    after = marked(node, "/last-of-lines") - 1
    text = node.log.read_text()
    lines = [line for line in node.lines()[before:after] if line["event"] == "request"]

    assert len(lines) == len(hostile)
    assert all(line["code"] and line["request_id"] for line in lines)
    assert all(c == "\n" or " " <= c <= "~" for c in text)
    assert max(len(line["target"]) for line in lines) <= 2_000
