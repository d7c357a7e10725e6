"""What every store offers to whoever reads: one verb, one key grammar, one error family."""

from typing import Protocol

from msgspec import Struct

from imagemill.model.errors import BadRequest


class Blob(Struct, frozen=True):
    """One source as it was read: its bytes, and what the store said of them."""

    body: bytes
    etag: str = ""
    """The store's own validator; clamped, never reflected to callers."""
    last_modified_s: int = 0
    """Unix time; 0 = not said. What lies in the future becomes now: see `service.origin`."""
    max_age_s: int | None = None
    """What ``Cache-Control`` or ``Expires`` allow, clamped to a year; None = not said."""
    storable: bool = True
    """False where the source says ``private`` or ``no-store``."""
    born_s: float = 0.0
    """Unix time at which it was asked for; filled in by `service.origin`."""

    @property
    def validator(self) -> str:
        """What changes when the bytes change, as far as the store says; empty = it says nothing."""
        return self.etag or (str(self.last_modified_s) if self.last_modified_s else "")


class Get(Protocol):
    """A place sources are read from."""

    async def get(self, key: str, /, *, limit: int) -> Blob:
        """Read one object of at most *limit* bytes.

        Raises:
            BadRequest: not a key of this store.
            SourceNotFound: no such object.
            SourceTooLarge: more than *limit* bytes.
            SourceError: the store failed; see `model.errors`.
        """
        ...


def split(key: str) -> list[str]:
    """Cut a key at "/" into plain names of 1 to 255 bytes, or raise `BadRequest`."""
    parts = key.split("/")
    for part in parts:
        bad = part in {"", ".", ".."} or "\0" in part or "\\" in part
        if bad or len(part.encode("utf-8", "surrogatepass")) > 255:
            raise BadRequest("not a key: empty, dot or overlong names, NUL and backslash are refused")
    return parts
