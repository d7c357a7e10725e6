"""Style sheets, read as far as they are understood and written anew: rules of selectors and declarations, nothing else.

At-rules go, all of them: they import, name fonts and namespaces, or ask what nobody here can answer. A selector or a
value with an escape goes too: it may spell anything.

Errors   `LimitExceeded` ``svg_style``.
Source   CSS Syntax Level 3; Selectors Level 4.
"""

import re

from msgspec import Struct

from imagemill.engines.svg import rules, values
from imagemill.model.errors import LimitExceeded

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
_SELECTOR = re.compile(r"[\w\s.#:*>+~()\[\]=\"'^$|,-]{1,512}\Z")
_ATTRIBUTE = re.compile(r"\[[^\]]*\]|::?[\w-]+(?:\([^()]*\))?")
_SIMPLE = re.compile(r"([.#]?)([\w-]+)")
_COMPOUNDS = re.compile(r"[\s>+~]+")


class Needed(Struct, frozen=True):
    """What an element must at least have for one selector to meet it."""

    name: str
    identifier: str
    classes: frozenset[str]

    def may_meet(self, name: str, identifier: str, classes: frozenset[str]) -> bool:
        """Whether an element with these may be met: where the selector says more, that is not looked at."""
        return (
            (not self.name or self.name == name)
            and (not self.identifier or self.identifier == identifier)
            and self.classes <= classes
        )


class Rule(Struct, frozen=True):
    """What elements look like that a selector meets."""

    selectors: str
    needed: tuple[Needed, ...]
    declarations: dict[str, str]

    def __str__(self) -> str:
        """As a style sheet has it."""
        return f"{self.selectors}{{{written(self.declarations)}}}"


def sheet(text: str) -> list[Rule]:
    """The rules of a style sheet that may stay."""
    found = []
    for selectors, body in _blocks(_COMMENT.sub(" ", text)):
        kept = declarations(body)
        if kept and _SELECTOR.match(selectors):
            needed = tuple(_needed(selector) for selector in _COMMA.split(selectors))
            found.append(Rule(selectors, needed, kept))
        if len(found) > rules.MOST_STYLE_RULES:
            raise LimitExceeded("svg_style", f"svg: more than {rules.MOST_STYLE_RULES} rules of style")
    return found


def declarations(text: str) -> dict[str, str]:
    """The declarations of a rule or a ``style`` attribute that may stay, the last of a name."""
    found = {}
    for part in _COMMENT.sub(" ", text).split(";"):
        name, colon, value = part.partition(":")
        name, value = name.strip().lower(), value.strip()
        if (
            colon
            and value
            and name in rules.PROPERTIES
            and not set(value) & set("{}<>")
            and values.is_allowed(name, value)
        ):
            found[name] = value
    return found


def written(found: dict[str, str]) -> str:
    """Declarations, as text."""
    return ";".join(f"{name}:{value}" for name, value in found.items())


_COMMA = re.compile(r",(?![^(\[]*[)\]])")


def _blocks(text: str) -> list[tuple[str, str]]:
    """Selectors and bodies of the rules at the top; at-rules are stepped over, with all that is in their braces."""
    found, at, end = [], 0, -1
    while at < len(text):
        if end < at:  # looked for once a rule, and not once an at-rule: there may be as many of those as letters
            end = text.find("{", at)
        semicolon = text.find(";", at, end if end >= 0 else len(text))
        if semicolon >= 0 and text[at:semicolon].lstrip().startswith("@"):
            at = semicolon + 1
            continue
        if end < 0:
            break
        head, close = text[at:end].strip(), _closing(text, end)
        if not head.startswith("@"):
            found.append((head, text[end + 1 : close]))
        at = close + 1
    return found


def _closing(text: str, begin: int) -> int:
    """Where the brace at *begin* is closed; the end of the text where it is not."""
    depth = 0
    for found in _BRACE.finditer(text, begin):
        depth += 1 if found[0] == "{" else -1
        if not depth:
            return found.start()
    return len(text)


_BRACE = re.compile(r"[{}]")


def _needed(selector: str) -> Needed:
    last = _COMPOUNDS.split(_ATTRIBUTE.sub("", selector).strip())[-1]
    name = identifier = ""
    classes = set()
    for kind, word in _SIMPLE.findall(last):
        if kind == ".":
            classes.add(word)
        elif kind == "#":
            identifier = word
        else:
            name = word
    return Needed(name, identifier, frozenset(classes))
