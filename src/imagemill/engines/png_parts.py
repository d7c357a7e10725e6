"""What every writer and taker-apart of PNGs needs: how a file begins, and how a chunk is written.

Source   PNG (third edition) 5.2 and 5.3.
"""

import zlib
from struct import pack

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, payload: bytes) -> bytes:
    """One chunk, with its length and its checksum."""
    return pack(">I", len(payload)) + kind + payload + pack(">I", zlib.crc32(payload, zlib.crc32(kind)))
