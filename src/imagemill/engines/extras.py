"""What a rendition carries beside its pixels: an ICC profile, EXIF, XMP, IPTC; chosen, bounded, put into files.

Units    bytes. EXIF is as `engines.exif` writes it, XMP a packet of XML, IPTC a chain of IIM datasets.
Errors   `LimitExceeded` where the choice is more than the limit, or than the format holds.
Source   JPEG: EXIF 3.0 section 4.7, XMP part 3 section 1.1.3, ICC.1:2022 annex B.4, Photoshop image resources;
         PNG 3rd edition: iCCP, eXIf, iTXt; WebP: RFC 9649 section 2.7.
"""

import re
import zlib
from struct import pack

from msgspec import Struct

from imagemill.engines import exif
from imagemill.engines.decoded import Decoded, Image
from imagemill.engines.description.iptc import record
from imagemill.engines.headers import probe
from imagemill.engines.png_parts import chunk
from imagemill.model.errors import LimitExceeded
from imagemill.model.media import Format
from imagemill.model.recipe import Metadata
from imagemill.plan.operations.encoding import ABILITIES
from imagemill.plan.steps import Steps
from imagemill.settings import Limits

_SEGMENT = 65_533
"""Most bytes of a JPEG segment behind its length."""
_JFIF, _APP1, _APP2, _APP13 = b"\xff\xe0", 0xE1, 0xE2, 0xED
_XMP_NAME, _ICC_NAME = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_XMP_ORIENTATION = re.compile(
    rb"((?:<[\w.-]{1,40}:Orientation\s{0,9}>|\s[\w.-]{1,40}:Orientation\s{0,9}=\s{0,9}[\"'])\s{0,9})[2-8](?=[\"'<\s])"
)
_ICC_PART = _SEGMENT - len(_ICC_NAME) - 2
_MOST_PARTS = 255
_IPTC_RESOURCE = 0x0404
_IHDR_END = 33
_ICC_FLAG, _ALPHA_FLAG, _EXIF_FLAG, _XMP_FLAG = 0x20, 0x10, 0x08, 0x04


class Extras(Struct, frozen=True):
    """What goes into a file; empty is nothing."""

    icc: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.icc or self.exif or self.xmp or self.iptc)


NONE = Extras()


def kept(source: Decoded, steps: Steps, limits: Limits) -> Extras:
    """What of the *source*'s metadata goes into the rendition."""
    choice = steps.encode.metadata
    if choice is Metadata.STRIP or (header := source.notes) is None:
        return NONE
    block = exif.read(_field(header, "exif-data"))
    if choice is Metadata.COPYRIGHT:
        made = Extras(exif=exif.written(exif.copyright_of(block)))
    else:
        iptc = _field(header, "iptc-data") if ABILITIES[steps.format].iptc else b""
        made = Extras(exif=exif.written(block), xmp=_upright(_field(header, "xmp-data")), iptc=_datasets(iptc))
    size = len(made.exif) + len(made.xmp) + len(made.iptc)
    if size > limits.metadata_bytes:
        raise LimitExceeded("metadata_bytes", f"metadata: {size} > {limits.metadata_bytes} bytes")
    return made


def put_into(body: bytes, format_: Format, extras: Extras) -> bytes:
    """A JPEG, PNG or WebP file with *extras*; other formats are given them by their writers."""
    match format_:
        case Format.JPEG if extras:
            return _into_jpeg(body, extras)
        case Format.PNG | Format.APNG if extras:
            return body[:_IHDR_END] + _png_chunks(extras) + body[_IHDR_END:]
        case Format.WEBP if extras:
            return _into_webp(body, extras)
    return body


def _upright(xmp: bytes) -> bytes:
    """*xmp* without a turn that has been made: EXIF's orientation has a twin there (``tiff:Orientation``)."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _field(header: Image, name: str) -> bytes:
    return bytes(header.get(name)) if header.get_typeof(name) else b""


def _datasets(iptc: bytes) -> bytes:
    """*iptc* without what it may be wrapped in; nothing where that is no chain of datasets."""
    found = record(iptc)
    return found if found[:1] == b"\x1c" else b""


def _into_jpeg(body: bytes, extras: Extras) -> bytes:
    at = 2
    if body[2:4] == _JFIF:
        at += 2 + int.from_bytes(body[4:6], "big")
    made = b""
    if extras.exif:
        made += _segment(_APP1, b"Exif\0\0" + extras.exif, "EXIF")
    if extras.xmp:
        made += _segment(_APP1, _XMP_NAME + extras.xmp, "XMP")
    parts = [extras.icc[n : n + _ICC_PART] for n in range(0, len(extras.icc), _ICC_PART)]
    if len(parts) > _MOST_PARTS:
        raise LimitExceeded("icc_bytes", f"jpeg: a profile of {len(extras.icc)} bytes is more than it holds")
    for n, part in enumerate(parts, 1):
        made += _segment(_APP2, _ICC_NAME + bytes((n, len(parts))) + part, "profile")
    if extras.iptc:
        resource = b"8BIM" + pack(">HHI", _IPTC_RESOURCE, 0, len(extras.iptc)) + extras.iptc
        made += _segment(_APP13, b"Photoshop 3.0\0" + resource + b"\0" * (len(extras.iptc) % 2), "IPTC")
    return body[:at] + made + body[at:]


def _segment(marker: int, payload: bytes, name: str) -> bytes:
    if len(payload) > _SEGMENT:
        raise LimitExceeded("metadata_bytes", f"jpeg: {len(payload)} > {_SEGMENT} bytes of {name}")
    return pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _png_chunks(extras: Extras) -> bytes:
    made = b""
    if extras.icc:
        made += chunk(b"iCCP", b"ICC\0\0" + zlib.compress(extras.icc))
    if extras.exif:
        made += chunk(b"eXIf", extras.exif)
    if extras.xmp:
        made += chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + extras.xmp)
    return made


def _into_webp(body: bytes, extras: Extras) -> bytes:
    flags = (
        (_ICC_FLAG if extras.icc else 0) | (_EXIF_FLAG if extras.exif else 0) | (_XMP_FLAG if extras.xmp else 0)
    )  # fmt: skip
    if body[12:16] == b"VP8X":
        head, rest = bytes((body[20] | flags,)) + body[21:30], body[30:]
    else:
        info = probe(body)
        flags |= _ALPHA_FLAG if info.has_alpha else 0
        sides = (info.width_px - 1).to_bytes(3, "little") + (info.height_px - 1).to_bytes(3, "little")
        head, rest = bytes((flags, 0, 0, 0)) + sides, body[12:]
    made = _riff(b"VP8X", head) + _riff(b"ICCP", extras.icc) + rest
    made += _riff(b"EXIF", extras.exif) + _riff(b"XMP ", extras.xmp)
    return b"RIFF" + pack("<I", len(made) + 4) + b"WEBP" + made


def _riff(kind: bytes, payload: bytes) -> bytes:
    return kind + pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2) if payload else b""
