"""The header of a PNG, and of an APNG.

Source   PNG 3rd edition.
"""

from collections.abc import Iterator
from struct import unpack_from

from imagemill.engines.headers.base import MAX_CHUNKS, Buffer
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, MediaInfo


def read(source: Buffer) -> MediaInfo:
    """What the chunks before the picture say; of several frames, it is an APNG."""
    width, height, bits, colour, _, _, interlace = unpack_from(">IIBBBBB", source, 16)
    if bytes(source[8:16]) != b"\0\0\0\rIHDR" or colour not in _CHANNELS:
        raise ImageCorrupt("png: no valid IHDR")
    meta = icc = frames = 0
    alpha = colour in {4, 6}
    for n, (kind, length, at) in enumerate(_chunks(source)):
        if n == MAX_CHUNKS:
            raise ImageCorrupt(f"png: more than {MAX_CHUNKS} chunks before the picture")
        if kind == b"IHDR":
            raise ImageCorrupt("png: two IHDR")
        if kind == b"IDAT":
            break
        if kind == b"acTL":
            (frames,) = unpack_from(">I", source, at)
        alpha = alpha or kind == b"tRNS"
        icc += length if kind == b"iCCP" else 0
        meta += length + 12 if kind in {b"tEXt", b"zTXt", b"iTXt", b"eXIf"} else 0
    channels = _CHANNELS[colour] + (1 if alpha and colour in {0, 2} else 0)
    if colour == 3:
        channels, bits = 3 + alpha, 8
    return MediaInfo(
        Format.APNG if frames > 1 else Format.PNG, width, height, frames=max(frames, 1), channels=channels, bits=bits,
        has_alpha=alpha, metadata_bytes=meta, icc_bytes=icc, interlaced=bool(interlace),
    )  # fmt: skip


_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


def _chunks(source: Buffer) -> Iterator[tuple[bytes, int, int]]:
    """Chunks after IHDR: name, length, and where its bytes lie."""
    at = 33
    while at + 8 <= len(source):
        (length,) = unpack_from(">I", source, at)
        yield bytes(source[at + 4 : at + 8]), length, at + 8
        at += length + 12
