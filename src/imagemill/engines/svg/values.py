"""Which values of attributes and CSS properties may stay: none that names what lies outside the file.

Source   CSS Syntax Level 3: an escape may spell any letter, so that a value with one is not judged but left out.
"""

import re
from collections.abc import Iterator

from imagemill.engines.svg import rules

_FUNCTION = re.compile(r"(?<![\w-])([\w-]++)\s*+\(")
"""Looks at each letter once, whatever comes behind it."""
_LOCAL = re.compile(r"url\(\s*(?:\"#([^\"()\\]+)\"|'#([^'()\\]+)'|#([^\s\"'()\\]+))\s*\)", re.IGNORECASE)
_FRAGMENT = re.compile(r"#([^\s\"'()\\#]+)\Z")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BLUR = re.compile(r"(?:blur|drop-shadow)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)", re.IGNORECASE)


def is_allowed(name: str, value: str) -> bool:
    """Whether *value*, of the attribute or property *name*, may stay."""
    if name in rules.NAMES:
        return len(value) <= rules.MOST_VALUE
    if name in rules.LONG:
        return "(" not in value and "\\" not in value
    if len(value) > rules.MOST_VALUE or "\\" in value or "@" in value:
        return False
    for found in _FUNCTION.finditer(value):
        function = found[1].lower()
        if function not in rules.FUNCTIONS or (function == "url" and not _LOCAL.match(value, found.start())):
            return False
    return True


def referred(value: str) -> Iterator[str]:
    """Identifiers of the elements that *value* refers to by ``url(#…)``."""
    for quoted, single, bare in _LOCAL.findall(value):
        yield quoted or single or bare


def functions(value: str) -> int:
    """How many functions *value* has."""
    return len(_FUNCTION.findall(value))


def fragment(href: str) -> str:
    """The identifier that a link within the file leads to; empty where it leads out of it."""
    found = _FRAGMENT.match(href.strip())
    return found[1] if found else ""


def numbers(value: str) -> list[float]:
    """All numbers in *value*, units left aside."""
    return [float(text) for text in _NUMBER.findall(value)]


def blurred(value: str) -> list[float]:
    """The lengths that filter functions in *value* blur by, and those that stand beside them."""
    return [number for inner in _BLUR.findall(value) for number in numbers(re.sub(r"\w+\([^()]*\)|#\w+", " ", inner))]
