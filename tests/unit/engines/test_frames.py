"""Frames are brought through their steps one by one."""

from imagemill.engines import frames
from imagemill.engines.decoded import pyvips
from imagemill.engines.operations.base import Context
from imagemill.model.media import Format, MediaInfo
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Mirror, Steps


def test_one_frame_is_done_before_the_next(monkeypatch):
    """R09: what frames are in between may be large; that of all of them is never held at once."""
    said = []

    def applied(image, steps, context):
        said.append(f"begun {context.frame}")
        made = real(image, steps, context)
        made.set_progress(True)
        made.signal_connect("posteval", lambda *_: said.append(f"done {context.frame}"))
        return made

    real = frames.applied
    monkeypatch.setattr(frames, "applied", applied)
    strip = pyvips.Image.black(8, 12, bands=3).copy(interpretation="srgb")
    info = MediaInfo(Format.GIF, 8, 4, frames=3)

    frames.brought(strip, Steps(info, (Mirror(vertical=True),), Format.WEBP, 0, Size(8, 4), 3), Context())

    assert said == [f"{what} {n}" for n in range(3) for what in ("begun", "done")]
