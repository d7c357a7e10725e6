"""Whether a source, written anew, is handed out in place of a rendition of it that came out larger.

Each of these decodes to the pixels of its source, which is looked at before it is handed out.

Takes    JPEG, PNG, WebP and GIF. AVIF, and PNG or WebP with several frames, stay as they were encoded.
Errors   none: where anything is in doubt, the larger one stays.
"""

from imagemill.engines import turbo
from imagemill.engines.decoded import open_source, pyvips
from imagemill.engines.headers import probe
from imagemill.engines.rewrite import gif, jpeg, png, webp
from imagemill.model.errors import ImagemillError
from imagemill.model.media import Format
from imagemill.plan.steps import Steps
from imagemill.plan.untouched import is_untouched

_WRITERS = {
    Format.JPEG: jpeg.rewritten,
    Format.PNG: png.rewritten,
    Format.GIF: gif.rewritten,
    Format.WEBP: webp.rewritten,
}


def smaller(source: memoryview, steps: Steps, body: bytes) -> bytes:
    """The smaller of *body* and *source* written anew, as far as that is the same picture."""
    writer = _WRITERS.get(steps.format)
    if writer is None or len(source) >= len(body) or not is_untouched(steps):
        return body
    plain = bytes(source)
    made = writer(plain)
    if made is None or len(made) >= len(body) or not _is_same(plain, made, steps):
        return body
    return made


def _is_same(source: bytes, made: bytes, steps: Steps) -> bool:
    """Whether *made* decodes to the pixels of *source*, and holds nothing that this takes no part in."""
    if steps.format is Format.JPEG:
        return _is_same_jpeg(source, made)
    try:
        pixels = _pixels(source, steps)
        if pixels != _pixels(made, steps):
            return False
    except pyvips.Error:
        return False
    return steps.format is not Format.WEBP or not any(_is_still(short, pixels, steps) for short in webp.shortened(made))


def _is_still(short: bytes, pixels: bytes, steps: Steps) -> bool:
    try:
        return _pixels(short, steps) == pixels
    except pyvips.Error:
        return False


def _pixels(file: bytes, steps: Steps) -> bytes:
    return bytes(open_source(memoryview(file), steps.format, frames=steps.frames).write_to_memory())


def _is_same_jpeg(source: bytes, made: bytes) -> bool:
    """By the strict decoder, which warns of bytes between the end of the pixels and the next marker."""
    try:
        before, after = probe(source), probe(made)
    except ImagemillError:
        return False
    pixels = turbo.decode(memoryview(made), after, 1)
    wanted = turbo.decode(memoryview(source), before, 1)
    return pixels is not None and wanted is not None and bool((pixels == wanted).all())
