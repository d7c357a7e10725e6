"""Templates of the keys that results are stored under: read and judged at submission, filled in when a result is there.

Keys     ``{digest}`` 32 hex digits of source and recipe, ``{source}`` of the source alone, ``{name}`` and ``{index}``
         of the rendition (the first is 0), ``{job}``, ``{tenant}``, ``{ext}`` as its format has it, ``{yyyy}``,
         ``{mm}``, ``{dd}`` of the day (UTC) on which the job was accepted. What they yield is a key of
         `storage.base.split` of at most 1024 bytes.
Errors   `BadOption` names the rendition.
Source   S3: object keys are 1 to 1024 bytes of UTF-8 (AWS, "Naming Amazon S3 objects", 2026-11).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from imagemill.model.errors import BadOption, BadRequest
from imagemill.model.job import Job, Wanted
from imagemill.model.keys import result_key, source_key
from imagemill.model.media import EXTENSIONS, Format
from imagemill.model.recipe import Encode
from imagemill.model.request import SourceRef
from imagemill.storage.base import split

DEFAULT = "{job}/{name}.{ext}"
MAX_KEY_BYTES = 1024
FIELDS = ("digest", "source", "name", "index", "job", "tenant", "ext", "yyyy", "mm", "dd")
_DIGEST_CHARS = 32
_PART = re.compile(r"\{([a-z]+)\}")
_NEVER = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\\{}]")


class Facts(Struct, frozen=True):
    """What all keys of one job have in common."""

    source: SourceRef
    job: str
    tenant: str
    created_s: float

    @classmethod
    def of(cls, job: Job) -> "Facts":
        """Those of an accepted job."""
        return cls(job.spec.source, job.id, job.tenant, job.times.created_s)


_SUPPOSED = Facts(SourceRef("https", "https://example.com/"), "0" * 32, "t" * 64, 0.0)


def check(template: str, where: str) -> None:
    """Refuse a template that has unknown fields or characters that no key should have."""
    for field in _PART.findall(template):
        if field not in FIELDS:
            raise BadOption(f"{where}: {{{field}}} is none of {', '.join(FIELDS)}")
    if _NEVER.search(_PART.sub("", template)):
        raise BadOption(f"{where}: control characters, backslash and unpaired braces are refused")


def check_apart(renditions: Sequence[Wanted]) -> None:
    """Refuse keys that are none, are the same, or lie one below the other, whatever format the source turns out to be.

    Jobs differ in what all keys of one have in common, so it is judged once for whatever job they become part of.
    """
    owners: dict[str, str] = {}
    for index, wanted in enumerate(renditions):
        for format_ in _formats(wanted):
            key = _checked(wanted, index, format_)
            if owners.setdefault(key, wanted.name) != wanted.name:
                raise BadOption(f"renditions: {owners[key]} and {wanted.name} may get the same key, {key}")
    for key, name in owners.items():
        parts = key.split("/")
        for n in range(1, len(parts)):
            if above := owners.get("/".join(parts[:n])):
                raise BadOption(f"renditions: the key of {name} may lie below that of {above}")


def resolve(wanted: Wanted, index: int, format_: Format, facts: Facts) -> str:
    """The key of one rendition, number *index* of its job, once its format is known."""
    day = datetime.fromtimestamp(facts.created_s, UTC)
    values = {
        "digest": result_key(facts.source, wanted.recipe, wanted.candidates)[:_DIGEST_CHARS],
        "source": source_key(facts.source)[:_DIGEST_CHARS],
        "name": wanted.name,
        "index": str(index),
        "job": facts.job,
        "tenant": facts.tenant,
        "ext": EXTENSIONS[format_],
        "yyyy": f"{day:%Y}",
        "mm": f"{day:%m}",
        "dd": f"{day:%d}",
    }
    return _PART.sub(lambda found: values[found[1]], wanted.key)


def _checked(wanted: Wanted, index: int, format_: Format) -> str:
    key = resolve(wanted, index, format_, _SUPPOSED)
    try:
        split(key)
    except BadRequest as e:
        raise BadOption(f"renditions: the key of {wanted.name}, {key[:80]!r}, is none: {e}") from e
    if (size := len(key.encode("utf-8", "surrogatepass"))) > MAX_KEY_BYTES:
        raise BadOption(f"renditions: the key of {wanted.name} is {size} bytes; {MAX_KEY_BYTES} at most")
    return key


def _formats(wanted: Wanted) -> Sequence[Format]:
    match wanted.recipe[-1]:
        case Encode(format=format_) if format_ in EXTENSIONS:
            return (format_,)
    return tuple(EXTENSIONS)
