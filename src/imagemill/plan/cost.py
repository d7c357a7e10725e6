"""What a render will cost, estimated before any pixel is touched.

Units    microseconds of CPU on one core of about 2020 (Zen 3); nanoseconds a pixel in the tables.
Source   measured with ``bench/cost.py``, which fails where a render takes more than twice its estimate. The tables
         lie between a photograph and noise: most renders take a half to a third of their estimate.
"""

from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import LOSSLESS, PAGED, Format, MediaInfo
from imagemill.model.recipe import Gradient, Mask, Pixelate, Round, Text, Unsharp
from imagemill.plan import encode_cost
from imagemill.plan.operations import PRICE
from imagemill.plan.operations.encoding import encodes
from imagemill.plan.operations.geometry import OPAQUE
from imagemill.plan.operations.layers import ready_ns
from imagemill.plan.operations.text import drawn_ns
from imagemill.plan.profiles import profile_of
from imagemill.plan.steps import Backdrop, Canvas, Crisp, Overlay, Scale, Slant, Smooth, Step, Steps
from imagemill.plan.target import MOST
from imagemill.plan.vectors import draw_ns
from imagemill.settings import Engine, Limits

_BASE_US = 2_000
_HEADER_US = 1_000
"""To tell what a header says."""
_METADATA_NS, _METADATA_BYTES = 300.0, 400_000
"""A byte of metadata that is told; and more are not read."""
_TOLD_US, _PLACEHOLDER_ALPHA_US = 6_000, 30_000
"""To tell colours and hashes of a sample, and a placeholder that shows something through."""
_SCORE_NS, _SAMPLE_PX = 130e6, 256 * 256
_DECODE_NS = {
    Format.JPEG: 7.0, Format.PNG: 22.0, Format.WEBP: 28.0, Format.AVIF: 45.0, Format.GIF: 12.0, Format.APNG: 60.0,
    Format.TIFF: 22.0, Format.HEIC: 90.0, Format.BMP: 8.0, Format.ICO: 22.0, Format.JXL: 250.0,
}  # fmt: skip
_JPEG_ENTROPY_NS, _JPEG_SCAN_NS = 3.0, 0.8
_PROFILE_NS, _DEEP_NS = 45.0, 20.0
_CMYK_NS = 18e6
"""To set up the way from CMYK, whatever the size."""
_LAYER_NS = 500e3
"""To open another picture."""
AT_ONCE = frozenset({Format.APNG, Format.BMP, Format.HEIC, Format.ICO, Format.JXL})
"""Formats whose decoders tell no more of a header than they do of pixels: what is opened is decoded."""
_ENCODE_NS = {Format.JPEG: 15.0, Format.PNG: 50.0, Format.WEBP: 130.0, Format.AVIF: 450.0, Format.GIF: 2_600.0}
_EDGE_NS = {Format.JPEG: 15.0, Format.PNG: 40.0, Format.WEBP: 120.0, Format.AVIF: 450.0, Format.GIF: 5_000.0}
_EDGE_PX = 100_000
"""The first pixels of a picture are dearer: less repeats itself in a small one."""
_ALPHA_ENCODE_NS = {Format.WEBP: 120.0}
_GIF_ANIMATED_NS, _GIF_PALETTE_NS = 1_200.0, 500.0
_GIF_QUICK = 4
"""Efforts up to it need a half to a third of the CPU; the prices above are of 6 for a still, of 4 for frames."""
_GIF_STILL_QUICK, _GIF_ANIMATED_EFFORT = 0.5, 3.0
_FINE = 80
"""Qualities above cost half as much again in WebP and AVIF."""
_WEBP_EFFORT = (0.4, 0.5, 0.6, 1.0, 1.0, 1.3, 3.0)
_AVIF_EFFORT = (0.4, 1.0, 2.0, 3.5, 20.0, 28.0, 55.0, 95.0, 140.0, 200.0)
_PNG_LEVEL = (0.3, 1.0, 1.0, 1.2, 1.2, 1.5, 1.5, 6.0, 9.0, 14.0)
_ALPHA_SEARCH_NS, _ALPHA_SEARCH_EACH_NS = 150e6, 800.0
_PNG_ALL_FILTERS, _JPEG_TRELLIS = 1.5, 9.0
_MASKS = (Round, Mask)
_MIXING = Scale | Smooth | Crisp | Unsharp | Pixelate | Gradient | Round | Mask | Backdrop | Slant
"""What makes more colours than there were."""


