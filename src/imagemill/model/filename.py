"""The name that a picture is saved under, as a caller may choose it (threat R15).

Units    characters; `MAX_CHARS` as given, the suffix of the format comes on top.
Errors   `BadOption`.
Source   Unicode general categories (UAX 44): Cc control, Cf format (bidi controls are among them), Cs surrogate, Zl and
         Zp line and paragraph separators. UAX 31: the two joiners that words of some scripts need.
"""

import unicodedata

from imagemill.model.errors import BadOption
from imagemill.model.media import BY_EXTENSION, EXTENSIONS, Format

MAX_CHARS = 120
_NEVER = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
_SEPARATORS = frozenset("/\\")
_UNNAMED = "image"


def checked(text: str) -> str:
    """*text*, where it may name a file on whatever system it is saved on, and be shown as what it is.

    Raises:
        BadOption: it is empty, too long, hidden, a path, or has characters that control instead of showing.
    """
    if not text or len(text) > MAX_CHARS:
        raise BadOption(f"filename: 1 to {MAX_CHARS} characters are wanted")
    if text[0] == "." or text != text.strip():
        raise BadOption("filename: it begins with a dot, or begins or ends with a space")
    if _SEPARATORS & set(text):
        raise BadOption("filename: a name is wanted, and no path")
    if any(unicodedata.category(c) in _NEVER and c not in _JOINERS for c in text):
        raise BadOption("filename: characters that control or are not shown are refused")
    return text


def suffixed(name: str, format_: Format) -> str:
    """A checked *name* with the suffix of *format_* in place of another picture's; ``image`` where there is none."""
    ours = next((f".{extension}" for extension in BY_EXTENSION if name.lower().endswith(f".{extension}")), "")
    return f"{name[: len(name) - len(ours)] or _UNNAMED}.{EXTENSIONS[format_]}"
