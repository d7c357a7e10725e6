"""Whether a rendition is its source again: nothing asked for changes a pixel, or needs what the source lacks."""

from msgspec.structs import replace

from imagemill.model.media import Format
from imagemill.model.recipe import Encode
from imagemill.plan.steps import Steps, Underlay

_EIGHT_BITS = 8


def is_untouched(steps: Steps) -> bool:
    """Whether the file of the source may stand for the rendition that *steps* make of it.

    How hard an encoder tries, and at which quality, changes no answer: it is asked so that there be fewer bytes.
    """
    source, encode = steps.source, steps.encode
    asked = replace(encode, format=Format.KEEP, quality=0, speed=None, target_centi=0, max_bytes=0, effort=-1)
    return (
        asked == Encode()
        and steps.format is source.format
        and steps.frames == source.frames
        and steps.loops < 0
        and not steps.delay_ms
        and source.orientation == 1
        and source.bits <= _EIGHT_BITS
        and not source.icc_bytes
        and all(isinstance(step, Underlay) and not source.has_alpha for step in steps.steps)
    )