def estimate_us(steps: Steps, engine: Engine) -> int:
    """CPU of one render, in microseconds."""
    if steps.describe and not (steps.steps or steps.describe.needs_pixels):
        return _HEADER_US + _metadata_us(steps) + opened_us(steps.source, steps.first)
    each_ns, once_ns, area = _pixels_ns(steps)
    if steps.border is None:  # else nothing is encoded yet: it is asked again once all is known
        each_ns += encode_cost.colours_ns(steps, area) + _encode_ns(steps, area, engine) * encodes(steps.encode)
        once_ns += _search_ns(steps, engine)
    return _BASE_US + int((each_ns * steps.frames + once_ns) / 1000)


def _pixels_ns(steps: Steps) -> tuple[float, float, int]:
    """What each frame takes before it is encoded, what is done once for all of them, and the area of one then."""
    info = steps.source if steps.source.frames == steps.frames else replace(steps.source, frames=steps.frames)
    once_ns = _CMYK_NS if _is_cmyk(info) else 0.0
    if steps.drawing:
        area = steps.drawing.size.width * steps.drawing.size.height
        each_ns = draw_ns(info, steps.drawing)
    else:
        area = info.width_px * info.height_px
        each_ns = _decode_ns(info, area, steps.shrink)
        once_ns += each_ns * _before(steps)
        area //= steps.shrink * steps.shrink
    each_ns += area * _colours_ns(info)
    for step in steps.steps:
        if isinstance(step, Overlay):
            once_ns += _layer_ns(step, area)
        elif isinstance(step, Text):
            once_ns += drawn_ns(step, area)
        cost_ns, area = PRICE[type(step)](step, area, info)
        each_ns += cost_ns
        if _clears(step):
            info = replace(info, has_alpha=True)
    if info.icc_bytes:
        each_ns += area * _PROFILE_NS
    return each_ns, once_ns, area


def opened_us(info: MediaInfo, first: int = 0) -> int:
    """What it takes to open a picture at its frame or page *first*, before any pixel of it is asked for."""
    if info.format not in AT_ONCE and not info.unusual:
        return 0
    frames = 1 if info.format in PAGED else first + 1
    return int(_decode_ns(info, info.width_px * info.height_px, 1) * frames / 1000)


def _before(steps: Steps) -> int:
    """Frames that have to be decoded, and are not shown: an animation is read from its beginning."""
    return 0 if steps.source.format in PAGED else steps.first


def _layer_ns(step: Overlay, area: int) -> float:
    """What a layer takes until it can be laid on a frame of that *area*."""
    each_ns, once_ns, _ = _pixels_ns(step.made)
    return _LAYER_NS + each_ns + once_ns + ready_ns(step, area)


def encode_us(steps: Steps, engine: Engine) -> int:
    """The part of it that the encoder takes, for all frames."""
    return int(_encode_ns(steps, steps.size.width * steps.size.height, engine) * steps.frames / 1000)


def _metadata_us(steps: Steps) -> int:
    read = min(steps.source.metadata_bytes, _METADATA_BYTES) if steps.describe and steps.describe.metadata else 0
    return int(read * _METADATA_NS / 1000)


def _search_ns(steps: Steps, engine: Engine) -> float:
    """What it takes to find the quality that reaches a score: encodes of a sample, and their scores."""
    if not steps.encode.target_centi or steps.format in LOSSLESS:
        return 0.0
    return MOST * (_SCORE_NS + _encode_ns(steps, _SAMPLE_PX, engine))


def check_cost(steps: Steps, engine: Engine, limits: Limits, spent_us: int = 0) -> int:
    """The estimate, or `LimitExceeded` where it is above the CPU budget of a request, *spent_us* of which are gone."""
    cost_us = spent_us + estimate_us(steps, engine)
    if cost_us > limits.cpu_s * 1e6:
        raise LimitExceeded("cost", f"estimated CPU: {cost_us / 1e6:.1f} > {limits.cpu_s:g} s")
    return cost_us


