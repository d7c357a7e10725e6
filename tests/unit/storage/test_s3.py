"""What is known of a bucket without asking it: its settings, its keys, its addresses."""

from urllib.parse import parse_qs, urlsplit

import pytest

from imagemill.model.errors import BadRequest, SettingsError, StoreRefused
from imagemill.settings import Secret
from imagemill.storage import s3
from imagemill.storage.base import Terms
from imagemill.storage.s3 import S3Store, Settings, place

KEYS = {"access_key_id": Secret("id"), "secret_access_key": Secret("secret")}
HERE = "http://127.0.0.1:1"


def settings(**given) -> Settings:
    return Settings(**({"bucket": "pictures", "region": "eu-1", "endpoint": HERE} | KEYS | given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"secret_access_key": Secret("")}, "both or neither"),
        ({"access_key_id": Secret("")}, "both or neither"),
        ({"access_key_id": Secret(""), "secret_access_key": Secret(""), "session_token": Secret("x")}, "session_token"),
        ({"anonymous": True}, "anonymous"),
        (
            {"access_key_id": Secret(""), "secret_access_key": Secret(""), "anonymous": True, "profile": "p"},
            "anonymous",
        ),
        ({"endpoint": "127.0.0.1:1"}, "endpoint is http"),
        ({"endpoint": "ftp://x"}, "endpoint is http"),
        ({"public_endpoint": "https://x/?a"}, "public_endpoint is http"),
        ({"prefix": "../up"}, "prefix: not a key"),
        ({"prefix": "a//b"}, "prefix: not a key"),
    ],
)
def test_what_no_request_could_be_made_with_is_refused(given, words):
    with pytest.raises(SettingsError, match=words):
        settings(**given)


def test_the_region_must_be_known(monkeypatch):
    """From the settings, or from the environment as every program for S3 takes it."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(SettingsError, match="region is missing"):
        S3Store(settings(region=""))

    monkeypatch.setenv("AWS_REGION", "eu-2")
    S3Store(settings(region=""))


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "a\\b", "a\0", " a", "a ", "\ta", "a\u00a0", "a\u2028", "\ud800",
     "x" * 256, "/".join(["x" * 200] * 6)],
)  # fmt: skip
async def test_what_is_no_key(key):
    """What leads out, and what OpenDAL would make another key of: spaces at the ends, more than fits."""
    store = S3Store(settings(write=True))
    for call in (
        lambda: store.get(key, limit=1),
        lambda: store.put(key, b"", Terms()),
        lambda: store.stat(key),
        lambda: store.url(key, good_for_s=1),
    ):
        with pytest.raises(BadRequest):
            await call()


async def test_nothing_is_asked_of_a_store_that_is_not_written_to():
    with pytest.raises(StoreRefused):
        await S3Store(settings()).put("a", b"", Terms())


@pytest.mark.parametrize(("prefix", "where"), [("", ""), ("a", "a/"), ("/a/b/", "a/b/"), ("/", "")])
async def test_a_prefix_is_a_folder(prefix, where):
    """Every key lies in it, however it is written."""
    given = settings(prefix=prefix)
    store = S3Store(given)

    assert place(given) == f"pictures/{where}".rstrip("/")
    assert store.address("k/1") == f"s3://pictures/{where}k/1"
    assert urlsplit(await store.url("k/1", good_for_s=60)).path == f"/pictures/{where}k/1"


@pytest.mark.parametrize(("asked_s", "given_s"), [(60, "60"), (0, "1"), (10**9, "604800")])
async def test_addresses_are_good_for_so_long(asked_s, given_s):
    """As asked, within what S3 accepts; and the secret is not in them."""
    url = await S3Store(settings()).url("a b/é?", good_for_s=asked_s)

    assert urlsplit(url).path == "/pictures/a%20b/%C3%A9%3F"
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [given_s]
    assert "secret" not in url


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"public_endpoint": "https://cdn.example"}, "https://cdn.example/pictures/a"),
        ({"public_endpoint": "https://cdn.example", "addressing": "virtual_host"}, "https://pictures.cdn.example/a"),
        ({"addressing": "virtual_host", "endpoint": "https://s3.example"}, "https://pictures.s3.example/a"),
        ({"endpoint": ""}, "https://s3.eu-1.amazonaws.com/pictures/a"),
    ],
)
async def test_addresses_name_the_host_that_callers_reach(given, address):
    url = await S3Store(settings(**given)).url("a", good_for_s=60)

    assert url.partition("?")[0] == address


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, f"{HERE}/pictures/p/a%20b"),
        ({"addressing": "virtual_host", "endpoint": "https://s3.example/"}, "https://pictures.s3.example/p/a%20b"),
        ({"endpoint": ""}, None),
    ],
)
async def test_addresses_of_public_buckets_are_plain(given, address):
    store = S3Store(
        Settings(bucket="pictures", region="eu-1", prefix="p", anonymous=True, **({"endpoint": HERE} | given))
    )

    assert await store.url("a b", good_for_s=60) == address


def test_its_threads_may_finish_before_the_process_ends(monkeypatch):
    """One pause at the exit, however many stores there are; without it one exit in five would end in SIGABRT."""
    registered, pauses = [], []
    monkeypatch.setattr(s3.atexit, "register", registered.append)
    monkeypatch.setattr(s3.atexit, "unregister", lambda it: registered.remove(it) if it in registered else None)
    monkeypatch.setattr(s3.time, "sleep", pauses.append)
    for _ in range(3):
        S3Store(settings())

    for it in registered:
        it()
    assert pauses == [0.05]


def test_secrets_do_not_show():
    assert "'secret'" not in repr(settings())
