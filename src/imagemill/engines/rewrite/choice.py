"""Whether a source, written anew, is handed out in place of a rendition of it that came out larger.

Each of these decodes to the pixels of its source, which is looked at before it is handed out.

Takes    JPEG, PNG, APNG, WebP, GIF and AVIF of one tile; WebP, AVIF and animations (none of AVIF) up to `MOST_PIXELS`.
Errors   none: where anything is in doubt, the larger one stays.
"""

from imagemill.engines import decoders, turbo
from imagemill.engines.decoded import pyvips
from imagemill.engines.headers import probe
from imagemill.engines.rewrite import apng, avif, gif, jpeg, png, webp
from imagemill.model.errors import ImagemillError
from imagemill.model.media import Format
from imagemill.plan.steps import Steps
from imagemill.plan.untouched import is_untouched

MOST_PIXELS = 16_000_000
"""Of all frames, where they have to be decoded again and again: more would take too long."""
_WRITERS = {
    Format.JPEG: jpeg.rewritten,
    Format.PNG: png.rewritten,
    Format.APNG: apng.rewritten,
    Format.GIF: gif.rewritten,
    Format.WEBP: webp.rewritten,
    Format.AVIF: avif.rewritten,
}
_STREAMS = {Format.WEBP: webp.streams, Format.AVIF: avif.streams}
"""Of formats whose writers cannot see where their pixels end."""


def smaller(source: memoryview, steps: Steps, body: bytes) -> bytes:
    """The smaller of *body* and *source* written anew, as far as that is the same picture."""
    writer = _WRITERS.get(steps.format)
    if writer is None or len(source) >= len(body) or _is_long(steps) or not is_untouched(steps):
        return body
    plain = bytes(source)
    made = writer(plain)
    if made is None or len(made) >= len(body) or not _is_same(plain, made, steps):
        return body
    return made


def _is_long(steps: Steps) -> bool:
    source = steps.source
    often = source.frames > 1 or steps.format in _STREAMS
    return often and source.frames * source.width_px * source.height_px > MOST_PIXELS


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
    parts = _STREAMS.get(steps.format)
    return parts is None or not any(_has_spare(steps.format, *stream) for stream in parts(made))


def _has_spare(format_: Format, still: bytes, shortened: list[bytes]) -> bool:
    """Whether a picture needs not all of its streams."""
    wanted = _still(format_, still)
    return wanted is None or any(_still(format_, short) == wanted for short in shortened)


def _still(format_: Format, file: bytes) -> bytes | None:
    load = pyvips.Image.webpload_buffer if format_ is Format.WEBP else pyvips.Image.heifload_buffer
    try:
        return bytes(load(file, fail_on="error").write_to_memory())
    except pyvips.Error:
        return None


def _pixels(file: bytes, steps: Steps) -> bytes:
    return bytes(decoders.opened(memoryview(file), steps.source, frames=steps.frames).write_to_memory())


def _is_same_jpeg(source: bytes, made: bytes) -> bool:
    """By the strict decoder, which warns of bytes between the end of the pixels and the next marker."""
    try:
        before, after = probe(source), probe(made)
    except ImagemillError:
        return False
    pixels = turbo.decode(memoryview(made), after, 1)
    wanted = turbo.decode(memoryview(source), before, 1)
    return pixels is not None and wanted is not None and bool((pixels == wanted).all())