def _decode_ns(info: MediaInfo, area: int, shrink: int) -> float:
    each = _DECODE_NS[info.format] * (2 if info.bits > 8 else 1)  # noqa: PLR2004
    if info.format is not Format.JPEG:
        return area * each
    entropy = _JPEG_ENTROPY_NS + _JPEG_SCAN_NS * (info.scans - 1)
    return area * (each / (shrink * shrink) + entropy) * max(info.channels, 3) / 3


def _colours_ns(info: MediaInfo) -> float:
    """What has to be brought to eight bits of RGB before anything else can be done."""
    if _is_cmyk(info):
        return _PROFILE_NS
    return (_DEEP_NS + (_PROFILE_NS if info.icc_bytes else 0)) if info.bits > 8 else 0.0  # noqa: PLR2004


def _is_cmyk(info: MediaInfo) -> bool:
    of_print = info.format in {Format.JPEG, Format.TIFF}
    return of_print and info.channels >= 4 and not info.has_alpha  # noqa: PLR2004


def _encode_ns(steps: Steps, area: int, engine: Engine) -> float:
    format_ = steps.format
    if steps.describe:
        placeholder_us = _PLACEHOLDER_ALPHA_US if steps.describe.placeholder and _has_alpha(steps) else 0
        return (_TOLD_US + placeholder_us + _metadata_us(steps)) * 1e3
    if format_ is Format.GIF and (steps.frames > 1 or _has_palette(steps)):
        return area * (_GIF_PALETTE_NS if _has_palette(steps) else _GIF_ANIMATED_NS * _effort(steps, engine))
    own_ns = encode_cost.own_ns(steps, area, profile_of(steps, engine))
    if own_ns is not None:
        return own_ns
    alpha = _has_alpha(steps)
    each = _ENCODE_NS[format_] + (_ALPHA_ENCODE_NS.get(format_, 0.0) if alpha else 0.0)
    whole = area * each + min(area, _EDGE_PX) * _EDGE_NS[format_]
    return whole * _effort(steps, engine) * encode_cost.factor(steps) + _alpha_search_ns(steps, area, engine)


def _alpha_search_ns(steps: Steps, area: int, engine: Engine) -> float:
    """What WebP's last effort tries out on transparency, dear however small the picture is."""
    if steps.format is not Format.WEBP or not _has_alpha(steps) or _webp_effort(steps, engine) < len(_WEBP_EFFORT) - 1:
        return 0.0
    return _ALPHA_SEARCH_NS + area * _ALPHA_SEARCH_EACH_NS


def _has_alpha(steps: Steps) -> bool:
    return steps.source.has_alpha or any(map(_clears, steps.steps))


def _clears(step: Step) -> bool:
    """Whether a picture has transparency after *step*, whatever it had before."""
    return isinstance(step, _MASKS) or (isinstance(step, Canvas | Slant) and step.rgba & OPAQUE != OPAQUE)


def _webp_effort(steps: Steps, engine: Engine) -> int:
    return profile_of(steps, engine).webp_effort_of(steps.frames, alpha=_has_alpha(steps))


def _effort(steps: Steps, engine: Engine) -> float:
    fine = 1.5 if steps.quality > _FINE else 1.0
    profile = profile_of(steps, engine)
    match steps.format:
        case Format.JPEG if profile.jpeg_trellis:
            return _JPEG_TRELLIS * fine
        case Format.WEBP:
            return _WEBP_EFFORT[_webp_effort(steps, engine)] * fine
        case Format.AVIF:
            return _AVIF_EFFORT[profile.avif_effort] * fine
        case Format.GIF if steps.frames > 1:
            return _GIF_ANIMATED_EFFORT if profile.gif_animated_effort > _GIF_QUICK else 1.0
        case Format.GIF:
            return 1.0 if profile.gif_effort > _GIF_QUICK else _GIF_STILL_QUICK
        case Format.PNG:
            return _PNG_LEVEL[profile.png_compression] * (_PNG_ALL_FILTERS if profile.png_filter == "all" else 1.0)
    return 1.0


def _has_palette(steps: Steps) -> bool:
    """Whether the picture has at most 256 colours as it is: greys, or a GIF's own with none mixed."""
    if any(isinstance(s, Overlay) for s in steps.steps):
        return False
    if steps.source.channels == 1:
        return True
    return steps.source.format is Format.GIF and not any(isinstance(s, _MIXING) for s in steps.steps)
