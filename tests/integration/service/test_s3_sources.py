"""Pictures from buckets: `/image?source=s3://…` as a client sees it, over a real S3 server."""

import io
from urllib.parse import quote

import opendal
import pytest
from PIL import Image

from imagemill import doctor
from imagemill.configuration import load
from support.node import PHOTO, Node, serving
from support.s3 import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server, serving_tls
from support.s3 import serving as serving_s3


def png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


def lay(server: S3Server, key: str, body: bytes = PHOTO) -> None:
    client = opendal.Operator(
        "s3", bucket=BUCKET, region=REGION, endpoint=server.endpoint,
        access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY,
    )  # fmt: skip
    client.write(key, body)


@pytest.fixture(scope="module")
def node(server, tmp_path_factory):
    """A node that reads one folder of the bucket, and writes to another."""
    storage = {
        "photos": server.settings(prefix="public", timeout_s=5, attempts=2),
        "results": server.settings(prefix="results", write=True),
    }
    with serving(tmp_path_factory.mktemp("node"), storage=storage, engine={"workers": 1}) as running:
        yield running


def image(node: Node, source: str, **headers: str):
    return node.get(f"/image?source={quote(source)}&width=64&format=webp", headers)


def test_a_picture_from_a_bucket(node, server):
    """By its bucket and by its store's name: the same picture, with a date and a validator."""
    lay(server, "public/a b/é.jpg")

    by_bucket = image(node, f"s3://{BUCKET}/public/a b/é.jpg")
    by_store = image(node, "local:photos/a b/é.jpg")

    assert (by_bucket.status, by_store.status) == (200, 200)
    assert by_bucket.headers["content-type"] == "image/webp"
    assert by_bucket.body == by_store.body
    assert "last-modified" in by_bucket.headers
    assert image(node, f"s3://{BUCKET}/public/a b/é.jpg").headers["x-cache"] == "L1"
    assert image(node, f"s3://{BUCKET}/public/a b/é.jpg", **{"if-none-match": by_bucket.headers["etag"]}).status == 304


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        (f"s3://{BUCKET}/public/no.jpg", 404, "source_not_found"),
        (f"s3://{BUCKET}/public/../results/secret.jpg", 400, "bad_request"),
        (f"s3://{BUCKET}/public/%2e%2e/results/secret.jpg", 404, "source_not_found"),
        (f"s3://{BUCKET}", 400, "bad_option"),
        ("s3:/x", 400, "bad_option"),
    ],
)
def test_what_is_no_object(node, server, source, status, code):
    lay(server, "results/secret.jpg")

    answer = image(node, source)

    assert (answer.status, answer.problem["code"]) == (status, code)


def test_what_may_not_be_read_is_as_what_is_not_there(node, server):
    """J08, S-rows: another folder, another bucket, a store for results, a name nobody has: the same words for all."""
    lay(server, "results/secret.jpg")
    lay(server, "elsewhere.jpg")
    sources = [
        f"s3://{BUCKET}/results/secret.jpg", f"s3://{BUCKET}/elsewhere.jpg", f"s3://{BUCKET}/publicly/x",
        "s3://other-bucket/x.jpg", "local:results/secret.jpg", "local:nobody/x.jpg",
    ]  # fmt: skip

    answers = [image(node, source) for source in sources]

    assert {(a.status, a.problem["code"], a.problem["detail"]) for a in answers} == {
        (403, "source_forbidden", "the source address is not allowed")
    }


def test_a_replaced_picture_is_seen(node, server):
    """Once its address is purged, or its time is over, and not before."""
    lay(server, "public/changing.jpg")
    before = image(node, f"s3://{BUCKET}/public/changing.jpg")
    lay(server, "public/changing.jpg", png("red"))

    same = image(node, f"s3://{BUCKET}/public/changing.jpg")
    node.purge(source=f"s3://{BUCKET}/public/changing.jpg")
    after = image(node, f"s3://{BUCKET}/public/changing.jpg")

    assert same.body == before.body
    assert (after.status, after.body == before.body) == (200, False)


def test_a_store_that_is_away(node, server):
    """Is said to be, with a time to come back; what is at hand is still served; and it is tried as often as it says."""
    lay(server, "public/kept.jpg")
    lay(server, "public/new.jpg")
    kept = image(node, f"s3://{BUCKET}/public/kept.jpg")
    tried = node.metric('imagemill_store_operations_total{operation="get",outcome="dependency_down"}')

    server.kill()
    try:
        away = image(node, f"s3://{BUCKET}/public/new.jpg")
        still = image(node, f"s3://{BUCKET}/public/kept.jpg")
    finally:
        server.start()

    assert (away.status, away.problem["code"]) == (503, "dependency_down")
    assert "retry-after" in away.headers
    assert BUCKET not in away.body.decode()
    assert (still.status, still.body) == (200, kept.body)
    down = node.metric('imagemill_store_operations_total{operation="get",outcome="dependency_down"}')
    assert down - tried == 2
    assert image(node, f"s3://{BUCKET}/public/new.jpg").status == 200


def test_over_tls_by_an_authority_of_ones_own(tmp_path):
    """``SSL_CERT_FILE`` in the node's environment names whom to trust."""
    with serving_tls(tmp_path / "s3") as (server, authority):
        server.object("a.jpg").write_bytes(PHOTO)
        storage = {"photos": server.settings()}
        with serving(tmp_path, storage=storage, engine={"workers": 1}, env={"SSL_CERT_FILE": str(authority)}) as node:
            assert image(node, f"s3://{BUCKET}/a.jpg").status == 200
            assert node.stop() == 0


async def test_the_doctor_asks_each_store(server, tmp_path):
    """It says what each is for and which does not answer, and why; and no secret."""
    storage = {
        "photos": server.settings(prefix="public"),
        "results": server.settings(prefix="results", write=True),
        "gone": server.settings(bucket="nowhere"),
        "away": server.settings(endpoint="http://127.0.0.1:1", attempts=1, sources=False),
        "out": {"kind": "file", "root": str(tmp_path), "write": True, "sources": True},
    }

    settings = load(None, {}, {"signing": {"mode": "unsigned"}, "storage": storage})
    found = {f.check: (f.state, f.detail) for f in await doctor._stores(settings)}

    assert found == {
        "stores": ("ok", "photos, results, gone, away, out"),
        "store photos": ("ok", f"s3://{BUCKET}/public/… answers; read by callers"),
        "store results": ("ok", f"s3://{BUCKET}/results/… answers; written by jobs"),
        "store gone": ("fail", "s3://nowhere/…: the store does not let us do that there (ConfigInvalid)"),
        "store away": ("fail", f"s3://{BUCKET}/…: the store failed, or is away (Unexpected)"),
        "store out": ("ok", "local:out/… answers; read by callers and written by jobs"),
    }


def test_secrets_are_not_shown(node):
    """O-rows: neither in the log nor anywhere on the admin port."""
    shown = node.log.read_text() + node.admin("/metrics").body.decode()

    assert SECRET_KEY not in shown
