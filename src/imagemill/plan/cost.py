"""What a render will cost, estimated before any pixel is touched.

Units    microseconds of CPU on one core of about 2020 (Zen 3); nanoseconds a pixel in the tables.
Source   measured with ``bench/cost.py``; the tables are upper figures, not means.
"""

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import Format, MediaInfo
from imagemill.plan.resolve import Canvas, Crisp, Cut, Mirror, Scale, Smooth, Step, Steps, Turn, Underlay, Upright
from imagemill.settings import Engine, Limits

_BASE_US = 2_000
_DECODE_NS = {Format.JPEG: 8, Format.PNG: 35, Format.WEBP: 30, Format.AVIF: 60, Format.GIF: 30}
_JPEG_ENTROPY_NS = 3
_JPEG_SCAN_NS = 2
_ENCODE_NS = {Format.JPEG: 20, Format.PNG: 90, Format.WEBP: 200, Format.AVIF: 0, Format.GIF: 600}
_WEBP_EFFORT = (0.3, 0.4, 0.6, 1.0, 1.0, 1.5, 2.5)
_AVIF_NS = (250, 650, 1_000, 6_000, 8_000, 12_000, 20_000, 30_000, 45_000, 60_000)
_SCALE_NS, _BLUR_NS, _SHARPEN_NS, _MOVE_NS = 10, 4, 90, 6


def estimate_us(steps: Steps, engine: Engine) -> int:
    """CPU of one render, in microseconds."""
    info = steps.source
    area = info.width_px * info.height_px
    total_ns = _decode_ns(info, area, steps.shrink)
    area //= steps.shrink * steps.shrink
    for step in steps.steps:
        cost_ns, area = _step_ns(step, area)
        total_ns += cost_ns
    total_ns += area * _encode_ns(steps.format, engine)
    return _BASE_US + int(total_ns * steps.frames / 1000)


def check_cost(steps: Steps, engine: Engine, limits: Limits) -> int:
    """The estimate, or `LimitExceeded` where it is above the CPU budget of a request."""
    cost_us = estimate_us(steps, engine)
    if cost_us > limits.cpu_s * 1e6:
        raise LimitExceeded("cost", f"estimated CPU: {cost_us / 1e6:.1f} > {limits.cpu_s:g} s")
    return cost_us


def _decode_ns(info: MediaInfo, area: int, shrink: int) -> float:
    if info.format is not Format.JPEG:
        return area * _DECODE_NS[info.format]
    pixels = area * _DECODE_NS[Format.JPEG] / (shrink * shrink)
    return pixels + area * (_JPEG_ENTROPY_NS + _JPEG_SCAN_NS * (info.scans - 1))


def _encode_ns(format_: Format, engine: Engine) -> float:
    if format_ is Format.AVIF:
        return _AVIF_NS[engine.avif_effort]
    return _ENCODE_NS[format_] * (_WEBP_EFFORT[engine.webp_effort] if format_ is Format.WEBP else 1)


def _step_ns(step: Step, area: int) -> tuple[float, int]:
    match step:
        case Scale():
            after = step.size.width * step.size.height
            return max(area, after) * _SCALE_NS, after
        case Cut():
            kept = step.box.width * step.box.height
            return kept * 1.0, min(area, kept)
        case Canvas():
            after = step.size.width * step.size.height
            return after * _MOVE_NS, after
        case Smooth():
            return area * _BLUR_NS * (6 + 5 * step.sigma), area
        case Crisp():
            return area * _SHARPEN_NS * (1 + step.sigma), area
        case Upright() | Turn() | Mirror() | Underlay():
            return area * _MOVE_NS, area
