"""What the workers do: `Engine`, `Text`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from imagemill.settings.kinds import MiB, Positive, Seconds, SecondsOrNone


class Engine(Struct, frozen=True, forbid_unknown_fields=True):
    """``[engine]``: the worker processes."""

    workers: Annotated[int, Meta(ge=0, le=1024)] = 0
    """0 = one for each core this process may use."""
    avif_budget_s: SecondsOrNone = 1.4
    """Estimated CPU to write an AVIF above which ``format=auto`` answers with the next best; 0 = never AVIF."""
    deadline_s: Seconds = 10.0
    """Wall time of one rendition; then its worker is killed."""
    cancel_grace_s: SecondsOrNone = 0.25
    """How long a job that nobody wants any more may go on before its worker is killed."""
    max_jobs: Positive = 10_000
    """Jobs after which a worker is replaced; a start costs about 200 ms of CPU, which small pictures would notice."""
    max_rss_bytes: Positive = 512 * MiB
    """Private memory after a job above which a worker is replaced."""
    address_space_bytes: Positive = 2048 * MiB
    """Address space of one worker; at least twice ``limits.source_bytes`` plus ``layer_bytes`` and
    ``output_bytes``."""
    poison_s: Seconds = 300.0
    """How long a source that killed workers twice is refused."""
    speed: Literal["fast", "balanced", "small"] = "balanced"
    """What encoders save where the URL names no ``speed``: CPU, both, or bytes."""
    avif_effort: Annotated[int, Meta(ge=0, le=9)] | None = None
    """CPU for fewer bytes: 0 is fastest. A number holds whatever the speed, also one that a URL names; none = as the
    speed says. So do the next three."""
    webp_effort: Annotated[int, Meta(ge=0, le=6)] | None = None
    """CPU for fewer bytes: 0 is fastest."""
    png_compression: Annotated[int, Meta(ge=0, le=9)] | None = None
    """CPU for fewer bytes: 0 is fastest."""
    jpeg_optimize: bool | None = None
    """A second pass for the best Huffman tables: 2 to 3 % fewer bytes for 0.2 to 0.5 ms more CPU a picture."""
    never_larger: bool = False
    """Where nothing was asked that changes a pixel, and the rendition in the source's own format has more bytes than
    the source: answer with the source, written anew without metadata and whatever else is not its picture."""
    quality_auto: bool = False
    """Whether ``quality=auto`` is offered: a worker then holds 30 MB more. Needs the extra ``quality``."""
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 80
    """Where the URL names no ``quality``."""
    webp_quality: Annotated[int, Meta(ge=1, le=100)] = 79
    """Where the URL names no ``quality``."""
    avif_quality: Annotated[int, Meta(ge=1, le=100)] = 63
    """Where the URL names no ``quality``."""
    jxl_quality: Annotated[int, Meta(ge=1, le=100)] = 75
    """Where the URL names no ``quality``."""


class Text(Struct, frozen=True, forbid_unknown_fields=True):
    """``[text]``: what texts on pictures are written in. No font of the system is used unless it is named here."""

    fonts: tuple[str, ...] = ()
    """Folders with fonts, or single files, as absolute paths. The user that workers run as (``nobody`` where the
    service is started as root) must be able to read them. DejaVu Sans ships with imagemill."""
    missing: Literal["error", "box"] = "error"
    """What becomes of a character that no font has: ``error`` refuses the request, ``box`` draws a box."""
