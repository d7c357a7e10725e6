"""Canonical forms and digests: equal requests, and only those, have equal keys.

Source   length-prefixed fields cannot run into one another, whatever their bytes (threat R13).
"""

from collections.abc import Iterable
from enum import Enum
from functools import cache
from hashlib import sha256

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from imagemill.model.entry import OF_LAYER
from imagemill.model.media import Format
from imagemill.model.recipe import Recipe, sources
from imagemill.model.request import SourceRef

ETAG_CHARS = 40
_HEX = frozenset("0123456789abcdef")
KEY_VERSION = 2
"""Raised whenever what a default means, or what an operation does, changes."""


def etag(body: bytes) -> str:
    """Digest of a body, as a strong entity tag without quotes."""
    return sha256(body).hexdigest()[:ETAG_CHARS]


def is_etag(text: str) -> bool:
    """Whether *text* looks like what `etag` gives."""
    return len(text) == ETAG_CHARS and set(text) <= _HEX


def source_key(source: SourceRef) -> str:
    """Name of a source in caches."""
    return _digest((b"source", source.scheme.encode(), source.address.encode()))


def result_key(source: SourceRef, recipe: Recipe, candidates: tuple[Format, ...] = ()) -> str:
    """Name of a rendition in caches: known before the source is read."""
    negotiated = b"".join(_frame(c.encode()) for c in candidates)
    return _digest((b"result", source.scheme.encode(), source.address.encode(), canonical(recipe), negotiated))


def layer_tags(recipe: Recipe) -> tuple[str, ...]:
    """The tags by which whatever is made with *recipe* is purged with the sources of its layers."""
    return tuple(sorted(OF_LAYER + source_key(source) for source in sources(recipe)))


def canonical(recipe: Recipe) -> bytes:
    """A recipe as bytes; fields equal to their default are left out, so that a new one keeps old keys."""
    return b"".join(_frame(_struct(op)) for op in recipe)


def _struct(value: Struct) -> bytes:
    parts = [_frame(type(value).__name__.encode())]
    for field in _fields(type(value)):
        item = getattr(value, field.name)
        if field.default is NODEFAULT or item != field.default:
            parts.append(_frame(field.name.encode()) + _frame(_atom(item)))
    return b"".join(parts)


@cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    return tuple(sorted(fields(kind), key=lambda f: f.name))


def _atom(item: object) -> bytes:
    match item:
        case Struct():
            return _struct(item)
        case bool() | int():
            return str(int(item)).encode()
        case Enum():
            return str(item.value).encode()
        case str():
            return item.encode()
        case None:
            return b"none"
        case tuple():
            return canonical(item)
    raise TypeError(f"not canonical: {type(item).__name__}")


def _frame(part: bytes) -> bytes:
    return b"%d:%b" % (len(part), part)


def _digest(parts: Iterable[bytes]) -> str:
    whole = sha256(b"imagemill%d" % KEY_VERSION)
    for part in parts:
        whole.update(_frame(part))
    return whole.hexdigest()
