"""A purge as bytes, as it travels between nodes.

Form     MAC (16 bytes), then MessagePack ``[version, subject, name, time, soft]``.
Covers   the stream's name too: an event of one prefix is none of another.
Errors   `BadEvent` for whatever is not exactly that: all that comes out of Redis may be hostile.
"""

import hmac
from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from imagemill.cache.purges import DIGEST_BYTES, Purge, Subject

_VERSION = 1
_MAC_BYTES = 16
_MAX_BYTES = 128
_MAX_MS = 1 << 53


class BadEvent(Exception):
    """These bytes are no event of ours."""


class _Event(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=_VERSION, le=_VERSION)]
    subject: Subject
    name: Annotated[bytes, Meta(max_length=DIGEST_BYTES)]
    at_ms: Annotated[int, Meta(ge=0, le=_MAX_MS)]
    soft: bool


_DECODER = msgspec.msgpack.Decoder(_Event)


class Seal:
    """Makes and reads events: keyed by *secret* if there is one, else against damage only."""

    def __init__(self, secret: str, stream: str) -> None:
        self._key = blake2b(secret.encode()).digest() if secret else b""
        self._stream = stream.encode()

    def encode(self, purge: Purge) -> bytes:
        """The event of *purge*."""
        body = msgspec.msgpack.encode(_Event(_VERSION, purge.subject, purge.name, purge.at_ms, purge.soft))
        return self._mac(body) + body

    def decode(self, event: bytes) -> Purge:
        """The purge of *event*, or `BadEvent`; nothing is parsed that was not made by one who knows the secret."""
        mac, body = event[:_MAC_BYTES], event[_MAC_BYTES:]
        if len(event) > _MAX_BYTES or not hmac.compare_digest(mac, self._mac(body)):
            raise BadEvent
        try:
            read = _DECODER.decode(body)
        except msgspec.DecodeError as e:
            raise BadEvent from e
        named = DIGEST_BYTES if read.subject is not Subject.ALL else 0
        if len(read.name) != named or (read.soft and not named):
            raise BadEvent
        return Purge(read.subject, read.name, read.at_ms, read.soft)

    def _mac(self, body: bytes) -> bytes:
        mac = blake2b(self._stream, digest_size=_MAC_BYTES, key=self._key, person=b"imagemill-purge")
        mac.update(b"\0" + body)
        return mac.digest()
