"""A vector picture that was read and judged, and how it is written for librsvg at whatever size it is drawn.

Units    as `sizes`.
"""

from xml.sax.saxutils import quoteattr

from msgspec import Struct

from imagemill.engines.svg import rules
from imagemill.engines.svg.sizes import Extent
from imagemill.model.media import MediaInfo
from imagemill.plan.steps import Drawing


class Document(Struct, frozen=True):
    """What may be drawn of a file."""

    info: MediaInfo
    extent: Extent
    attributes: str
    """Of the root, but for those that say where it lies."""
    body: str
    """All that is in the root."""

    @property
    def has_text(self) -> bool:
        """Whether fonts make a difference."""
        return "<text" in self.body

    def drawn(self, drawing: Drawing) -> bytes:
        """The file that librsvg draws as *drawing* says: exactly so many pixels, filled from edge to edge."""
        size = f'width="{drawing.size.width}" height="{drawing.size.height}" preserveAspectRatio="none"'
        own, view = self.extent, self.extent.view
        if drawing.is_whole and own.fits:
            root = f'{size} viewBox="{view.x!r} {view.y!r} {view.width!r} {view.height!r}"{self.attributes}'
            return _file(root, self.body)
        left, top = drawing.left * own.width, drawing.top * own.height
        part = f'viewBox="{left!r} {top!r} {drawing.width * own.width!r} {drawing.height * own.height!r}"'
        inner = (
            f'<svg width="{own.width!r}" height="{own.height!r}" '
            f'viewBox="{view.x!r} {view.y!r} {view.width!r} {view.height!r}" '
            f"preserveAspectRatio={quoteattr(own.aspect or 'xMidYMid meet')}{self.attributes}>{self.body}</svg>"
        )
        return _file(f"{size} {part}", inner)


def _file(root: str, body: str) -> bytes:
    return f'<svg xmlns="{rules.SVG}" {root}>{body}</svg>'.encode()
