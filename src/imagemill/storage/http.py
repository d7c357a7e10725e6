"""Read sources from the web, through the guarded client.

Keys     canonical URLs, as `net.guard.parse` makes them; others are made canonical first.
Errors   `net.client.Client.get`.
Streams  none: the client's promises are about whole bodies (their rate, time and length), and a stream would hold one
         of its few connections for as long as its reader likes. Sources from the web are bounded, and wanted whole.
"""

from typing import Protocol

from imagemill.model.entry import Validators
from imagemill.net.client import Fetched, NotModified
from imagemill.storage.base import NONE_KNOWN, Blob, Unchanged


class Fetches(Protocol):
    """What is needed of the client: one verb."""

    async def get(self, url: str, *, limit: int, known: Validators = NONE_KNOWN) -> Fetched | NotModified:
        """Fetch one body of at most *limit* bytes, unless it is still the one *known*."""
        ...


class HttpStore:
    """The web, seen as a store."""

    def __init__(self, client: Fetches) -> None:
        self._client = client

    async def get(self, key: str, /, *, limit: int, known: Validators = NONE_KNOWN) -> Blob | Unchanged:
        """Fetch one object whole."""
        got = await self._client.get(key, limit=limit, known=known)
        if isinstance(got, NotModified):
            return Unchanged(got.max_age_s, got.storable)
        return Blob(
            got.body,
            etag=got.etag,
            last_modified_s=got.last_modified_s,
            max_age_s=got.max_age_s,
            storable=got.storable,
        )
