"""What one picture and one node may cost: `Limits`, `Gate`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from imagemill.settings.kinds import MiB, Natural, Positive, Seconds, SecondsOrNone


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """``[limits]``: checked from the header before any pixel, and again on the real thing."""

    source_bytes: Positive = 32 * MiB
    """Of a source, as downloaded or read."""
    pixels: Positive = 50_000_000
    """Of one frame."""
    side_px: Positive = 16_383
    """Width or height of a source."""
    svg_bytes: Annotated[int, Meta(ge=1, le=8 * MiB)] = 2 * MiB
    """Of an SVG, once unpacked where it was packed."""
    frames: Positive = 200
    """Of an animation."""
    total_pixels: Positive = 100_000_000
    """Frames times area."""
    decoded_bytes: Positive = 512 * MiB
    """All frames of a source, once decoded."""
    channels: Positive = 5
    """Of a source, alpha included."""
    metadata_bytes: Positive = MiB
    """EXIF, XMP, comments and the like in a source."""
    icc_bytes: Positive = MiB
    """Colour profile in a source."""
    scans: Positive = 100
    """Of a progressive JPEG."""
    output_side_px: Positive = 8_192
    """Width or height of a rendition."""
    output_pixels: Positive = 40_000_000
    """Of one frame of a rendition."""
    output_bytes: Positive = 64 * MiB
    """Of a rendition, as encoded."""
    operations: Positive = 16
    """In one recipe."""
    layers: Annotated[int, Meta(ge=0, le=64)] = 8
    """Pictures laid over one picture, those in layers' own recipes included; 0 = none may be."""
    layer_depth: Positive = 2
    """How deep layers nest: a layer of a layer's own recipe is the second."""
    layer_bytes: Positive = 8 * MiB
    """Of the sources of all layers of one request together, or of one job."""
    blur_sigma: Positive = 100
    """Largest sigma of ``blur`` and ``unsharp``."""
    sharpen_sigma: Annotated[int, Meta(ge=1, le=10)] = 10
    """Largest ``sharpen``."""
    dpr: Positive = 4
    """Largest ``dpr``."""
    widths: tuple[Positive, ...] = ()
    """The only widths that may be asked for (resize, extend; ``dpr`` multiplied in). Empty = any."""
    heights: tuple[Positive, ...] = ()
    """The only heights. Empty = any."""
    qualities: tuple[Annotated[int, Meta(ge=1, le=100)], ...] = ()
    """The only qualities. Empty = any."""
    grid_outside: Literal["refuse", "round"] = "refuse"
    """What is done with a number beside these: a 422, or the next one up (the largest, where there is none). Where a
    client's hints are followed, always the latter."""
    cpu_s: Seconds = 10.0
    """Estimated CPU of one request; more is refused before any pixel."""
    ttl_s: Annotated[int, Meta(ge=1, le=259_200)] = 259_200
    """Longest lifetime a caller may ask for; three days are the most that any entry lives."""
    ttl_min_s: Annotated[int, Meta(ge=1, le=259_200)] = 86_400
    """Shortest lifetime a caller may ask for."""
    ttl_outside: Literal["refuse", "clamp"] = "refuse"
    """What is done with a lifetime outside these: a 422, or the nearest one allowed, told in ``X-TTL``."""


class Gate(Struct, frozen=True, forbid_unknown_fields=True):
    """``[gate]``: how much work may wait."""

    queue: Natural = 64
    """Distinct renders waiting for a worker; one more is refused."""
    waiting_bytes: Positive = 256 * MiB
    """Bytes of sources that wait for a worker or are at one; more is refused."""
    wait_s: Seconds = 5.0
    """Longest wait for a worker; also refused at once when the queue is known to be slower."""
    burst_s: SecondsOrNone = 0.3
    """How long renders may queue while clearly more are asked for than are done; then only as many wait as there are
    workers, and the rest is refused at once, so that what is admitted is quick. 0 = no such end."""
