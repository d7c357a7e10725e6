"""Whole objects by way of streams: limits hold whatever a store says, and pieces are cut without loss."""

from contextlib import asynccontextmanager
from hashlib import sha256

import pytest

from imagemill.model.errors import SourceTooLarge, StoreCorrupt
from imagemill.storage import whole
from imagemill.storage.base import NONE_KNOWN, Opened, Stat, Terms
from imagemill.storage.whole import Tally


class Liar:
    """Announces one size and gives chunks of another; counts them."""

    def __init__(self, announced: int, chunks: list[bytes]) -> None:
        self.announced, self.given, self.left = announced, [], False
        self._chunks = chunks

    @asynccontextmanager
    async def open(self, _key, /, *, known):
        async def chunks():
            for chunk in self._chunks:
                self.given.append(chunk)
                yield chunk

        yield Opened(Stat(self.announced, etag="e", last_modified_s=7), chunks())
        self.left = True


async def test_one_chunk_is_passed_on_as_it_is():
    """Most objects are one: they are not copied."""
    body = b"1234"
    store = Liar(4, [body])

    blob = await whole.get(store, "a", limit=4, known=NONE_KNOWN)

    assert blob.body is body
    assert (blob.etag, blob.last_modified_s) == ("e", 7)
    assert store.left


async def test_no_more_is_taken_than_the_limit_and_a_chunk():
    store = Liar(1, [b"123"] * 100)

    with pytest.raises(SourceTooLarge, match="more than 7 bytes"):
        await whole.get(store, "a", limit=7, known=NONE_KNOWN)

    assert len(store.given) == 3


async def test_what_is_announced_as_too_large_is_not_asked_for():
    store = Liar(8, [b"1"])

    with pytest.raises(SourceTooLarge, match="8 > 7 bytes"):
        await whole.get(store, "a", limit=7, known=NONE_KNOWN)

    assert store.given == []


class Noting:
    async def write(self, _key, chunks, /, terms):
        self.terms, self.body = terms, b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("body", [b"", b"123"])
async def test_what_is_held_whole_has_its_digest_ahead(body):
    """A store can keep it beside the object however large; one that is given is passed on, to be judged there."""
    store = Noting()

    await whole.put(store, "a", body, Terms("image/png"))
    assert (store.body, store.terms) == (body, Terms("image/png", sha256=sha256(body).hexdigest()))
    await whole.put(store, "a", body, Terms(sha256="other"))
    assert store.terms.sha256 == "other"


async def given_out(chunks):
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize(
    ("most", "ahead"), [(0, [b"", b"12"]), (1, [b"", b"12"]), (2, [b"", b"12", b"3"]), (3, [b"", b"12", b"3"]), (9, [b"", b"12", b"3"])]
)  # fmt: skip
async def test_the_first_chunks_are_just_more_than_so_many_bytes(most, ahead):
    """Or all there are; the rest comes after them."""
    chunks = given_out([b"", b"12", b"3"])

    got = await whole.first(chunks, most)

    assert got == ahead
    assert b"".join([*got, *[chunk async for chunk in chunks]]) == b"123"


@pytest.mark.parametrize("sizes", [[], [1, 2], [3 * 1024 * 1024, 1]])
async def test_a_tally_is_of_all_that_came(sizes):
    """Also of what is hashed in a thread."""
    tally = Tally()
    for size in sizes:
        await tally.add(b"x" * size)

    digest = sha256(b"x" * sum(sizes)).hexdigest()
    assert (tally.body_bytes, tally.sha256) == (sum(sizes), digest)
    tally.judge("")
    tally.judge(digest)
    with pytest.raises(StoreCorrupt):
        tally.judge(sha256(b"other").hexdigest())
