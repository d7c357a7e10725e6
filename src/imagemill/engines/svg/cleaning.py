"""What of an element stays: its attributes by the rules, its style read and written anew, its links only into the file.

Errors   `LimitExceeded` ``svg_filter``, ``svg_dash`` for a size that costs without end; those of `embedded`.
"""

from collections.abc import Callable

from imagemill.engines.svg import css, rules, values
from imagemill.engines.svg.css import Rule
from imagemill.engines.svg.tree import Node
from imagemill.model.errors import LimitExceeded

Embed = Callable[[str], tuple[str, int]]
"""A ``data:`` URI to one that may be drawn, or to nothing, and its pixels; raises where it is beyond limits."""


def clean(node: Node, side: float, embed: Embed) -> list[Rule]:
    """Leave in *node*, and in all below it, only what may stay; answer with the rules of all its style sheets.

    Args:
        node: Changed in place.
        side: The longer side of the picture's view, in its units.
        embed: What becomes of ``data:`` URIs.
    """
    found: list[Rule] = []
    node.attributes = _attributes(node, side, embed)
    kept: list[Node | str] = []
    for child in node.children:
        if isinstance(child, Node) and child.name == "style":
            found += _sheet(child, side)
        else:
            kept.append(child)
    node.children = kept
    for child in kept:
        if isinstance(child, Node):
            found += clean(child, side, embed)
    return found


def _sheet(node: Node, side: float) -> list[Rule]:
    if node.attributes.get("type", "text/css").strip().lower() not in {"text/css", ""}:
        return []
    if node.attributes.get("media", "all").strip().lower() not in {"all", "screen", ""}:
        return []
    found = css.sheet("".join(child for child in node.children if isinstance(child, str)))
    for rule in found:
        for name, value in rule.declarations.items():
            _check(name, value, side)
    return found


def _attributes(node: Node, side: float, embed: Embed) -> dict[str, str]:
    kept = {}
    for name, value in node.attributes.items():
        if name == "style":
            declared = css.declarations(value)
            for inner, said in declared.items():
                _check(inner, said, side)
            if declared:
                kept[name] = css.written(declared)
        elif name == "href":
            link, node.pixels = _link(node.name, value.strip(), embed)
            if link:
                kept[name] = link
        elif name in {"xml:space", "xml:lang"} or (name in rules.ATTRIBUTES and values.is_allowed(name, value)):
            _check(name, value, side)
            kept[name] = value
    if node.name in rules.PRIMITIVES:
        _check_primitive(node.name, kept, side)
    return kept


def _link(element: str, value: str, embed: Embed) -> tuple[str, int]:
    if identifier := values.fragment(value):
        return f"#{identifier}", 0
    return embed(value) if element in rules.EMBEDDING else ("", 0)


def _check(name: str, value: str, side: float) -> None:
    if name == "stroke-dasharray":
        dashes = values.numbers(value)
        if dashes and 0 < sum(map(abs, dashes)) < side * rules.FINEST_DASH_SHARE:
            raise LimitExceeded("svg_dash", f"svg: dashes of {sum(dashes):g} in a picture of {side:g}")
    elif name == "filter":
        _bound("blur", values.blurred(value), side * rules.MOST_BLUR_SHARE)


def _check_primitive(name: str, attributes: dict[str, str], side: float) -> None:
    for attribute, most in (
        ("stdDeviation", side * rules.MOST_BLUR_SHARE),
        ("radius", side * rules.MOST_MORPHOLOGY_SHARE),
        ("order", rules.MOST_KERNEL),
        ("numOctaves", rules.MOST_OCTAVES),
    ):
        _bound(f"{name}: {attribute}", values.numbers(attributes.get(attribute, "")), most)


def _bound(what: str, found: list[float], most: float) -> None:
    if found and max(found) > most:
        raise LimitExceeded("svg_filter", f"svg: {what} {max(found):g} > {most:g}")
