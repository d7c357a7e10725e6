"""What a tenant may use, and which store a source is."""

import pytest

from imagemill.model.request import SourceRef
from imagemill.service.rights import Rights
from imagemill.settings import Tenant

BUCKETS = {"pictures": "all", "pictures/private": "inner", "pictures/private/deep": "deepest"}


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("local:out/a/b", ("out", "a/b")),
        ("s3:pictures/a", ("all", "a")),
        ("s3:pictures/private/a", ("inner", "a")),
        ("s3:pictures/private/deep/a", ("deepest", "a")),
        ("s3:pictures/privately", ("all", "privately")),
        ("s3:picture/a", ("", "picture/a")),
        ("s3:private/a", ("", "private/a")),
    ],
)
def test_the_store_that_is_read_is_the_one_that_is_judged(source, place):
    """Of a folder that is a store of its own, whatever the whole bucket is called."""
    assert Rights(buckets=BUCKETS).place(SourceRef(*source.split(":", 1))) == place


def test_who_has_no_table_may_use_all():
    rights = Rights({"narrow": Tenant(stores=("a",), secrets=()), "wide": Tenant()})

    assert [rights.store(who, "a") for who in ("narrow", "wide", "other")] == [True] * 3
    assert [rights.store(who, "b") for who in ("narrow", "wide", "other")] == [False, True, True]
    assert [rights.secret(who, "main") for who in ("narrow", "wide", "other")] == [False, True, True]
