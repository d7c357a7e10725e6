"""What the root element of a vector picture says of its size: as much as is known before it is judged as a whole.

Errors   `ImageCorrupt`, also where the root is not within the first 64 KiB; `UnsupportedSourceType` where it is no SVG.
"""

from imagemill.engines.svg.sizes import extent
from imagemill.engines.svg.text import beginning
from imagemill.engines.svg.tree import root_of
from imagemill.model.media import Format, MediaInfo

_HEAD_BYTES = 64 * 1024


def svg(source: bytes | memoryview) -> MediaInfo:
    """The size that *source* has by itself, in pixels."""
    size = extent(root_of(beginning(bytes(source[: _HEAD_BYTES + 1]), _HEAD_BYTES)).attributes).size
    return MediaInfo(Format.SVG, size.width, size.height, channels=4, has_alpha=True)
