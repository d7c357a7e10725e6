"""How values are written into histories: as JSON that an operator can read, compressed where it is long.

Units    bytes; Temporal refuses a payload of more than `MAX_BYTES` unless told otherwise.
Source   docs.temporal.io/troubleshooting/blob-size-limit-error: 2 MB for one payload, 4 MB for one request.
"""

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
    PayloadCodec,
)

from imagemill.model.errors import LimitExceeded

MAX_BYTES = 2 * 1024 * 1024
_LONG_BYTES = 8 * 1024
_MOST_BYTES = 256 * 1024 * 1024
_ENCODING = b"binary/zlib"
_QUICK = 1


class StructConverter(EncodingPayloadConverter):
    """Structs, and all else that msgspec knows, as plain JSON."""

    @property
    def encoding(self) -> str:
        """What other tools read it as."""
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:
        """Write *value*."""
        return Payload(metadata={"encoding": self.encoding.encode()}, data=msgspec.json.encode(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Read what is of *type_hint*, or plain values without one."""
        return msgspec.json.decode(payload.data, type=Any if type_hint is None else type_hint)


class StructPayloads(CompositePayloadConverter):
    """The converters in use, first that fits first."""

    def __init__(self) -> None:
        super().__init__(BinaryNullPayloadConverter(), BinaryPlainPayloadConverter(), StructConverter())


class Compressed(PayloadCodec):
    """Long payloads compressed; short ones as they are."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Compress what is long."""
        return [await _off_loop(_shrink, p) if len(p.data) > _LONG_BYTES else p for p in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Undo it."""
        return [await _off_loop(_grow, p) if p.metadata.get("encoding") == _ENCODING else p for p in payloads]


CONVERTER = DataConverter(payload_converter_class=StructPayloads, payload_codec=Compressed())
"""The same for clients, workers and the replay of histories."""


async def check_size(value: Any, limit: str) -> None:
    """Refuse what Temporal would not take in one payload, `LimitExceeded` by the name of *limit*."""
    payloads = await CONVERTER.encode([value])
    size_bytes = sum(payload.ByteSize() for payload in payloads)
    if size_bytes > MAX_BYTES * 3 // 4:  # the rest is for what grows later, and for the request around it
        raise LimitExceeded(limit, f"{size_bytes} > {MAX_BYTES * 3 // 4} bytes, compressed, for Temporal; split it")


async def _off_loop(work: Any, payload: Payload) -> Payload:
    result: Payload = await asyncio.to_thread(work, payload)
    return result


def _shrink(payload: Payload) -> Payload:
    return Payload(metadata={"encoding": _ENCODING}, data=zlib.compress(payload.SerializeToString(), _QUICK))


def _grow(payload: Payload) -> Payload:
    whole = zlib.decompressobj()
    plain = whole.decompress(payload.data, _MOST_BYTES)
    if not whole.eof:
        raise ValueError(f"a payload of more than {_MOST_BYTES} bytes, or cut short")
    return Payload.FromString(plain)
