"""Which server a URL means, and that nobody learns a password from our words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.cache.redis_client import Address, Topology, check, connect, parse
from imagemill.model.errors import SettingsError
from imagemill.settings import Level2, Secret


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("redis://h", Address(Topology.STANDALONE, False, (("h", 6379),))),
        ("rediss://h:1/2", Address(Topology.STANDALONE, True, (("h", 1),), db=2)),
        ("redis://:p%40ss@h", Address(Topology.STANDALONE, False, (("h", 6379),), password="p@ss")),
        ("redis://u:p@[::1]:7", Address(Topology.STANDALONE, False, (("::1", 7),), "u", "p")),
        ("redis://[::1]", Address(Topology.STANDALONE, False, (("::1", 6379),))),
        (
            "redis+sentinel://u:p@a,b:1/main/3",
            Address(Topology.SENTINEL, False, (("a", 26379), ("b", 1)), "u", "p", "main", 3),
        ),
        ("rediss+cluster://a:1,b:2", Address(Topology.CLUSTER, True, (("a", 1), ("b", 2)))),
        ("redis+cluster://a/0", Address(Topology.CLUSTER, False, (("a", 6379),))),
    ],
)
def test_what_is_meant(url, meant):
    assert parse(url) == meant


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "begins with"),
        ("http://h", "begins with"),
        ("redis+tls://h", "begins with"),
        ("redis+://h", "begins with"),
        ("redis://", "no host"),
        ("redis://a,b", "several hosts"),
        ("redis://h:x", "port of h"),
        ("redis://h:0", "port of h"),
        ("redis://h:65536", "port of h"),
        ("redis://[nonsense]:1", "IPv6"),
        ("redis://[::1", "IPv6"),
        ("redis://h/x", "database"),
        ("redis+cluster://h/1", "database 0"),
        ("redis+sentinel://h", "name of the service"),
        ("redis://h?password=x", "query"),
    ],
)
def test_what_cannot_be_meant(url, words):
    with pytest.raises(SettingsError, match=words):
        parse(url)


@given(st.text("abcXYZ019@:/?#[],% ", max_size=30))
def test_no_word_shows_the_password(rest):
    """Whatever is wrong with a URL, what stands before its last @ is not repeated."""
    try:
        said = repr(parse(f"redis://user:hushhush@{rest}"))
    except SettingsError as e:
        said = str(e)

    assert "hushhush" not in said


@pytest.mark.parametrize("prefix", ["", "a{b", "a}", "a\n"])
def test_a_prefix_is_a_word(prefix):
    with pytest.raises(SettingsError, match=r"l2\.prefix"):
        check(Level2(url=Secret("redis://h"), prefix=prefix))


def test_a_secret_is_long():
    check(Level2(url=Secret("redis://h"), secret=Secret("s" * 32)))

    with pytest.raises(SettingsError, match="31 bytes; at least 32"):
        check(Level2(url=Secret("redis://h"), secret=Secret("s" * 31)))


def test_a_ca_file_holds_certificates(tmp_path):
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")

    with pytest.raises(SettingsError, match="no certificates"):
        check(Level2(url=Secret("rediss://h"), ca_file=str(empty)))
    with pytest.raises(SettingsError, match="no file"):
        check(Level2(url=Secret("rediss://h"), ca_file=str(tmp_path / "missing")))


@pytest.mark.parametrize("url", ["redis://h", "redis+sentinel://h/main", "redis+cluster://h"])
async def test_a_client_asks_nothing_before_it_is_asked(url):
    client = connect(Level2(url=Secret(url)), timeout_s=None)

    await client.aclose()
