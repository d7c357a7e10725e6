"""Which operations native parameters stand for, and in which order they are done.

Order    `READING`, then `FIXED` or whatever ``ops=`` says in its place, then `WRITING`.
Ops      ``ops=crop:10,10,200,200/resize:width=100;fit=cover/blur:2``: operations by name, one after the other. The
         value that stands first is that of the operation's own parameter (the first of `Reader.parameters`), the others
         are named; of yes and no, the name alone is a yes. An operation may come again. What is read of the source
         (``page``, ``orient`` …) and how the result is written (``format`` …) stand beside ``ops``; nothing else may.
         Values are percent-decoded once more: so a ``/``, ``;`` or ``=`` of their own is written ``%252F``, ``%253B``,
         ``%253D``.
"""

from collections.abc import Iterator

from imagemill.dialects.native import borders, encoding, frames, geometry, layers, lengths, look, text
from imagemill.dialects.native.reading import Given, Parameter, Reader, Terms, decoded
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.recipe import Operation, Recipe

READING: tuple[Reader, ...] = (frames.FRAMES, frames.DENSITY, geometry.ORIENT)
FIXED: tuple[Reader, ...] = (
    geometry.TRIM,
    geometry.CROP,
    geometry.ASPECT,
    geometry.ROTATE,
    geometry.FLIP,
    geometry.FLOP,
    borders.TILT,
    geometry.RESIZE,
    look.BLUR,
    look.SHARPEN,
    *look.COLOURS,
    *look.EDGES,
    borders.EXTEND,
    borders.PAD,
    layers.LAYER,
    text.TEXT,
    layers.BACKGROUND,
)
WRITING: tuple[Reader, ...] = (encoding.ENCODE,)

PARAMETERS: tuple[Parameter, ...] = (
    *frames.PARAMETERS,
    *geometry.PARAMETERS,
    *borders.PARAMETERS,
    *look.PARAMETERS,
    *layers.PARAMETERS,
    *text.PARAMETERS,
    Parameter(
        "ops",
        "",
        "name:value;name=value/…",
        "Operations in the order they are to be done, in place of all other parameters that change pixels.",
    ),
    *encoding.PARAMETERS,
)
LONG = {p.name: p.name for p in PARAMETERS} | {p.alias: p.name for p in PARAMETERS if p.alias}
_BY_NAME = {reader.name: reader for reader in FIXED}
_FLAGS = frozenset(p.name for p in PARAMETERS if p.values == "0|1")
_ALONE = frozenset(name for reader in FIXED for name in reader.parameters)


def recipe(given: Given, terms: Terms, last: tuple[Reader, ...] = WRITING) -> Recipe:
    """The operations that *given* asks for, with those of *last* at the end."""
    made = [*_all(READING, given, terms), *_changes(given, terms), *_all(last, given, terms)]
    return tuple(made)


def _changes(given: Given, terms: Terms) -> Iterator[Operation]:
    if "ops" not in given:
        _refuse_idle(given)
        yield from _all(FIXED, given, terms)
        return
    if mixed := sorted(_ALONE & given.keys()):
        raise BadOption(f"{mixed[0]}: not together with ops, which says all that is to be done")
    yield from _explicit_all(given["ops"], terms)


def of_layer(text: str, terms: Terms) -> Recipe:
    """What is done to a layer whose own ``ops`` is *text*, maybe empty: upright first, as any picture."""
    return (*_all(READING, {}, terms), *(_explicit_all(text, terms) if text else ()))


def _explicit_all(text: str, terms: Terms) -> Iterator[Operation]:
    most = terms.limits.operations
    parts = text.split("/", most)
    if len(parts) > most:  # here, too: none is read that could not be done
        raise LimitExceeded("operations", f"ops: more than {most} operations")
    for part in parts:
        yield _explicit(part, terms)


def _refuse_idle(given: Given) -> None:
    geometry.refuse_idle(given)
    borders.refuse_idle(given)
    lengths.refuse_idle(given)
    layers.refuse_idle(given)
    text.refuse_idle(given)


def _all(readers: tuple[Reader, ...], given: Given, terms: Terms) -> Iterator[Operation]:
    for reader in readers:
        if (made := reader.read(given, terms)) is not None:
            yield made


def _explicit(part: str, terms: Terms) -> Operation:
    """One operation of ``ops``."""
    name, colon, rest = part.partition(":")
    reader = _BY_NAME.get(name)
    if reader is None:
        raise BadOption(f"ops: {name[:40]!r} is none of {', '.join(_BY_NAME)}")
    given = _named(reader, rest if colon or reader.parameters[0] not in _FLAGS else "1")
    _refuse_idle(given)
    made = reader.read(given, terms)
    if made is None:
        raise BadOption(f"ops: {part[:80]!r} does nothing")
    return made


def _named(reader: Reader, written: str) -> Given:
    given: dict[str, str] = {}
    for n, item in enumerate(written.split(";")):
        name, equals, value = item.partition("=")
        if not equals and n == 0:
            name, value = reader.parameters[0], item
        long = LONG.get(name, "")
        if long not in reader.parameters:
            raise BadOption(f"ops: {reader.name}: {name[:40]!r} is none of {', '.join(reader.parameters)}")
        if long in given:
            raise BadOption(f"ops: {reader.name}: {long} is given twice")
        given[long] = decoded(long, value.encode())
    return given
