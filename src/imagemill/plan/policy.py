"""What a source may be, judged by the facts of its header, before any pixel is decoded."""

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import MediaInfo
from imagemill.settings import Limits


def check_source(info: MediaInfo, limits: Limits, *, frames: int = 1) -> None:
    """Refuse a picture beyond *limits*, of which *frames* frames would be decoded."""
    area = info.width_px * info.height_px
    decoded = area * info.channels * -(-info.bits // 8) * frames
    for name, value, most in (
        ("side", max(info.width_px, info.height_px), limits.side_px),
        ("pixels", area, limits.pixels),
        ("frames", frames, limits.frames),
        ("total_pixels", area * frames, limits.total_pixels),
        ("channels", info.channels, limits.channels),
        ("decoded_bytes", decoded, limits.decoded_bytes),
        ("metadata_bytes", info.metadata_bytes, limits.metadata_bytes),
        ("icc_bytes", info.icc_bytes, limits.icc_bytes),
        ("scans", info.scans, limits.scans),
    ):
        if value > most:
            raise LimitExceeded(name, f"source {name}: {value} > {most}")
