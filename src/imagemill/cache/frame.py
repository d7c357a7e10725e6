"""Turn what a cache holds into bytes that tell for themselves whether they are whole, ours, and of the key asked for.

Keys     64 hex digits, as of `model.keys`; their 32 bytes are in every frame.
Units    born in milliseconds since 1970; lengths in bytes; everything big-endian.
Errors   `BadFrame`, with one word for what is wrong; nothing else, whatever the bytes are.

    0 magic 4 | 4 version 1 | 5 kind 1 | 6 key 32 | 38 born 8 | 46 metadata length 4 | 50 body length 4
    54 checksum 16: BLAKE2b of everything else, keyed where there is a secret | 70 metadata, msgpack | body

Scripts read born and checksum where they stand: whoever moves them raises `VERSION`.
"""

import math
from collections.abc import Callable
from hashlib import blake2b, sha512
from struct import Struct as Layout
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from imagemill.model.entry import MAX_DATE_S, MAX_LIFE_S, MAX_TAGS, Entry, Failure, Validators
from imagemill.model.keys import is_etag
from imagemill.model.media import ANSWERS, Format, Rendition

MAGIC = b"imgm"
VERSION = 1
_HEAD = Layout(">4sBB32sQII")
BORN = slice(38, 46)
CHECKSUM = slice(_HEAD.size, _HEAD.size + 16)
HEAD_BYTES = CHECKSUM.stop
MAX_METADATA_BYTES = 32 * 1024
OVERHEAD_BYTES = HEAD_BYTES + MAX_METADATA_BYTES
"""What a frame is at most longer than its body."""
MAX_MESSAGE_CHARS = 300
SKEW_S = 300
"""How far ahead the clock of the node may be that made an entry."""
_ENTRY, _FAILURE = 1, 2
_KEY_BYTES = 32
_BLAKE_KEY_BYTES = 64

_Side = Annotated[int, Meta(ge=1, le=1 << 20)]
_Count = Annotated[int, Meta(ge=1, le=1 << 31)]
_Natural = Annotated[int, Meta(ge=0, le=1 << 53)]
_Date = Annotated[int, Meta(ge=0, le=MAX_DATE_S)]
_Seconds = Annotated[int, Meta(ge=0, le=1 << 40)]
_Word = Annotated[str, Meta(pattern="^[a-z_]{0,64}\\Z")]
_Name = Annotated[str, Meta(max_length=256)]
_SourceKey = Annotated[str, Meta(pattern="^([0-9a-f]{64})?\\Z")]
_Tags = Annotated[tuple[_Name, ...], Meta(max_length=MAX_TAGS)]


class BadFrame(Exception):
    """These bytes are not to be used; `reason` is one word of few."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def foreign(self) -> bool:
        """Whether this may be the answer to another question, rather than damage."""
        return self.reason in {"key", "magic"}


class _EntryTerms(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Metadata of an `Entry`, checked on the way in by msgspec."""

    format: Format
    etag: str
    width_px: _Side
    height_px: _Side
    frames: _Count
    born_s: float
    life_s: Annotated[int, Meta(ge=0, le=MAX_LIFE_S)]
    source_key: _SourceKey
    validator: _Name
    last_modified_s: _Date
    max_age_s: _Seconds | None
    storable: bool
    tags: _Tags
    asked_ms: _Natural
    cost_ms: _Natural
    engine: _Natural

    def __post_init__(self) -> None:
        """Keep to what a rendition of ours may be."""
        if self.format not in ANSWERS or not is_etag(self.etag):
            raise ValueError("no rendition of ours")


