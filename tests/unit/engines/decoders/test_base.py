"""What a binding's error means for who has sent the picture."""

import pytest

from imagemill.engines.decoders.base import refusals, refused
from imagemill.model.errors import ImageCorrupt, LimitExceeded
from imagemill.model.media import Format


@pytest.mark.parametrize(
    "words",
    [
        "unable to write to memory\n  vips_tracked: out of memory -- size == 114MB\n",
        "unable to call jpegsave_buffer\n  VipsJpeg: Insufficient memory (case 4)\n",
        "heif: Invalid input: Unspecified: Memory allocation error (2.0)",
        "webpsave: picture memory error",
        "webpsave: failed to allocate 39996000 bytes",
        "glib: Error creating thread: Resource temporarily unavailable",
        "Failed to encode image: Out of memory",
    ],
)
def test_memory_ran_out(words):
    """Each as it was seen, or stands in the source of libjpeg: the picture is not damaged."""
    refusal = refused("webp", RuntimeError(words))

    assert isinstance(refusal, LimitExceeded)
    assert refusal.limit == "memory"


@pytest.mark.parametrize(
    "words", ["", "VipsJpeg: premature end of JPEG image", "unable to write to memory\n  webp: bad"]
)
def test_the_picture_is_damaged(words):
    refusal = refused("webp", RuntimeError(words))

    assert isinstance(refusal, ImageCorrupt)
    assert str(refusal) == "webp: the decoder refused it"


@pytest.mark.parametrize("error", [MemoryError(), LimitExceeded("pixels", "too many"), ImageCorrupt("bad")])
def test_what_is_said_well_already_stays(error):
    with pytest.raises(type(error)) as caught, refusals(Format.HEIC):
        raise error
    assert caught.value is error
