"""The native dialect: ``/image?source=…&width=…``, one name and one value at a time.

Keys     `PARAMETERS`: a long name, its short alias, what it means. No name twice, no unknown name.
Units    pixels; ratios and sigmas as plain decimals; seconds. ASCII digits only.
Order    whatever the order in the URL, that of `native.order`.
Errors   `BadOption` names the parameter; values are percent-decoded once, as UTF-8; ``+`` is a plus.
"""

from collections.abc import Callable

from imagemill.dialects.native import description, encoding, order
from imagemill.dialects.native.reading import MAX_DIGITS, Given, Parameter, Terms, decoded, flag, integer
from imagemill.model import filename
from imagemill.model.errors import BadOption, BadRequest, TargetTooLong
from imagemill.model.recipe import Recipe
from imagemill.model.request import MAX_TAGS, ImageRequest, SourceRef, is_tag
from imagemill.settings import Limits

__all__ = ["DESCRIBING", "PARAMETERS", "Native", "Parameter", "split"]

_MAX_PARAMETERS = 64
_MAX_QUERY_BYTES = 32 * 1024

PARAMETERS = (
    Parameter(
        "source",
        "src",
        "URL",
        "Where the picture is: https://…, http://…, local:<store>/<key> or s3://<bucket>/<key>. Required.",
    ),
    *order.PARAMETERS,
    Parameter("ttl", "", "86400-259200", "Lifetime of the answer in caches, in seconds: one to three days, by policy."),
    Parameter(
        "tags",
        "",
        "name,name,…",
        "Names that the result can be purged by: 1 to 16 of 1-64 of A-Z a-z 0-9 _ . : - each.",
    ),
    Parameter("expires", "exp", "Unix seconds", "The URL is refused (410) from then on."),
    Parameter(
        "filename", "fn", "name", "What the picture is saved as: 1 to 120 characters; its format decides the suffix."
    ),
    Parameter("attachment", "att", "0|1", "Whether a browser saves the picture instead of showing it. Default: 0."),
)
_OF_FILES = frozenset(p.name for p in encoding.PARAMETERS) | {"filename", "attachment"}
"""What only a picture that is written can have."""
DESCRIBING = (*(p for p in PARAMETERS if p.name not in _OF_FILES), *description.PARAMETERS)
"""What /info understands: where the picture is, what is done to it, and what is to be told."""


def _long(parameters: tuple[Parameter, ...]) -> dict[str, str]:
    return {p.name: p.name for p in parameters} | {p.alias: p.name for p in parameters if p.alias}


_LONG, _LONG_OF_INFO = _long(PARAMETERS), _long(DESCRIBING)

Canon = Callable[[str], str]


class Native:
    """The dialect, with the limits its numbers are judged by and the parser its sources go through."""

    def __init__(self, limits: Limits, canonical_url: Canon) -> None:
        self._canonical_url = canonical_url
        self._terms = Terms(limits, self.source)

    def parse(self, query: bytes) -> ImageRequest:
        """See `dialects.base.Dialect`."""
        return self.request(split(query))

    def described(self, query: bytes) -> ImageRequest:
        """See `dialects.base.Dialect`."""
        given = split(query, _LONG_OF_INFO)
        return self._request(given, self.description(given))

    def request(self, given: Given) -> ImageRequest:
        """The request that *given*, long names to decoded values, stands for."""
        return self._request(given, self.recipe(given))

    def _request(self, given: Given, recipe: Recipe) -> ImageRequest:
        return ImageRequest(
            source=self.source(given.get("source", "")),
            recipe=recipe,
            ttl_s=integer(given, "ttl", 1, 10**MAX_DIGITS) if "ttl" in given else None,
            expires_at_s=integer(given, "expires", 0, 10**10 - 1, digits=10) if "expires" in given else None,
            tags=_tags(given["tags"]) if "tags" in given else (),
            filename=filename.checked(given["filename"]) if "filename" in given else "",
            attachment=flag(given, "attachment"),
        )

    def source(self, value: str) -> SourceRef:
        """The source that a ``source`` value names."""
        scheme, colon, rest = value.partition(":")
        if not value:
            raise BadOption("source is missing")
        if colon and scheme == "local":
            return SourceRef("local", rest)
        if colon and scheme == "s3":
            return SourceRef("s3", _object(rest))
        url = self._canonical_url(value)
        return SourceRef(url.partition(":")[0], url)

    def recipe(self, given: Given) -> Recipe:
        """The operations that *given* asks for: in the one fixed order, or as its ``ops`` says."""
        return order.recipe(given, self._terms)

    def description(self, given: Given) -> Recipe:
        """The operations that *given* asks for, and then what is to be told."""
        return order.recipe(given, self._terms, (description.DESCRIBE,))


def _object(rest: str) -> str:
    """``bucket/key`` of an ``s3`` source; which of them may be read, and whether it is a key, its store knows."""
    bucket, slash, key = rest.removeprefix("//").partition("/")
    if not (rest.startswith("//") and bucket and slash and key):
        raise BadOption("source: s3://bucket/key")
    return f"{bucket}/{key}"


def split(query: bytes, long: Given = _LONG) -> dict[str, str]:
    """Cut a raw query into long names and once-decoded values; *long* has the names that are known."""
    if len(query) > _MAX_QUERY_BYTES:
        raise TargetTooLong(f"query: {len(query)} > {_MAX_QUERY_BYTES} bytes")
    given: dict[str, str] = {}
    parts = query.split(b"&") if query else []
    if len(parts) > _MAX_PARAMETERS:
        raise BadRequest(f"{len(parts)} parameters; {_MAX_PARAMETERS} at most")
    for part in parts:
        raw, equals, value = part.partition(b"=")
        name = long.get(raw.decode("latin-1"))
        if name is None or not equals:
            raise BadOption(f"{_shown(raw)}: unknown parameter{_elsewhere(raw.decode('latin-1'), long)}")
        if name in given:
            raise BadOption(f"{name}: given twice")
        given[name] = decoded(name, value)
    return given


def _elsewhere(name: str, long: Given) -> str:
    """Where *name* would be known."""
    if name in _LONG_OF_INFO and long is _LONG:
        return "; /info has it"
    return "; /image has it, and what is told of a picture is not written" if name in _LONG else ""


def _shown(raw: bytes) -> str:
    return repr(raw[:40])[2:-1] or "(empty)"


def _tags(text: str) -> tuple[str, ...]:
    tags = text.split(",", MAX_TAGS)
    if len(tags) > MAX_TAGS:
        raise BadOption(f"tags: more than {MAX_TAGS}")
    if not all(map(is_tag, tags)):
        raise BadOption("tags: each is 1 to 64 of A-Z a-z 0-9 _ . : - and begins with a letter or a digit")
    if len(set(tags)) < len(tags):
        raise BadOption("tags: one is given twice")
    return tuple(sorted(tags))
