"""Parse a vector picture's XML into what the rules allow of it; no entity, no external subset, nothing is fetched.

Errors   `ImageCorrupt` for what is no XML, and for entities; `UnsupportedSourceType` where the root is no ``svg``;
         `LimitExceeded` ``svg_depth``, ``svg_nodes``, ``svg_attributes``.
Source   XML 1.0 (fifth edition); Namespaces in XML 1.0. Expat is the standard library's.
"""

from contextlib import suppress
from typing import Any
from xml.parsers import expat

from msgspec import Struct

from imagemill.engines.svg import rules
from imagemill.model.errors import ImageCorrupt, LimitExceeded, UnsupportedSourceType

_PUBLIC = "-//W3C//DTD SVG "
"""The document types that drawing programs write; naming one changes nothing, and nobody reads it."""


class Node(Struct):
    """An element of the SVG namespace, with what is allowed in it."""

    name: str
    attributes: dict[str, str]
    """Of no namespace; ``xlink:href`` as ``href``, ``xml:space`` and ``xml:lang`` as they are called."""
    children: list["Node | str"]
    pixels: int = 0
    """Of the picture that is embedded in it."""


class _Found(Exception):
    """The root element."""


def parsed(text: str) -> Node:
    """The root of *text*."""
    reader = _Reader()
    reader.read(text)
    return reader.root()


def root_of(text: str) -> Node:
    """The root element alone, of a *text* that need not go on behind it."""
    reader = _Reader(root_only=True)
    with suppress(_Found):
        reader.read(text)
    return reader.root()


class _Reader:
    """Expat's handlers, and the elements that are open."""

    def __init__(self, *, root_only: bool = False) -> None:
        self._root_only = root_only
        self._root: Node | None = None
        self._open: list[Node] = []
        self._skipped = 0
        self._nodes = 0

    def read(self, text: str) -> None:
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.specified_attributes = True
        parser.StartDoctypeDeclHandler = _doctype
        for name in ("EntityDecl", "UnparsedEntityDecl", "ExternalEntityRef", "SkippedEntity"):
            setattr(parser, f"{name}Handler", _entity)
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(text.encode(), True)  # noqa: FBT003 - all there is
        except expat.ExpatError as e:
            raise ImageCorrupt(f"svg: {expat.ErrorString(e.code)}, line {e.lineno}") from e
        except UnicodeEncodeError as e:
            raise ImageCorrupt("svg: half of a surrogate pair") from e

    def root(self) -> Node:
        if self._root is None:
            raise ImageCorrupt("svg: no element")
        return self._root

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._nodes += 1
        if self._nodes > rules.MOST_NODES:
            raise LimitExceeded("svg_nodes", f"svg: more than {rules.MOST_NODES} elements")
        if len(self._open) + self._skipped >= rules.MOST_DEPTH:
            raise LimitExceeded("svg_depth", f"svg: more than {rules.MOST_DEPTH} elements in one another")
        if len(attributes) > rules.MOST_ATTRIBUTES:
            raise LimitExceeded("svg_attributes", f"svg: an element of more than {rules.MOST_ATTRIBUTES} attributes")
        namespace, _, local = name.rpartition(" ")
        ours = namespace in {rules.SVG, ""}  # pages carry their pictures without one, and are copied from
        known = ours and local in rules.ELEMENTS
        if self._root is None and not (ours and local == "svg"):
            raise UnsupportedSourceType("the source is XML, and no SVG")
        if self._skipped or not known:
            self._skipped += 1
            return
        node = Node(local, _named(attributes), [])
        if self._root is None:
            self._root = node
            if self._root_only:
                raise _Found
        else:
            self._open[-1].children.append(node)
        self._open.append(node)

    def _end(self, _name: str) -> None:
        if self._skipped:
            self._skipped -= 1
        else:
            self._open.pop()

    def _characters(self, text: str) -> None:
        if not self._skipped and (self._open[-1].name in rules.TEXT or self._open[-1].name in {"style", "a"}):
            self._open[-1].children.append(text)


def _named(attributes: dict[str, str]) -> dict[str, str]:
    found = {}
    for name, value in attributes.items():
        namespace, _, local = name.rpartition(" ")
        if not namespace:
            found[local] = value
        elif namespace == rules.XLINK and local == "href":
            found.setdefault("href", value)
        elif namespace == rules.XML and local in {"space", "lang"}:
            found[f"xml:{local}"] = value
    return found


def _doctype(_name: str, system: str | None, public: str | None, _internal: bool) -> None:
    if system is not None and not (public or "").startswith(_PUBLIC):
        raise ImageCorrupt("svg: a document type outside the file")


def _entity(*_: Any) -> None:
    raise ImageCorrupt("svg: entities are not read")
