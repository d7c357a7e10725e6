"""What a speed means for each encoder, and what a quality means under it.

Units    efforts and levels as the encoders count them; qualities 1 to 100.
Source   measured with ``bench/knees.py`` (docs/explanation/quality-and-speed.md, docs/adr/0012).
"""

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.media import Format
from imagemill.model.recipe import Speed
from imagemill.plan.steps import Steps
from imagemill.settings import Engine


class Profile(Struct, frozen=True):
    """How every encoder is set."""

    jpeg_optimize: bool
    """A second pass, for the best Huffman tables."""
    jpeg_trellis: bool
    """Trellis quantisation, in scans that show the whole picture early."""
    png_compression: int
    png_filter: str
    webp_effort: int
    webp_alpha_effort: int
    webp_animated_effort: int
    avif_effort: int
    gif_effort: int
    gif_animated_effort: int
    tiff_level: int
    jxl_effort: int

    @property
    def avif_lean(self) -> bool:
        """Whether the encoder leaves out what costs more than it brings: where CPU counts anyway."""
        return self.avif_effort <= AVIF_LEAN_EFFORT

    def webp_effort_of(self, frames: int, *, alpha: bool) -> int:
        """The effort for so many frames, with transparency or without."""
        if frames > 1:
            return self.webp_animated_effort
        return self.webp_alpha_effort if alpha else self.webp_effort


AVIF_LEAN_EFFORT = 1
"""Up to it AVIF is written with a lean search."""
PROFILES = {
    Speed.FAST: Profile(
        jpeg_optimize=False, jpeg_trellis=False, png_compression=1, png_filter="up", webp_effort=2,
        webp_alpha_effort=2, webp_animated_effort=2, avif_effort=0, gif_effort=4, gif_animated_effort=4,
        tiff_level=1, jxl_effort=1,
    ),
    Speed.BALANCED: Profile(
        jpeg_optimize=True, jpeg_trellis=False, png_compression=2, png_filter="up", webp_effort=4,
        webp_alpha_effort=4, webp_animated_effort=2, avif_effort=1, gif_effort=6, gif_animated_effort=4,
        tiff_level=4, jxl_effort=3,
    ),
    Speed.SMALL: Profile(
        jpeg_optimize=True, jpeg_trellis=True, png_compression=6, png_filter="all", webp_effort=6,
        webp_alpha_effort=5, webp_animated_effort=5, avif_effort=3, gif_effort=6, gif_animated_effort=6,
        tiff_level=6, jxl_effort=7,
    ),
}  # fmt: skip
"""GIF: 6 looks as good as libvips' own 7 for a fifth less CPU; 4 is 2 dB worse for a third of it. WebP: with
transparency or frames, 6 takes up to eleven times the CPU of 5."""

_JPEG_TRELLIS_OFFSET = 2.0
_WEBP_OFFSET, _WEBP_ANIMATED_OFFSET = {2: 0.5}, -1.0
_AVIF_OFFSET = {0: 1.0, 1: 0.0}
_AVIF_SLOW_OFFSET = -1.0
_BEST = 100
_KNEE_WEBP, _KNEE_AVIF = 79, 58
"""Qualities at which both reach the same SSIMULACRA2, from 64 to 448 pixels of width (``bench/formats.py``)."""


def chosen(engine: Engine, speed: Speed | None) -> Profile:
    """The profile of *speed*, or the server's own; a knob that is set holds, whatever the speed."""
    profile = PROFILES[speed or Speed(engine.speed)]
    knobs = {
        "jpeg_optimize": engine.jpeg_optimize,
        "png_compression": engine.png_compression,
        "webp_effort": engine.webp_effort,
        "webp_alpha_effort": engine.webp_effort,
        "webp_animated_effort": engine.webp_effort,
        "avif_effort": engine.avif_effort,
    }
    return replace(profile, **{name: knob for name, knob in knobs.items() if knob is not None})


def profile_of(steps: Steps, engine: Engine) -> Profile:
    """The profile that *steps* are written under: an effort that the request names holds above all."""
    profile, effort = chosen(engine, steps.speed), steps.encode.effort
    return profile if effort < 0 else replace(profile, **_asked(steps.format, effort))


def _asked(format_: Format, effort: int) -> dict[str, int | bool]:
    match format_:
        case Format.JPEG:
            return {"jpeg_optimize": effort > 0, "jpeg_trellis": effort > 1}
        case Format.PNG | Format.APNG:
            return {"png_compression": effort}
        case Format.WEBP:
            return dict.fromkeys(("webp_effort", "webp_alpha_effort", "webp_animated_effort"), effort)
        case Format.GIF:
            return {"gif_effort": effort, "gif_animated_effort": effort}
        case Format.TIFF:
            return {"tiff_level": effort}
    return {f"{format_}_effort": effort}


def asked_quality(steps: Steps, engine: Engine) -> int:
    """The quality that the request stands for: its own, or the format's default; 0 where there is none."""
    default = {
        Format.JPEG: engine.jpeg_quality, Format.WEBP: engine.webp_quality, Format.AVIF: engine.avif_quality,
        Format.JXL: engine.jxl_quality,
    }  # fmt: skip
    if steps.encode.format is Format.AUTO:
        default[Format.AVIF] = engine.webp_quality
    return steps.quality or default.get(steps.format, 0)


def encoder_quality(steps: Steps, engine: Engine, profile: Profile) -> float:
    """The number that gives an encoder under *profile* the look that the request's quality stands for.

    That is the look of the format's usual encoder: libjpeg's standard tables, libwebp at effort 4, libaom at
    speed 8. The best there is stays the best; formats without a quality answer 0.
    """
    asked: float = asked_quality(steps, engine)
    match steps.format:
        case Format.JPEG:
            offset = _JPEG_TRELLIS_OFFSET if profile.jpeg_trellis else 0.0
        case Format.WEBP:
            offset = _WEBP_OFFSET.get(profile.webp_effort, 0.0) if steps.frames == 1 else _WEBP_ANIMATED_OFFSET
        case Format.AVIF:
            asked = _avif_quality(steps, asked)
            offset = _AVIF_OFFSET.get(profile.avif_effort, _AVIF_SLOW_OFFSET)
        case Format.JXL:
            offset = 0.0
        case _:
            return 0.0
    return min(max(asked + offset, 1.0), float(_BEST)) if asked < _BEST else float(_BEST)


def _avif_quality(steps: Steps, asked: float) -> float:
    """What is asked of AVIF; with ``format=auto`` the number is WebP's, so that every client gets the same look."""
    if steps.encode.format is not Format.AUTO:
        return asked
    if asked <= _KNEE_WEBP:
        return max(1.0, asked * _KNEE_AVIF / _KNEE_WEBP)
    return _KNEE_AVIF + (asked - _KNEE_WEBP) * (_BEST - _KNEE_AVIF) / (_BEST - _KNEE_WEBP)
