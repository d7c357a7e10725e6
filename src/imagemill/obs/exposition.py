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
    """*own* and *other* as one: counters and histograms are added up, of a gauge that both have *other*'s counts."""
    found = families(own)
    for name, lines in families(other).items():
        found[name] = _summed(found[name], lines) if name in found and _adds_up(lines) else lines
    return b"".join(found.values())


def _adds_up(family: bytes) -> bool:
    return b"\n# TYPE " in family and family.split(b"\n", 2)[1].endswith((b" counter", b" histogram"))


def _summed(own: bytes, other: bytes) -> bytes:
    """Two texts of one family as one, series by series; what buckets there are is the same in both."""
    *head, _ = (line for line in own.split(b"\n") if line.startswith(b"#") or not line)
    counts: dict[bytes, float] = {}
    for line in (own + other).split(b"\n"):
        if line and not line.startswith(b"#"):
            series, _, value = line.rpartition(b" ")
            counts[series] = counts.get(series, 0.0) + float(value)
    return b"\n".join([*head, *(b"%b %b" % (series, repr(n).encode()) for series, n in counts.items()), b""])


def chosen(text: bytes, names: frozenset[str]) -> bytes:
    """Only the families called so."""
    return b"".join(lines for name, lines in families(text).items() if name.decode() in names)
