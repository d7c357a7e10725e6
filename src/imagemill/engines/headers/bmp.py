"""The header of a Windows or OS/2 bitmap: as a file, or as it lies in an icon.

Source   BITMAPCOREHEADER, BITMAPINFOHEADER, BITMAPV4HEADER, BITMAPV5HEADER (Microsoft, wingdi.h); OS/2 2.0 header.
"""

from struct import unpack_from

from imagemill.engines.headers.base import Buffer
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, MediaInfo

_FILE_HEADER = 14
_CORE, _INFO, _WITH_ALPHA_MASK, _V5 = 12, 40, 56, 124
_BITS = frozenset({1, 2, 4, 8, 16, 24, 32})
_BITFIELDS = 3
_DEEP = 32


def read(source: Buffer) -> MediaInfo:
    """What the header of a whole file says."""
    return bitmap(source, _FILE_HEADER)


def bitmap(source: Buffer, at: int) -> MediaInfo:
    """What the bitmap header at *at* says; the height of an icon counts its mask, too."""
    (size,) = unpack_from("<I", source, at)
    if size == _CORE:
        width, height, _, bits = unpack_from("<HHHH", source, at + 4)
        packing = 0
    elif size >= _INFO and size <= _V5 + 4:
        width, height, _, bits, packing = unpack_from("<iiHHI", source, at + 4)
    else:
        raise ImageCorrupt(f"bmp: a header of {size} bytes")
    if bits not in _BITS or width < 0:
        raise ImageCorrupt(f"bmp: {bits} bits a pixel, width {width}")
    masked = size >= _WITH_ALPHA_MASK and packing == _BITFIELDS and bits == _DEEP
    alpha = bool(masked and unpack_from("<I", source, at + 52)[0])
    icc = unpack_from("<I", source, at + 116)[0] if size == _V5 and _has_profile(source, at) else 0
    return MediaInfo(
        Format.BMP, width, abs(height), channels=4 if alpha or bits == _DEEP else 3, has_alpha=alpha, icc_bytes=icc
    )


def _has_profile(source: Buffer, at: int) -> bool:
    return bytes(source[at + 56 : at + 60]) == b"DEBM"  # PROFILE_EMBEDDED, as a number
