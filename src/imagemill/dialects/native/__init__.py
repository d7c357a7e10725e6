"""The native dialect: ``/image?source=…&width=…``, one name and one value at a time.

Keys     `PARAMETERS`: a long name, its short alias, what it means. No name twice, no unknown name.
Units    pixels; ratios and sigmas as plain decimals; seconds. ASCII digits only.
Order    whatever the order in the URL, that of `native.order`.
Errors   `BadOption` names the parameter; values are percent-decoded once, as UTF-8; ``+`` is a plus.
"""

from collections.abc import Callable

from imagemill.dialects.native import description, encoding, hints, order, presets
from imagemill.dialects.native.reading import MAX_DIGITS, Given, Parameter, Terms, cut, flag, integer
from imagemill.model import filename
from imagemill.model.client import ANYONE, Client
from imagemill.model.errors import BadOption
from imagemill.model.recipe import Recipe
from imagemill.model.request import MAX_TAGS, ImageRequest, SourceRef, is_tag
from imagemill.settings import Limits, Presets

__all__ = ["DESCRIBING", "PARAMETERS", "Native", "Parameter", "split"]

PARAMETERS = (
    Parameter(
        "source",
        "src",
        "URL",
        "Where the picture is: https://…, http://…, local:<store>/<key> or s3://<bucket>/<key>. Required.",
    ),
    presets.PARAMETER,
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
_TOLD = frozenset(p.name for p in description.PARAMETERS)
_OF_FILES = frozenset(p.name for p in encoding.PARAMETERS) | {"filename", "attachment"}
"""What only a picture that is written can have."""
DESCRIBING = (*(p for p in PARAMETERS if p.name not in _OF_FILES), *description.PARAMETERS)
"""What /info understands: where the picture is, what is done to it, and what is to be told."""


def _long(parameters: tuple[Parameter, ...]) -> dict[str, str]:
    return {p.name: p.name for p in parameters} | {p.alias: p.name for p in parameters if p.alias}


_LONG, _LONG_OF_INFO = _long(PARAMETERS), _long(DESCRIBING)

NO_PRESETS = Presets()
Canon = Callable[[str], str]


class Native:
    """The dialect, with the limits its numbers are judged by and the parser its sources go through."""

    def __init__(
        self, limits: Limits, canonical_url: Canon, named: Presets = NO_PRESETS, *, client_hints: bool = False
    ) -> None:
        self._canonical_url = canonical_url
        self._client_hints = client_hints
        self._terms = Terms(limits, self.source, order.of_layer)
        self._presets = presets.Named(named, self._terms, client_hints=client_hints)

    def parse(self, query: bytes, client: Client = ANYONE) -> ImageRequest:
        """See `dialects.base.Dialect`."""
        return self.request(split(query), client)

    def described(self, query: bytes) -> ImageRequest:
        """See `dialects.base.Dialect`."""
        given = cut(query, _LONG_OF_INFO)
        return self._request(given, self.description(given), ())

    def request(self, given: Given, client: Client = ANYONE) -> ImageRequest:
        """The request that *given*, long names to decoded values, stands for where it comes from *client*."""
        client = hints.within(client, self._terms.limits)
        given, vary = hints.followed(self._presets.applied(given), client, enabled=self._client_hints)
        return self._request(given, order.recipe(given, self._terms), vary)

    def _request(self, given: Given, recipe: Recipe, vary: tuple[str, ...]) -> ImageRequest:
        return ImageRequest(
            source=self.source(given.get("source", "")),
            recipe=recipe,
            ttl_s=integer(given, "ttl", 1, 10**MAX_DIGITS) if "ttl" in given else None,
            expires_at_s=integer(given, "expires", 0, 10**10 - 1, digits=10) if "expires" in given else None,
            tags=_tags(given["tags"]) if "tags" in given else (),
            filename=filename.checked(given["filename"]) if "filename" in given else "",
            attachment=flag(given, "attachment"),
            vary=vary,
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
        return order.recipe(hints.followed(self._presets.applied(given), ANYONE, enabled=False)[0], self._terms)

    def description(self, given: Given) -> Recipe:
        """The operations that *given* asks for, and then what is to be told; a preset's format is no matter."""
        asked = {name: value for name, value in given.items() if name in _TOLD}
        done = {name: value for name, value in given.items() if name not in _TOLD}
        if done.keys() - presets.BESIDE:
            done = {name: value for name, value in self._presets.applied(done).items() if name not in _OF_FILES}
            done = dict(hints.followed(done, ANYONE, enabled=False)[0])
        return order.recipe(done | asked, self._terms, (description.DESCRIBE,))


def _object(rest: str) -> str:
    """``bucket/key`` of an ``s3`` source; which of them may be read, and whether it is a key, its store knows."""
    bucket, slash, key = rest.removeprefix("//").partition("/")
    if not (rest.startswith("//") and bucket and slash and key):
        raise BadOption("source: s3://bucket/key")
    return f"{bucket}/{key}"


def split(query: bytes) -> dict[str, str]:
    """Cut a raw query into long names and once-decoded values."""
    return cut(query, _LONG)


def _tags(text: str) -> tuple[str, ...]:
    tags = text.split(",", MAX_TAGS)
    if len(tags) > MAX_TAGS:
        raise BadOption(f"tags: more than {MAX_TAGS}")
    if not all(map(is_tag, tags)):
        raise BadOption("tags: each is 1 to 64 of A-Z a-z 0-9 _ . : - and begins with a letter or a digit")
    if len(set(tags)) < len(tags):
        raise BadOption("tags: one is given twice")
    return tuple(sorted(tags))
