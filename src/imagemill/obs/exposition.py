"""The Prometheus text format as families of lines, so that two processes can be shown as one.

Source   Prometheus exposition formats, text format 0.0.4: all lines of a family in one group, each family once.
"""

_HELP = b"# HELP "
_BORDER = b"\n" + _HELP


def families(text: bytes) -> dict[bytes, bytes]:
    """Name to lines, in their order."""
    found: dict[bytes, bytes] = {}
    for part in (b"\n" + text.removesuffix(b"\n")).split(_BORDER)[1:]:
        found[part.partition(b" ")[0]] = _HELP + part + b"\n"
    return found


def joined(own: bytes, other: bytes) -> bytes:
    """*own*, with the families of *other* in place of those of the same name, and the rest of them behind."""
    return b"".join((families(own) | families(other)).values())


def chosen(text: bytes, names: frozenset[str]) -> bytes:
    """Only the families called so."""
    return b"".join(lines for name, lines in families(text).items() if name.decode() in names)
