"""XMP as values: the properties of a packet.

Keys     ``prefix:name`` as the packet writes them.
Values   texts, lists (``rdf:Bag``, ``rdf:Seq``), of alternatives by language the default one, structures as objects.
Bounded  in bytes, in depth, in elements, and by the room for all metadata. A document type, and with it every entity of
         its own, ends the reading.
Errors   none: what is broken ends the packet, and what is whole before it is told.
Encoded  in UTF-8 or UTF-16, whatever the packet says: expat would ask Python for any other, which reads it from a file,
         and a worker is to open none.
Source   XMP specification, part 1 (ISO 16684-1:2019), section 7; part 3 (2016), of the file formats; RDF/XML syntax.
"""

from typing import Any
from xml.parsers import expat

from imagemill.engines.description.words import Room

MOST_BYTES = 256 * 1024
_MOST_ELEMENTS = 4_000
_MOST_DEPTH = 24
_LISTS = frozenset({"rdf:Bag", "rdf:Seq"})
_ALTERNATIVES = "rdf:Alt"
_STRUCTURES = frozenset({"rdf:Description"})


class _Node:
    """One element: its properties by name, its items, its text."""

    __slots__ = ("fields", "items", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text: list[str] = []
        self.items: list[Any] = []
        self.fields: dict[str, Any] = {}

    def value(self) -> Any:
        """What it says, as a plain value; None = nothing."""
        if self.items:
            return self.items
        if self.fields:
            return self.fields
        return "".join(self.text).strip() or None


class _TooMuch(Exception):
    """More elements, or deeper ones, than are read."""


def told(raw: bytes, room: Room) -> dict[str, Any]:
    """The properties of the packet *raw*."""
    reader = _Reader(room)
    begins = max(0, raw.find(b"<"))
    parser = expat.ParserCreate("utf-16le" if raw[begins + 1 : begins + 2] == b"\0" else "utf-8")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(raw[begins:MOST_BYTES].rstrip(b"\0 \n\r\t"), True)  # noqa: FBT003 - expat takes no name
    except (expat.ExpatError, _TooMuch, ValueError):
        room.was_short = True
    return reader.found


def _refuse(*_: object) -> None:
    raise _TooMuch


class _Reader:
    """Follows the elements; whatever lies outside of ``rdf:RDF`` is no property."""

    def __init__(self, room: Room) -> None:
        self.found: dict[str, Any] = {}
        self._room = room
        self._open: list[_Node] = []
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins; its attributes are properties, too."""
        self._elements += 1
        if self._elements > _MOST_ELEMENTS or len(self._open) >= _MOST_DEPTH:
            raise _TooMuch
        node = _Node(name)
        self._open.append(node)
        for key, value in attributes.items():
            if not key.startswith(("xmlns", "xml:", "rdf:", "x:")) and self._inside():
                self._put(node.fields, key, value)
            elif key == "rdf:resource":
                node.text.append(value)

    def text(self, text: str) -> None:
        """Characters between elements."""
        if self._open:
            self._open[-1].text.append(text)

    def end(self, name: str) -> None:
        """An element is whole: it belongs to what lies around it."""
        node = self._open.pop()
        if not self._inside() and name != "rdf:RDF":
            return
        above = self._open[-1] if self._open else None
        if name in _STRUCTURES and above and above.name == "rdf:RDF":
            for key, value in node.fields.items():
                self.found.setdefault(key, value)
        elif above and (name in _LISTS or name in _STRUCTURES):
            above.items, above.fields = node.items or above.items, node.fields or above.fields
        elif above and name == _ALTERNATIVES:
            above.text = [str(item) for item in node.items[:1]]
        elif above and name == "rdf:li":
            self._add(above.items, node.value())
        elif above and name != "rdf:RDF":
            self._put(above.fields, name, node.value())

    def _inside(self) -> bool:
        return any(node.name == "rdf:RDF" for node in self._open)

    def _put(self, fields: dict[str, Any], key: str, value: Any) -> None:
        shown = self._shown(value)
        name = self._room.text(key)
        if shown is not None and name:
            fields.setdefault(name, shown)

    def _add(self, items: list[Any], value: Any) -> None:
        shown = self._shown(value)
        if shown is not None:
            items.append(shown)

    def _shown(self, value: Any) -> Any:
        """*value*, for which there has to be room; what is no text has taken its own."""
        return self._room.text(value) if isinstance(value, str) else value
