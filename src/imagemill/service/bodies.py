"""Read JSON that strangers send: every field known and given once, every type as declared, nothing believed.

Errors   `BadOption` names the field, and the nearest that exists; `BadRequest` for what is no JSON object at all.
Bounded  by the length of the body, and by how deep msgspec and the types that are asked for let it nest.
Source   RFC 8259 section 4: of names that are given twice one reader takes the first, another the last.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import astuple
from msgspec.structs import fields as fields_of

from imagemill.model.errors import BadOption, BadRequest, ImagemillError
from imagemill.model.recipe import Operation, Place, Position, Recipe, Shadow, SourceRef, layers

MAX_DEPTH = 32
_MAX_NUMBER = 0xFFFFFFFF
_MAX_SHOWN = 40
_DEFECTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")
Fields = dict[str, Raw]


class _Name(str):
    """The name of a field as the reader meets it: what it builds of them keeps one of two that are equal."""

    __slots__ = ()


def named(raw: bytes | Raw, where: str, kind: type[T]) -> dict[str, T]:
    """The fields of one JSON object, whatever they are called, each once, and each as *kind*."""
    names: list[str] = []

    def met(_: type, name: str) -> _Name:
        names.append(name)
        return _Name(name)

    try:
        found = msgspec.json.decode(raw, type=dict[_Name, kind], dec_hook=met)  # type: ignore[valid-type]
    except _DEFECTS as e:
        raise _unread(where, "a JSON object is wanted", e) from e
    if len(names) > len(found):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise BadOption(f"{_inside(where, twice[:_MAX_SHOWN])}: given twice")
    return dict(zip(map(str, found), found.values(), strict=True))


def fields(raw: bytes | Raw, where: str, known: Collection[str]) -> Fields:
    """The fields of one JSON object, not read yet; *where* it stands is empty for the body itself."""
    found = named(raw, where, Raw)
    for name in found:
        if name not in known:
            raise BadOption(f"{_inside(where, name[:_MAX_SHOWN])}: unknown field{_hint(name, known)}")
    return found


def read(raw: bytes | Raw, where: str, kind: Any) -> Any:
    """One JSON value as *kind*."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except _DEFECTS as e:
        raise _unread(where, "ill-formed", e) from e


def items(raw: bytes | Raw, where: str) -> list[Raw]:
    """The values of a JSON list, not read yet."""
    found: list[Raw] = read(raw, where, list[Raw])
    return found


def recipe(raw: Raw, where: str) -> Recipe:
    """A list of tagged operations, as in `model.recipe`; fields that an operation does not have are refused."""
    _check_operations(raw, where, 0)
    found: Recipe = read(raw, where, Recipe)
    operations = [*found, *(op for _, layer in layers(found) for op in layer.recipe)]
    if any(isinstance(value, int) and abs(value) > _MAX_NUMBER for op in operations for value in astuple(op)):
        raise BadOption(f"{where}: no number is larger than {_MAX_NUMBER}")
    return found


def metadata(raw: Raw, where: str) -> Raw:
    """Any JSON value as it came, as deep as others can read it, and apart from the body it came in."""
    value = read(raw, where, Any)
    if _depth(value) > MAX_DEPTH:
        raise BadOption(f"{where}: nested more than {MAX_DEPTH} deep")

    def once(pairs: list[tuple[str, object]]) -> None:
        if len(dict(pairs)) < len(pairs):
            raise BadOption(f"{where}: a name is given twice in one object")

    json.loads(bytes(raw), object_pairs_hook=once, parse_int=str)  # an int may be longer than Python reads
    return Raw(bytes(raw))


class Digest:
    """Of JSON values: the same for the same values, however they are spaced and their fields are ordered."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, raw: bytes | Raw, where: str = "") -> None:
        """One value more."""
        part = msgspec.json.encode(read(raw, where, Any), order="sorted")
        self._hash.update(b"%d:%b" % (len(part), part))

    def text(self) -> str:
        """64 hex digits."""
        return self._hash.hexdigest()


def at(error: ImagemillError, where: str) -> ImagemillError:
    """*error*, told of *where* it was found."""
    error.args = (f"{where}: {error}",)
    return error


def _check_operations(raw: Raw, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadOption(f"{where}: nested more than {MAX_DEPTH} deep")
    for n, item in enumerate(items(raw, where)):
        _check_operation(item, f"{where}[{n}]", depth)


def _check_operation(raw: Raw, where: str, depth: int) -> None:
    kind = read(raw, where, _Tag).type
    if kind not in _OPERATIONS:
        raise BadOption(f"{where}.type: unknown operation{_hint(kind, _OPERATIONS)}")
    found = fields(raw, where, {"type", *_names(_OPERATIONS[kind])})
    _check_values(found, where)
    if "recipe" in found:
        _check_operations(found["recipe"], f"{where}.recipe", depth + 1)


def _check_values(found: Fields, where: str) -> None:
    """Judge the fields of those of *found* that are objects themselves."""
    for name in found.keys() & _VALUES.keys():
        if bytes(found[name]) != b"null":
            _check_values(fields(found[name], f"{where}.{name}", _names(_VALUES[name])), f"{where}.{name}")


class _Tag(Struct, frozen=True):
    type: str


def _names(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in fields_of(kind))


_VALUES: dict[str, type[Struct]] = {"position": Position, "place": Place, "shadow": Shadow, "source": SourceRef}
_OPERATIONS: dict[str, type[Struct]] = {str(k.__struct_config__.tag): k for k in Operation.__args__}


def _depth(value: object) -> int:
    """How deep *value* nests; it was read, so it is no deeper than the reader goes."""
    deepest, left = 0, [(value, 1)]
    while left:
        inner, depth = left.pop()
        deepest = max(deepest, depth)
        left += [(more, depth + 1) for more in _inner(inner)]
    return deepest


def _inner(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
    return ()


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _hint(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name[:_MAX_SHOWN], known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _unread(where: str, words: str, error: Exception) -> BadRequest:
    own = isinstance(error, msgspec.MsgspecError)
    detail = str(error)[:200] if own else words
    return BadOption(f"{where}: {detail}") if where else BadRequest(f"body: {detail}")
