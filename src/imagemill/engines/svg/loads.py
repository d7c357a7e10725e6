"""What drawing a picture takes, counted before any of it is drawn: everything as often as it is used.

A ``use`` draws what it leads to once more, a pattern or a marker is drawn for each shape it is on. So a short file can
ask for more than could ever be drawn; it is found out in a time that its own length bounds.

Counted high: what is inherited counts for every element below, whether it is overridden or not.

Errors   `LimitExceeded` ``svg_drawn``, ``svg_vertices``, ``svg_filters``, ``svg_references``, ``svg_style``,
         ``total_pixels``.
"""

import re
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import astuple

from imagemill.engines.svg import rules, values
from imagemill.engines.svg.css import Rule
from imagemill.engines.svg.tree import Node
from imagemill.model.errors import LimitExceeded
from imagemill.settings import Limits

_PAIRS = 2
_NUMBER = re.compile(r"[\d.]+")
_LARGE_PRIMITIVES = frozenset({"feTurbulence", "feMorphology", "feDiffuseLighting", "feSpecularLighting"})
_LARGE = 4
_DRAWING_LINKS = frozenset({"use", "pattern", "feImage"})
_MOST_NESTED = 300
"""Elements in elements, whether there or by reference: as many calls of ours lie in one another."""


class Load(Struct, frozen=True):
    """How much there is to draw."""

    elements: int = 0
    vertices: int = 0
    primitives: int = 0
    pixels: int = 0
    """Of embedded pictures."""

    def __add__(self, other: "Load") -> "Load":
        """Both."""
        return Load(self.elements + other.elements, self.vertices + other.vertices, self.primitives + other.primitives)

    def __mul__(self, times: int) -> "Load":
        """So many *times*."""
        return Load(*(one * times for one in astuple(self)))


def load(root: Node, sheet: list[Rule], limits: Limits) -> Load:
    """What drawing *root* takes, under the rules of *sheet*."""
    return _Counter(root, sheet, limits).counted(root)


class _Counter:
    def __init__(self, root: Node, sheet: list[Rule], limits: Limits) -> None:
        self._most = (
            ("svg_drawn", rules.MOST_DRAWN),
            ("svg_vertices", rules.MOST_VERTICES),
            ("svg_filters", rules.MOST_PRIMITIVES),
            ("total_pixels", limits.total_pixels),
        )
        self._by_identifier: dict[str, Node] = {}
        nodes = list(_all(root))
        if len(nodes) * len(sheet) > rules.MOST_STYLE_MATCHES:
            raise LimitExceeded("svg_style", f"svg: {len(sheet)} rules of style for {len(nodes)} elements")
        for node in nodes:
            self._by_identifier.setdefault(node.attributes.get("id", ""), node)
        self._styles = [rule for rule in sheet if any("url(" in v.lower() for v in rule.declarations.values())]
        self._known: dict[int, Load] = {}
        self._under_way: set[int] = set()
        self._references = 0

    def counted(self, node: Node) -> Load:
        """What drawing *node* takes."""
        if id(node) in self._known:
            return self._known[id(node)]
        if id(node) in self._under_way:
            raise LimitExceeded("svg_references", "svg: an element that is drawn in itself")
        if len(self._under_way) > _MOST_NESTED:
            raise LimitExceeded(
                "svg_references", f"svg: more than {_MOST_NESTED} elements and references in one another"
            )
        self._under_way.add(id(node))
        found = _own(node)
        for child in node.children:
            if isinstance(child, Node):
                found += self.counted(child)
        for name, identifier in self._referred(node):
            if name == "href":
                found += self._target(identifier)
        found = self._painted(node, found)
        self._under_way.discard(id(node))
        self._check(found)
        self._known[id(node)] = found
        return found

    def _painted(self, node: Node, found: Load) -> Load:
        whole = found
        for name, identifier in self._referred(node):
            if name in rules.PAINTED:
                whole += self._target(identifier) * found.elements
            elif name in rules.MARKED:
                whole += self._target(identifier) * found.vertices
            elif name != "href":
                whole += self._target(identifier)
        return whole

    def _target(self, identifier: str) -> Load:
        target = self._by_identifier.get(identifier)
        if target is None or target.name in {"linearGradient", "radialGradient"}:
            return Load()
        self._references += 1
        if self._references > rules.MOST_REFERENCES:
            raise LimitExceeded("svg_references", f"svg: more than {rules.MOST_REFERENCES} references in one another")
        found = self.counted(target)
        self._references -= 1
        return found

    def _referred(self, node: Node) -> Iterator[tuple[str, str]]:
        """What *node* refers to: by which attribute or property, and the identifier."""
        identifier = values.fragment(node.attributes.get("href", "")) if node.name in _DRAWING_LINKS else ""
        if identifier:
            yield "href", identifier
        for name, value in self._said(node):
            for identifier in values.referred(value):
                yield name, identifier

    def _said(self, node: Node) -> Iterator[tuple[str, str]]:
        for name, value in node.attributes.items():
            if name == "style":
                yield from (tuple(part.split(":", 1)) for part in value.split(";") if ":" in part)  # type: ignore[misc]
            elif name not in rules.LONG:
                yield name, value
        classes = frozenset(node.attributes.get("class", "").split())
        identifier = node.attributes.get("id", "")
        for rule in self._styles:
            if any(needed.may_meet(node.name, identifier, classes) for needed in rule.needed):
                yield from rule.declarations.items()

    def _check(self, found: Load) -> None:
        for (name, most), value in zip(self._most, astuple(found), strict=True):
            if value > most:
                raise LimitExceeded(name, f"svg: more than {most} to draw")


def _own(node: Node) -> Load:
    if node.name in rules.PRIMITIVES:
        return Load(1, 0, _LARGE if node.name in _LARGE_PRIMITIVES else 1, node.pixels)
    if node.name == "path":
        return Load(1, 1 + len(_NUMBER.findall(node.attributes.get("d", ""))) // _PAIRS)
    if node.name in {"polyline", "polygon"}:
        return Load(1, 1 + len(_NUMBER.findall(node.attributes.get("points", ""))) // _PAIRS)
    letters = sum(len(child) for child in node.children if isinstance(child, str)) if node.name in rules.TEXT else 0
    return Load(1, 4 + 10 * letters, 0, node.pixels)


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        if isinstance(child, Node):
            yield from _all(child)
