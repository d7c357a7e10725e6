"""A destination in this process: what `storage.base.Get` and `Put` promise, without a disk."""

from hashlib import sha256

from imagemill.model.errors import SourceNotFound, SourceTooLarge
from imagemill.storage.base import NONE_KNOWN, Blob, Stat, Terms, split


class MemoryStore:
    """Objects by key; counts what is asked, and fails when told to."""

    def __init__(self, name: str = "out", public: str = "") -> None:
        self.name, self.public = name, public
        self.objects: dict[str, tuple[bytes, Terms]] = {}
        self.puts: list[str] = []
        self.error: Exception | None = None

    async def get(self, key, /, *, limit, known=NONE_KNOWN):
        split(key)
        if key not in self.objects:
            raise SourceNotFound("no such object")
        body = self.objects[key][0]
        if len(body) > limit:
            raise SourceTooLarge(f"the source: {len(body)} > {limit} bytes")
        return Blob(body, sha256(body).hexdigest()[:16])

    async def put(self, key, body, /, terms):
        split(key)
        self.puts.append(key)
        if self.error:
            raise self.error
        self.objects[key] = (body, terms)
        return Stat(len(body), sha256(body).hexdigest())

    async def stat(self, key, /):
        if key not in self.objects:
            return None
        body = self.objects[key][0]
        return Stat(len(body), sha256(body).hexdigest())

    def address(self, key, /):
        return f"local:{self.name}/{key}"

    async def url(self, key, /, *, good_for_s):
        return f"{self.public}{key}?good={good_for_s}" if self.public else None
