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
_DRAWING_LINKS = frozenset({"use", "pattern", "feImage"})
_MOST_NESTED = 300
"""Elements in elements, whether there or by reference: as many calls of ours lie in one another."""


_WEIGHTS = {
    "feGaussianBlur": 3, "feDropShadow": 3, "feDisplacementMap": 21, "feDiffuseLighting": 3, "feSpecularLighting": 3,
    "feComposite": 2, "feBlend": 2, "feMerge": 2, "feComponentTransfer": 2, "feImage": 2, "feTile": 2,
}  # fmt: skip
"""Of filter primitives, where it is not one; a unit is that of `plan.vectors`."""
_FUNCTION = 3
"""A filter function, weighted as the primitive that it stands for."""
_PATTERN = 10
_OUT_OF_SIGHT = rules.SERVERS | {"defs", "symbol"}
"""Drawn only where something leads to them."""


class Load(Struct, frozen=True):
    """How much there is to draw."""

    elements: int = 0
    vertices: int = 0
    primitives: int = 0
    """Filter primitives, weighted."""
    pixels: int = 0
    """Of embedded pictures."""

    def __add__(self, other: "Load") -> "Load":
        """Both."""
        return Load(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, times: int) -> "Load":
        """So many *times*."""
        return Load(*(one * times for one in astuple(self)))


def load(root: Node, sheet: list[Rule], side: float, limits: Limits) -> Load:
    """What drawing *root*, of which the view's longer side is *side*, takes under the rules of *sheet*."""
    counter = _Counter(root, sheet, side, limits)
    return counter.counted(root) + Load(primitives=_PATTERN if counter.has_patterns else 0)


class _Counter:
    def __init__(self, root: Node, sheet: list[Rule], side: float, limits: Limits) -> None:
        self._side = side
        self._most = (
            ("svg_drawn", rules.MOST_DRAWN),
            ("svg_vertices", rules.MOST_VERTICES),
            ("svg_filters", rules.MOST_PRIMITIVES),
            ("total_pixels", limits.total_pixels),
        )
        self._by_identifier: dict[str, Node] = {}
        nodes = list(_all(root))
        selectors = sum(len(rule.needed) for rule in sheet)
        if len(nodes) * selectors > rules.MOST_STYLE_MATCHES:
            raise LimitExceeded("svg_style", f"svg: {selectors} selectors of style for {len(nodes)} elements")
        for node in nodes:
            self._by_identifier.setdefault(node.attributes.get("id", ""), node)
        self._styles = [rule for rule in sheet if any("(" in value for value in rule.declarations.values())]
        self.has_patterns = any(node.name == "pattern" for node in nodes)
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
        found = _own(node, self._side)
        for child in node.children:
            if isinstance(child, Node):
                found += Load(1) if child.name in _OUT_OF_SIGHT else self.counted(child)
        for name, identifier in self._referred(node):
            if name == "href":
                found += self._target(identifier)
        found = self._painted(node, found) + Load(primitives=_FUNCTION * self._filter_functions(node))
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

    def _filter_functions(self, node: Node) -> int:
        """How many *node* is drawn through, links to filters left aside: those count as what they lead to."""
        filters = (value for name, value in self._said(node) if name == "filter")
        return sum(values.functions(value) - sum(1 for _ in values.referred(value)) for value in filters)

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
                raise LimitExceeded(name, f"{name}: more than {most} to draw")


def _own(node: Node, side: float) -> Load:
    if node.name in rules.PRIMITIVES:
        return Load(1, 0, _weight(node, side), node.pixels)
    if node.name == "path":
        return Load(1, 1 + len(_NUMBER.findall(node.attributes.get("d", ""))) // _PAIRS)
    if node.name in {"polyline", "polygon"}:
        return Load(1, 1 + len(_NUMBER.findall(node.attributes.get("points", ""))) // _PAIRS)
    letters = sum(len(child) for child in node.children if isinstance(child, str)) if node.name in rules.TEXT else 0
    return Load(1, 4 + 10 * letters, 0, node.pixels)


def _weight(node: Node, side: float) -> int:
    """Of a filter primitive: some take as long as the number in them is large."""
    said = node.attributes.get
    match node.name:
        case "feMorphology":
            return 3 + int(6_000 * _largest(said("radius", ""), 0.0) / side)
        case "feConvolveMatrix":
            return 1 + int(_largest(said("order", ""), 3.0) ** 2 / 4)
        case "feTurbulence":
            return 2 + int(_largest(said("numOctaves", ""), 1.0))
    return _WEIGHTS.get(node.name, 1)


def _largest(text: str, default: float) -> float:
    """Of the numbers in *text*; not below 0, or one element would pay for others."""
    return max(0.0, max(values.numbers(text), default=default))


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        if isinstance(child, Node):
            yield from _all(child)
