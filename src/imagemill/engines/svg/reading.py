"""Read a vector picture: from its bytes to what may be drawn of it.

Errors   `ImageCorrupt`, `UnsupportedSourceType`, `LimitExceeded`: of the modules that this one joins.
"""

from xml.sax.saxutils import escape, quoteattr

from imagemill.engines.svg.cleaning import clean
from imagemill.engines.svg.document import Document
from imagemill.engines.svg.embedded import Embedded
from imagemill.engines.svg.loads import load
from imagemill.engines.svg.sizes import extent
from imagemill.engines.svg.text import characters
from imagemill.engines.svg.tree import Node, parsed
from imagemill.model.media import Format, MediaInfo
from imagemill.settings import Limits

_PLACED = frozenset({"x", "y", "width", "height", "viewBox", "preserveAspectRatio", "version"})
"""Of the root: what says where it lies, and is said anew whenever it is drawn."""


def read(source: memoryview, limits: Limits) -> Document:
    """The picture in *source*, as far as the rules let it in."""
    root = parsed(characters(bytes(source), limits.svg_bytes))
    own = extent(root.attributes)
    side = max(own.view.width, own.view.height)
    sheet = clean(root, side, Embedded(limits))
    found = load(root, sheet, side, limits)
    style = f"<style>{escape(''.join(map(str, sheet)))}</style>" if sheet else ""
    info = MediaInfo(
        Format.SVG, own.size.width, own.size.height, channels=4, has_alpha=True, shapes=found.elements,
        vertices=found.vertices, filters=found.primitives, embedded_pixels=found.pixels,
    )  # fmt: skip
    attributes = {name: value for name, value in root.attributes.items() if name not in _PLACED}
    return Document(info, own, _attributes(attributes), style + "".join(map(_written, root.children)))


def _written(node: Node | str) -> str:
    if isinstance(node, str):
        return escape(node)
    inner = "".join(map(_written, node.children))
    return f"<{node.name}{_attributes(node.attributes)}>{inner}</{node.name}>"


def _attributes(attributes: dict[str, str]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
