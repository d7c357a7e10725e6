"""From the bytes of a file to its characters: unpacked, of one encoding that is known.

Errors   `LimitExceeded` ``svg_bytes``; `ImageCorrupt` for a damaged gzip, an encoding that is not known, or bytes that
         are none of it.
Source   XML 1.0 (fifth edition) 4.3.3 and appendix F; RFC 1952.
"""

import re
import zlib

from imagemill.model.errors import ImageCorrupt, LimitExceeded

GZIP = b"\x1f\x8b\x08"
_WITH_GZIP_HEADER = 31
_DECLARED = re.compile(rb"\A<\?xml[^>]{0,200}?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_ENCODINGS = {
    b"utf-8": "utf-8", b"utf8": "utf-8", b"us-ascii": "ascii", b"ascii": "ascii", b"iso-8859-1": "iso-8859-1",
    b"latin1": "iso-8859-1", b"iso-8859-15": "iso-8859-15", b"windows-1252": "windows-1252",
}  # fmt: skip
"""Where no byte order mark says more: those in which ``<`` is ``<``, and nothing else is."""
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_UNMARKED = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_BEGINNINGS = re.compile(r"\s*<(?:\?xml\s|!--|!DOCTYPE\s+(?:[\w.-]+:)?svg\b|(?:[\w.-]+:)?svg[\s>/])")


def encodings() -> frozenset[str]:
    """All that a file may be written in."""
    return frozenset({*_ENCODINGS.values(), *(name for _, name in (*_MARKS, *_UNMARKED))})


def begins_svg(head: bytes) -> bool:
    """Whether *head* may be the beginning of a vector picture: which it is, only the root element tells."""
    if head.startswith(GZIP):
        return True
    try:
        mark, encoding = _encoding(head)
    except ImageCorrupt:  # XML it is, and whoever reads it will say what is wrong
        return True
    return bool(_BEGINNINGS.match(head[mark:].decode(encoding, "ignore")))


def characters(source: bytes, most_bytes: int) -> str:
    """All of a file, unpacked if it is packed."""
    plain = unpacked(source, most_bytes)
    if len(plain) > most_bytes:
        raise LimitExceeded("svg_bytes", f"svg: more than {most_bytes} bytes of text")
    mark, encoding = _encoding(plain)
    try:
        return plain[mark:].decode(encoding)
    except UnicodeDecodeError as e:
        raise ImageCorrupt(f"svg: not of its encoding, {encoding}") from e


def beginning(source: bytes, most_bytes: int) -> str:
    """The first *most_bytes* of a file, unpacked if it is packed; what is cut in the middle is left out."""
    plain = unpacked(source[: most_bytes + 1], most_bytes, whole=False)[:most_bytes]
    mark, encoding = _encoding(plain)
    return plain[mark:].decode(encoding, "ignore")


def unpacked(source: bytes, most_bytes: int, *, whole: bool = True) -> bytes:
    """*source*, or what was packed in it: never more than one byte beyond *most_bytes* of that."""
    if not source.startswith(GZIP):
        return source
    packed = zlib.decompressobj(_WITH_GZIP_HEADER)
    try:
        plain = packed.decompress(source, most_bytes + 1)
    except zlib.error as e:
        raise ImageCorrupt("svg: a damaged gzip") from e
    if whole and not packed.eof and len(plain) <= most_bytes:
        raise ImageCorrupt("svg: the gzip breaks off")
    return plain


def _encoding(plain: bytes) -> tuple[int, str]:
    """How long the byte order mark is, and the encoding that it or the XML declaration names."""
    for mark, encoding in _MARKS:
        if plain.startswith(mark):
            return len(mark), encoding
    for mark, encoding in _UNMARKED:
        if plain.startswith(mark):
            return 0, encoding
    declared = _DECLARED.match(plain)
    name = declared[1].lower() if declared else b"utf-8"
    if name not in _ENCODINGS:
        raise ImageCorrupt(f"svg: of the encoding {name.decode()}, which is not read")
    return 0, _ENCODINGS[name]
