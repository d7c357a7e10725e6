"""Texts out of strangers' metadata: bounded, and nothing in them that controls instead of showing.

Units    characters, counted over all that is told of one picture.
"""

MOST_CHARS = 32 * 1024
MOST_TEXT = 2_000
"""Of one value."""
_SHOWN_CONTROLS = frozenset("\n\t")


class Room:
    """How much more may be told."""

    def __init__(self, chars: int = MOST_CHARS) -> None:
        self._left = chars
        self.was_short = False
        """Whether something was cut or left out."""

    def take(self, chars: int) -> bool:
        """Whether there is room for so many; what finds none is left out."""
        if chars > self._left:
            self.was_short = True
            return False
        self._left -= chars
        return True

    def text(self, value: str) -> str | None:
        """*value* as it may be shown; None where there is no room for it."""
        if len(value) > MOST_TEXT:
            value, self.was_short = value[:MOST_TEXT], True
        if not self.take(len(value)):
            return None
        if value.isprintable():
            return value
        return "".join(c if c.isprintable() or c in _SHOWN_CONTROLS else "\N{REPLACEMENT CHARACTER}" for c in value)


def decoded(raw: bytes) -> str:
    """Text of no certain encoding: UTF-8 where it is that, else Latin-1; up to the first NUL."""
    raw = raw.split(b"\0", 1)[0].strip()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
