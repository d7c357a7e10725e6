"""The page of all operations: their order from the dialect, their words from docstrings, nothing said twice by hand."""

import ast
import inspect
import sys
import textwrap
from enum import Enum
from typing import Any, get_args

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from imagemill.dialects.native import description, order
from imagemill.dialects.native.reading import Parameter, Reader
from imagemill.model.recipe import Operation

_TYPES: dict[str, type[Struct]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Operation)}
_OTHER_NAMES = {"orient": "auto_orient", "aspect": "aspect_crop"}
"""Of a reader, where a type has another."""
INTRO = """Everything that can be done to a picture, in the order in which it is done, whatever the order in the URL. `ops=` gives another order
(for what stands between reading and writing), and may do a thing more than once. Each step works on every frame of an animation.

An operation has [parameters](parameters.md) in a URL, and fields where a [job](jobs.md) says its recipe as a list: `{"type": "resize", "width_px": 300}`.
Fields are whole numbers, and their units are in their names: `_px` pixels, `_ppm` parts per million, `_centi` hundredths, `_percent`, `_ms`;
`rgba` is 32 bits of a colour and its alpha, straight, sRGB. What has a default may be left out. `describe` is asked for by [/info](info.md) alone.
"""


def readers() -> list[Reader]:
    """All of them, in their order."""
    return [*order.READING, *order.FIXED, *order.WRITING, description.DESCRIBE]


def type_of(reader: Reader) -> type[Struct]:
    """The operation that *reader* makes."""
    return _TYPES[_OTHER_NAMES.get(reader.name, reader.name)]


def page(note: str) -> str:
    """The whole page."""
    lines = ["# Operations", note, INTRO, "| | operation | parameters |", "|---|---|---|"]
    for n, reader in enumerate(readers(), 1):
        names = ", ".join(f"`{name}`" for name in reader.parameters)
        lines.append(f"| {n} | [{_title(reader)}](#{_title(reader)}) | {names} |")
    seen: set[type[Struct]] = set()
    for reader in readers():
        lines += [
            "",
            f"## {_title(reader)}",
            "",
            *_words(type_of(reader)),
            "",
            *_parameters(reader),
            *_fields(type_of(reader)),
        ]
        seen.add(type_of(reader))
    parts = [kind for kind in _parts(seen) if kind not in seen]
    lines += ["", "# Values", "", "What fields above are made of.", ""]
    for kind in sorted(parts, key=lambda kind: kind.__name__):
        lines += [
            f"## {kind.__name__}",
            "",
            *_words(kind),
            "",
            *(_choices(kind) if issubclass(kind, Enum) else _fields(kind)),
        ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _title(reader: Reader) -> str:
    return str(type_of(reader).__struct_config__.tag)


def _words(kind: type) -> list[str]:
    return [_plain(inspect.getdoc(kind) or "")]


def _parameters(reader: Reader) -> list[str]:
    """Those of *reader*; two readers may have different ones of the same name."""
    own = description.PARAMETERS if reader is description.DESCRIBE else order.PARAMETERS
    known: dict[str, Parameter] = {p.name: p for p in own}
    rows = [known[name] for name in reader.parameters]
    lines = [f"| `{p.name}` | {p.values.replace('|', ' &#124; ')} | {p.meaning} |" for p in rows]
    return ["| parameter | values | meaning |", "|---|---|---|", *lines, ""]


def _fields(kind: type[Struct]) -> list[str]:
    words = field_words(kind)
    rows = [
        f"| `{f.name}` | {_type(f.type)} | {_default(f.default)} | {_cell(words.get(f.name, ''))} |"
        for f in fields(kind)
    ]
    return (
        ["| field | type | default | meaning |", "|---|---|---|---|", *rows, ""] if rows else ["It has no fields.", ""]
    )


def _choices(kind: type[Enum]) -> list[str]:
    words = field_words(kind)
    rows = [f"| `{member.value}` | {_cell(words.get(member.name, ''))} |" for member in kind]
    return ["| value | meaning |", "|---|---|", *rows, ""]


def field_words(kind: type) -> dict[str, str]:
    """Docstrings below fields and members."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    words = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        target = (
            field.target
            if isinstance(field, ast.AnnAssign)
            else field.targets[0]
            if isinstance(field, ast.Assign)
            else None
        )
        if isinstance(target, ast.Name) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            words[target.id] = " ".join(str(text.value.value).split())
    return words


def _parts(kinds: set[type[Struct]]) -> set[Any]:
    """The structures and choices that fields of *kinds* have, and theirs."""
    found: set[Any] = set()
    waiting: list[type] = [*kinds]
    while waiting:
        for field in fields(waiting.pop()):
            for inner in _named(field.type):
                if inner not in found and inner not in kinds:
                    found.add(inner)
                    waiting += [inner] if issubclass(inner, Struct) else []
    return found


def _named(kind: Any) -> list[type]:
    if isinstance(kind, type) and issubclass(kind, Struct | Enum):
        return [kind]
    return [found for inner in get_args(kind) for found in _named(inner) if found not in _TYPES.values()]


def _type(kind: Any) -> str:
    inner = _named(kind)
    if inner:
        shown = f"[{inner[0].__name__}](#{inner[0].__name__.lower()})"
        return f"{shown}, or none" if type(None) in get_args(kind) else shown
    names = {int: "number", str: "text", bool: "yes or no"}
    if kind in names:
        return names[kind]
    if type(None) in get_args(kind):
        return f"{names[next(k for k in get_args(kind) if k is not type(None))]}, or none"
    return "recipe"


def _default(value: Any) -> str:
    if value is NODEFAULT:
        return ""
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value == ():
        return "none"
    return "its own" if isinstance(value, Struct) else f"`{value}`"


def _cell(text: str) -> str:
    return _plain(text).replace("|", "&#124;")


def _plain(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    sys.stdout.write(page(""))
