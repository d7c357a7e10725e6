"""A vector picture, read and judged once, and written for librsvg at whatever size it is drawn.

Units    as `sizes`.
Errors   `ImageCorrupt`, `UnsupportedSourceType`, `LimitExceeded`: of the modules that this one joins.
"""

from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct

from imagemill.engines.svg import rules
from imagemill.engines.svg.cleaning import clean
from imagemill.engines.svg.embedded import Embedded
from imagemill.engines.svg.loads import load
from imagemill.engines.svg.sizes import Extent, extent
from imagemill.engines.svg.text import characters
from imagemill.engines.svg.tree import Node, parsed
from imagemill.model.media import Format, MediaInfo
from imagemill.plan.steps import Drawing
from imagemill.settings import Limits

_PLACED = frozenset({"x", "y", "width", "height", "viewBox", "preserveAspectRatio", "version"})


class Document(Struct, frozen=True):
    """What may be drawn of a file."""

    info: MediaInfo
    extent: Extent
    attributes: str
    """Of the root, but for those that say where it lies."""
    body: str
    """All that is in the root."""

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


def read(source: memoryview, limits: Limits) -> Document:
    """The picture in *source*, as far as the rules let it in."""
    root = parsed(characters(bytes(source), limits.svg_bytes))
    own = extent(root.attributes)
    embedded = Embedded(limits)
    sheet = clean(root, max(own.view.width, own.view.height), embedded)
    found = load(root, sheet)
    style = f"<style>{escape(''.join(map(str, sheet)))}</style>" if sheet else ""
    info = MediaInfo(
        Format.SVG, own.size.width, own.size.height, channels=4, has_alpha=True, shapes=found.elements,
        vertices=found.vertices, filters=found.primitives, embedded_pixels=embedded.pixels,
    )  # fmt: skip
    attributes = {name: value for name, value in root.attributes.items() if name not in _PLACED}
    return Document(info, own, _attributes(attributes), style + "".join(map(_written, root.children)))


def _file(root: str, body: str) -> bytes:
    return f'<svg xmlns="{rules.SVG}" {root}>{body}</svg>'.encode()


def _written(node: Node | str) -> str:
    if isinstance(node, str):
        return escape(node)
    inner = "".join(map(_written, node.children))
    return f"<{node.name}{_attributes(node.attributes)}>{inner}</{node.name}>"


def _attributes(attributes: dict[str, str]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