class _FailureTerms(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Metadata of a `Failure`."""

    code: _Word
    message: Annotated[str, Meta(max_length=MAX_MESSAGE_CHARS)]
    born_s: float
    source_key: _SourceKey
    tags: _Tags
    limit: _Word
    asked_ms: _Natural


_T = TypeVar("_T", _EntryTerms, _FailureTerms)
_encoder = msgspec.msgpack.Encoder()
_entry_terms = msgspec.msgpack.Decoder(_EntryTerms)
_failure_terms = msgspec.msgpack.Decoder(_FailureTerms)


def pack(key: str, content: Entry | Failure, secret: bytes) -> bytes:
    """The frame of *content* under *key*; `BadFrame` where no frame can hold it.

    A message is cut to `MAX_MESSAGE_CHARS`, a life to `MAX_LIFE_S`.
    """
    try:
        terms, body = _taken_apart(content)
        metadata = _encoder.encode(terms)
    except (ValueError, OverflowError) as e:
        raise BadFrame("metadata") from e
    if len(metadata) > MAX_METADATA_BYTES:
        raise BadFrame("metadata")
    kind = _ENTRY if isinstance(content, Entry) else _FAILURE
    head = _HEAD.pack(MAGIC, VERSION, kind, _digest(key), born_ms(content), len(metadata), len(body))
    return b"".join((head, _checksum(head, metadata, body, secret), metadata, body))


def unpack(frame: bytes, key: str, secret: bytes, now_s: float | None = None) -> Entry | Failure:
    """What *frame* holds of *key*, or `BadFrame`; with *now_s* also where it was born in the future."""
    if len(frame) < HEAD_BYTES:
        raise BadFrame("magic" if frame[:4] != MAGIC[: len(frame)] else "short")
    magic, version, kind, digest, born, metadata_bytes, body_bytes = _HEAD.unpack_from(frame)
    if magic != MAGIC:
        raise BadFrame("magic")
    if version != VERSION or kind not in {_ENTRY, _FAILURE}:
        raise BadFrame("version")
    if metadata_bytes > MAX_METADATA_BYTES or len(frame) != HEAD_BYTES + metadata_bytes + body_bytes:
        raise BadFrame("length")
    metadata, body = frame[HEAD_BYTES : HEAD_BYTES + metadata_bytes], frame[HEAD_BYTES + metadata_bytes :]
    if _checksum(frame[: _HEAD.size], metadata, body, secret) != frame[CHECKSUM]:
        raise BadFrame("checksum")
    if digest != _digest(key):
        raise BadFrame("key")
    content = _entry(metadata, body) if kind == _ENTRY else _failure(metadata, body)
    if born_ms(content) != born:
        raise BadFrame("metadata")
    if now_s is not None and content.born_s > now_s + SKEW_S:
        raise BadFrame("future")
    return content


class Glance(Struct, frozen=True):
    """What the front of a frame claims, unchecked: for whoever counts, and shows nobody a body."""

    failure: bool
    born_s: float
    expires_s: float
    """Of an entry; of a failure, when it was born."""


def glance(front: bytes) -> Glance | None:
    """What a frame that begins with *front* claims; None = nothing that we would say, or its metadata is cut off."""
    if len(front) < HEAD_BYTES or not front.startswith(MAGIC + bytes([VERSION])):
        return None
    _, _, kind, _, born, metadata_bytes, _ = _HEAD.unpack_from(front)
    metadata = front[HEAD_BYTES : HEAD_BYTES + metadata_bytes]
    try:
        life_s = _read(_entry_terms.decode, metadata).life_s if kind == _ENTRY else 0
    except BadFrame:
        return None
    return Glance(kind == _FAILURE, born / 1000, born / 1000 + life_s)


def born_ms(content: Entry | Failure) -> int:
    """When *content* was born, as a frame says it."""
    if not (math.isfinite(content.born_s) and 0 <= content.born_s < 1 << 40):
        raise BadFrame("metadata")
    return int(content.born_s * 1000)


def _digest(key: str) -> bytes:
    try:
        digest = bytes.fromhex(key)
    except ValueError:
        digest = b""
    if len(digest) != _KEY_BYTES:
        raise BadFrame("key")
    return digest


def _checksum(head: bytes, metadata: bytes, body: bytes, secret: bytes) -> bytes:
    key = sha512(secret).digest() if len(secret) > _BLAKE_KEY_BYTES else secret
    whole = blake2b(head, digest_size=16, key=key)
    whole.update(metadata)
    whole.update(body)
    return whole.digest()


def _taken_apart(content: Entry | Failure) -> tuple[_EntryTerms | _FailureTerms, bytes]:
    if isinstance(content, Failure):
        message = content.message[:MAX_MESSAGE_CHARS]
        return _FailureTerms(
            content.code, message, content.born_s, content.source_key, content.tags, content.limit, content.asked_ms
        ), b""
    made, said = content.rendition, content.validators
    return _EntryTerms(
        made.format, made.etag, made.width_px, made.height_px, made.frames,
        content.born_s, min(content.life_s, MAX_LIFE_S), content.source_key,
        said.etag, said.last_modified_s, content.max_age_s, content.storable,
        content.tags, content.asked_ms, content.cost_ms, content.engine,
    ), made.body  # fmt: skip


def _entry(metadata: bytes, body: bytes) -> Entry:
    terms = _read(_entry_terms.decode, metadata)
    if not body:
        raise BadFrame("length")
    return Entry(
        rendition=Rendition(body, terms.format, terms.etag, terms.width_px, terms.height_px, terms.frames),
        born_s=terms.born_s,
        life_s=terms.life_s,
        source_key=terms.source_key,
        validators=Validators(terms.validator, terms.last_modified_s),
        max_age_s=terms.max_age_s,
        storable=terms.storable,
        tags=terms.tags,
        asked_ms=terms.asked_ms,
        cost_ms=terms.cost_ms,
        engine=terms.engine,
    )


def _failure(metadata: bytes, body: bytes) -> Failure:
    terms = _read(_failure_terms.decode, metadata)
    if body or not terms.code:
        raise BadFrame("length")
    return Failure(terms.code, terms.message, terms.born_s, terms.source_key, terms.tags, terms.limit, terms.asked_ms)


def _read(decode: Callable[[bytes], _T], metadata: bytes) -> _T:
    try:
        return decode(metadata)
    except (msgspec.MsgspecError, ValueError, RecursionError) as e:
        raise BadFrame("metadata") from e
