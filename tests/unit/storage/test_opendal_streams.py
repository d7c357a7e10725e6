"""Why a stream of OpenDAL's failed, which its files say in words alone."""

from types import SimpleNamespace

import pytest

from imagemill.model.errors import DependencyDown, SourceTruncated
from imagemill.storage import opendal_streams

SEEN = SimpleNamespace(content_length=5, etag='"1"')


class Bucket:
    """One object, with the etag that it has by now, whose stream breaks off."""

    def __init__(self, words: str, etag: str) -> None:
        self._words = words
        self._etag = etag

    async def open(self, _path, _mode, **_given):
        return self

    async def read(self, _size):
        raise OSError(self._words)

    async def close(self):
        pass

    async def stat(self, _path):
        return SimpleNamespace(etag=self._etag)


@pytest.mark.parametrize(
    ("words", "etag", "error"),
    [
        ("ConditionNotMatch (permanent) at read, context: {}", '"1"', SourceTruncated),
        ("ConditionNotMatch (permanent) at read, context: {}", '"2"', SourceTruncated),
        ("Unexpected (temporary) at read, context: {}", '"2"', SourceTruncated),
        ("Unexpected (temporary) at read, context: {}", '"1"', DependencyDown),
    ],
)
async def test_a_stream_that_fails(words, etag, error):
    """Another version is said to be one, also where the first has taken its place again; all else is the store's fault."""
    async with opendal_streams.reading(Bucket(words, etag), "a", SEEN) as chunks:
        with pytest.raises(error):
            async for _ in chunks:
                pass
