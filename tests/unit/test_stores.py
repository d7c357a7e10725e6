"""Which stores there are, who may read them, and who may write to them."""

import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

from imagemill import storage
from imagemill.configuration import load, masked
from imagemill.model.errors import SettingsError
from imagemill.stores import open_all

BUCKET = {"kind": "s3", "bucket": "pictures", "region": "eu-1", "endpoint": "http://127.0.0.1:1"}


def opened(environ=None, **tables):
    return open_all(load(None, environ or {}, {"signing": {"mode": "unsigned"}, "storage": tables}))


def test_stores_by_use(tmp_path):
    """Callers read what is not written to, unless the settings say otherwise; each bucket by its folder, too."""
    folder = {"kind": "file", "root": str(tmp_path)}
    stores = opened(
        photos=folder,
        out=folder | {"write": True},
        both=folder | {"write": True, "sources": True},
        hidden=folder | {"sources": False},
        bucket=BUCKET,
        part=BUCKET | {"prefix": "/a/b/", "write": True, "sources": True},
        results=BUCKET | {"prefix": "results", "write": True},
    )

    assert set(stores.all) == {"photos", "out", "both", "hidden", "bucket", "part", "results"}
    assert set(stores.sources) == {"photos", "both", "bucket", "part"}
    assert set(stores.buckets) == {"pictures", "pictures/a/b"}
    assert set(stores.writable) == {"out", "both", "part", "results"}
    assert stores.all["out"].address("k") == "local:out/k"


def test_one_bucket_is_read_through_one_store():
    """Else nobody could say whose credentials an ``s3://`` source is read with."""
    with pytest.raises(SettingsError, match=r"storage\.b: s3://pictures is read through another store"):
        opened(a=BUCKET, b=BUCKET)

    assert set(opened(a=BUCKET, b=BUCKET | {"sources": False}).sources) == {"a"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"bucket": "No"}, "storage.a: Expected `str` matching regex"),
        ({"bucket": "a/b"}, "storage.a: Expected `str` matching regex"),
        ({"bucket": ".."}, "storage.a: Expected `str` matching regex"),
        ({"regoin": "x"}, "unknown setting storage.a.regoin; did you mean region?"),
        ({"part_bytes": 1}, "storage.a: Expected `int` >= 5242880"),
        ({"access_key_id": "x"}, "storage.a: access_key_id and secret_access_key: both or neither"),
        ({"access_key_id": 5}, "storage.a: Expected a string, got `int`"),
        ({"addressing": "dns"}, "storage.a: Invalid enum value 'dns'"),
        ({"endpoint": "nowhere"}, "storage.a: endpoint is http:// or https:// and a host"),
    ],
)
def test_wrong_buckets_are_refused(table, words):
    with pytest.raises(SettingsError) as e:
        opened(a=BUCKET | table)

    assert words in str(e.value)


def test_what_the_how_to_shows_is_right(monkeypatch, tmp_path):
    """Every block of settings on the page is accepted as it stands, but for where the folder is."""
    monkeypatch.setitem(os.environ, "AWS_REGION", "")
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "s3.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for block in blocks:
        tables = tomllib.loads(block.replace("/srv/imagemill/out", str(tmp_path)))["storage"]
        assert set(opened(**tables).all) == set(tables)

    assert len(blocks) == 4


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "imagemill.storage.s3", raising=False)
    monkeypatch.delattr(storage, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "opendal", None)

    with pytest.raises(SettingsError, match=r"storage\.a: kind 's3' needs: pip install 'imagemill\[s3\]'"):
        opened(a=BUCKET)


def test_keys_from_the_environment_are_taken_as_they_are():
    """One of digits, or that looks like a table, is no number and no table; and none is shown."""
    environ = {"IMAGEMILL_STORAGE__A__ACCESS_KEY_ID": "12345678", "IMAGEMILL_STORAGE__A__SECRET_ACCESS_KEY": "{x = 1}"}
    opened(environ, a=BUCKET)

    shown = masked(load(None, environ, {"signing": {"mode": "unsigned"}, "storage": {"a": BUCKET}}))
    assert (shown["storage"]["a"]["access_key_id"], shown["storage"]["a"]["secret_access_key"]) == ("***", "***")
