"""From the JSON of ``POST /jobs`` to a `JobSpec`: all that the text alone can tell; the rest is `service.admission`.

Fields   `FIELDS`; of a rendition `RENDITION_FIELDS`, with either ``params`` (native parameters, as text of a query or
         as an object) or ``recipe`` (tagged operations, see `model.recipe`).
Units    ``delay`` and ``ttl`` seconds; ``not_before`` and ``deadline`` are moments: RFC 3339 text or Unix seconds.
Errors   as for the same rendition streamed at once, and `BadOption` with the field's path.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Raw

from imagemill.dialects.base import Dialect
from imagemill.model.errors import (
    BadOption,
    BadRequest,
    ImagemillError,
    LimitExceeded,
    UnsupportedSourceType,
)
from imagemill.model.job import MAX_PRIORITY, NO_METADATA, Callback, Event, JobSpec, Wanted
from imagemill.model.media import READABLE, SOURCE_TYPES, Format
from imagemill.model.recipe import Describe, Encode, Recipe, renamed
from imagemill.model.request import MAX_TAGS, ImageRequest, SourceRef, is_tag
from imagemill.plan.lifetime import allowed_ttl
from imagemill.plan.prepare import check, prepare
from imagemill.service import keys
from imagemill.service.bodies import Fields, at, fields, items, metadata, named, read, recipe
from imagemill.settings import Settings

FIELDS = (
    "source", "type", "renditions", "destination", "warm", "callback", "priority", "not_before", "delay", "deadline",
    "retries", "ttl", "tags", "metadata",
)  # fmt: skip
RENDITION_FIELDS = ("name", "params", "recipe", "key")
_TIMES = ("not_before", "delay", "deadline")
_OF_THE_JOB = {
    "source": "source", "src": "source", "ttl": "ttl", "tags": "tags", "expires": "", "exp": "",
    "filename": "", "fn": "", "attachment": "", "att": "",
}  # fmt: skip
"""Parameters of a URL that a rendition of a job has not: where the job has them, if it has."""
_VIDEO = frozenset(
    {"3g2", "3gp", "asf", "avi", "f4v", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mts", "mxf"}
    | {"ogv", "rm", "rmvb", "ts", "vob", "webm", "wmv"}
)
_READ = tuple(name for format_, name in SOURCE_TYPES.items() if format_ in READABLE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EVENTS = (Event.ACCEPTED, Event.PROGRESS, Event.RENDITION, Event.SUCCEEDED, Event.FAILED)
_MAX_RETRIES = 20
_MAX_PREFIX_CHARS = 512
_MAX_TEMPLATE_CHARS = 1024
_Moment = Annotated[datetime, Meta(tz=True)] | float
_Priority = Annotated[int, Meta(ge=0, le=MAX_PRIORITY)]
_Value: Any = str | int | float | bool
_Retries = Annotated[int, Meta(ge=0, le=_MAX_RETRIES)]


class Reader:
    """Jobs that come together at *now_s*; those of a schedule are not *timed* themselves. What repeats is read once."""

    def __init__(self, dialect: Dialect, settings: Settings, now_s: float, *, timed: bool = True) -> None:
        self._dialect = dialect
        self._settings = settings
        self._now_s = now_s
        self._timed = timed
        self._renditions: dict[tuple[bytes, ...], tuple[Wanted, ...]] = {}

    @property
    def batch_renditions(self) -> int:
        """So many may jobs that come together have."""
        return self._settings.jobs.batch_renditions

    def spec(self, given: Fields) -> JobSpec:
        """The job that *given* describes, whatever the world thinks of it."""
        source = self._source(given)
        store, prefix = self._destination(given)
        warm = bool("warm" in given and read(given["warm"], "warm", bool))
        if "renditions" not in given:
            raise BadOption("renditions: missing")
        not_before_s, deadline_s = self._times(given)
        jobs = self._settings.jobs
        return JobSpec(
            source=source,
            renditions=self._wanted(given["renditions"], prefix, store=store, warm=warm),
            store=store,
            warm=warm,
            callback=self._callback(given),
            priority=read(given["priority"], "priority", _Priority) if "priority" in given else 0,
            not_before_s=not_before_s,
            deadline_s=deadline_s,
            retries=read(given["retries"], "retries", _Retries) if "retries" in given else jobs.retries,
            ttl_s=self._ttl(given),
            tags=tags_of(given),
            metadata=metadata_of(given, jobs.metadata_bytes),
        )

    def _source(self, given: Fields) -> SourceRef:
        if "source" not in given:
            raise BadOption("source: missing")
        address = read(given["source"], "source", str)
        try:
            source = self._dialect.parse(b"source=" + _quoted(address)).source
        except BadRequest as e:
            raise at(e, "source") from e
        if "type" in given and (kind := read(given["type"], "type", str)) not in _READ:
            raise UnsupportedSourceType(f"type: {kind[:80]} is not read; {', '.join(_READ)} are")
        _refuse_video(source)
        return source

    def _destination(self, given: Fields) -> tuple[str, str]:
        if "destination" not in given:
            return "", ""
        found = fields(given["destination"], "destination", ("store", "prefix"))
        if "store" not in found:
            raise BadOption("destination.store: missing")
        prefix = read(found["prefix"], "destination.prefix", str) if "prefix" in found else ""
        if len(prefix) > _MAX_PREFIX_CHARS:
            raise BadOption(f"destination.prefix: {len(prefix)} characters; {_MAX_PREFIX_CHARS} at most")
        keys.check(prefix, "destination.prefix")
        return read(found["store"], "destination.store", str), prefix

    def _wanted(self, raw: Raw, prefix: str, *, store: str, warm: bool) -> tuple[Wanted, ...]:
        """The renditions; the same text means the same, whatever the source."""
        mark = (bytes(raw), prefix.encode(), store.encode(), b"%d" % warm)
        if mark not in self._renditions:
            found = items(raw, "renditions")
            if len(found) > (most := self._settings.jobs.max_renditions):
                raise LimitExceeded("renditions", f"renditions: {len(found)} > {most}")
            if not found:
                raise BadOption("renditions: at least one is wanted")
            wanted = tuple(
                self._rendition(one, f"renditions[{n}]", prefix, store=store, warm=warm) for n, one in enumerate(found)
            )
            if len({one.name for one in wanted}) < len(wanted):
                raise BadOption("renditions: two have the same name")
            if store:
                keys.check_apart(wanted)
            self._renditions[mark] = wanted
        return self._renditions[mark]

    def _rendition(self, raw: Raw, where: str, prefix: str, *, store: str, warm: bool) -> Wanted:
        given = fields(raw, where, RENDITION_FIELDS)
        name = read(given["name"], f"{where}.name", str) if "name" in given else ""
        if not _NAME.fullmatch(name):
            raise BadOption(f"{where}.name: 1 to 64 of A-Z a-z 0-9 . _ - are wanted, a letter or digit first")
        template = read(given["key"], f"{where}.key", str) if "key" in given else keys.DEFAULT
        if "key" in given and not store:
            raise BadOption(f"{where}.key: needs a destination")
        if len(template) > _MAX_TEMPLATE_CHARS:
            raise BadOption(f"{where}.key: {len(template)} characters; {_MAX_TEMPLATE_CHARS} at most")
        keys.check(template, f"{where}.key")
        try:
            steps = self._recipe(given, where)
        except ImagemillError as e:
            if not str(e).startswith(where):
                at(e, where)
            raise
        _check_format(steps, where, warm=warm)
        return Wanted(name, steps, prefix + template if store else "")

    def _recipe(self, given: Fields, where: str) -> Recipe:
        """As for a request of the same rendition, checked by the same limits."""
        if "params" in given and "recipe" in given:
            raise BadOption(f"{where}.recipe: not together with params")
        steps = self._tagged(given, where) if "recipe" in given else self._native(given, where)
        return prepare(ImageRequest(_ANY, steps), self._settings.limits).recipe

    def _tagged(self, given: Fields, where: str) -> Recipe:
        """A recipe as it stands, its layers' sources in the spelling that all know them by."""
        steps = recipe(given["recipe"], f"{where}.recipe")
        check(steps, self._settings.limits)  # before anything goes as deep as it does
        return renamed(steps, self._named)

    def _named(self, source: SourceRef) -> SourceRef:
        found = self._dialect.parse(b"source=" + _quoted(source.text)).source
        if found.scheme != source.scheme:
            raise BadOption(f"layer: {source.scheme[:20]!r} is not the scheme of {source.address[:40]!r}")
        return found

    def _native(self, given: Fields, where: str) -> Recipe:
        params = given.get("params", Raw(b'""'))
        query = "&".join(_parameters(params, f"{where}.params"))
        request = self._dialect.parse(b"source=" + _quoted(_ANY.address) + b"&" * bool(query) + _raw(query))
        if request.vary:
            raise BadOption(f"{where}.params: auto goes by what a client says of itself, and a job has none")
        return request.recipe

    def _times(self, given: Fields) -> tuple[float, float | None]:
        for name in _TIMES:
            if name in given and not self._timed:
                raise BadOption(f"{name}: a schedule has its own times")
        if "not_before" in given and "delay" in given:
            raise BadOption("delay: not together with not_before")
        not_before_s = 0.0
        if "not_before" in given:
            not_before_s = self._moment(given["not_before"], "not_before")
        elif "delay" in given:
            not_before_s = self._now_s + read(given["delay"], "delay", Annotated[float, Meta(ge=0)])
        self._check_ahead("not_before" if "not_before" in given else "delay", not_before_s)
        deadline_s = self._moment(given["deadline"], "deadline") if "deadline" in given else None
        if deadline_s is not None:
            self._check_ahead("deadline", deadline_s)
            if deadline_s <= max(self._now_s, not_before_s):
                raise BadOption("deadline: it is over before the job may begin")
        return not_before_s, deadline_s

    def _moment(self, raw: Raw, where: str) -> float:
        moment = read(raw, where, _Moment)
        return moment.timestamp() if isinstance(moment, datetime) else max(0.0, moment)

    def _check_ahead(self, name: str, moment_s: float) -> None:
        if moment_s - self._now_s > (most := self._settings.jobs.max_ahead_s):
            raise LimitExceeded("ahead", f"{name}: {moment_s - self._now_s:.0f} > {most} seconds ahead")

    def _ttl(self, given: Fields) -> int | None:
        return allowed_ttl(read(given["ttl"], "ttl", int), self._settings.limits) if "ttl" in given else None

    def _callback(self, given: Fields) -> Callback | None:
        if "callback" not in given:
            return None
        found = fields(given["callback"], "callback", ("url", "secret", "events"))
        url, secret = _whom(found)
        if "events" not in found:
            return Callback(url, secret)
        asked = read(found["events"], "callback.events", list[str])
        if unknown := set(asked) - set(_EVENTS):
            raise BadOption(f"callback.events: {min(unknown)[:40]!r} is none of {', '.join(_EVENTS)}")
        if not asked or len(set(asked)) < len(asked):
            raise BadOption("callback.events: each once, and at least one, is wanted")
        return Callback(url, secret, tuple(Event(name) for name in sorted(asked)))


_ANY = SourceRef("https", "https://example.com/")


def tags_of(given: Fields) -> tuple[str, ...]:
    """The field ``tags``: as in requests, sorted."""
    if "tags" not in given:
        return ()
    found = read(given["tags"], "tags", list[str])
    if len(found) > MAX_TAGS:
        raise BadOption(f"tags: {len(found)}; {MAX_TAGS} at most")
    if not all(map(is_tag, found)):
        raise BadOption("tags: each is 1 to 64 of A-Z a-z 0-9 _ . : - and begins with a letter or a digit")
    if len(set(found)) < len(found):
        raise BadOption("tags: one is given twice")
    return tuple(sorted(found))


def metadata_of(given: Fields, most_bytes: int) -> Raw:
    """The field ``metadata``, as it came."""
    if "metadata" not in given:
        return NO_METADATA
    size = len(bytes(given["metadata"]))
    if size > most_bytes:
        raise LimitExceeded("metadata_bytes", f"metadata: {size} > {most_bytes} bytes")
    return metadata(given["metadata"], "metadata")


def summary_of(given: Fields) -> Callback | None:
    """The field ``callback`` of a batch: it is told of one thing only."""
    if "callback" not in given:
        return None
    url, secret = _whom(fields(given["callback"], "callback", ("url", "secret")))
    return Callback(url, secret, (Event.FINISHED,))


def _whom(found: Fields) -> tuple[str, str]:
    for name in ("url", "secret"):
        if name not in found:
            raise BadOption(f"callback.{name}: missing")
    return read(found["url"], "callback.url", str), read(found["secret"], "callback.secret", str)


def _refuse_video(source: SourceRef) -> None:
    path = source.address.partition("?")[0]
    _, dot, extension = path.rpartition("/")[2].rpartition(".")
    if dot and extension.lower() in _VIDEO:
        raise UnsupportedSourceType(f"source: video (.{extension.lower()}) is not read")


def _check_format(steps: Recipe, where: str, *, warm: bool) -> None:
    *before, last = steps
    if any(isinstance(op, Describe) for op in steps):
        raise BadOption(f"{where}.recipe: jobs make pictures; what is told of one is answered by GET /info")
    if any(isinstance(op, Encode) for op in before):
        raise BadOption(f"{where}.recipe: encode comes last, and once")
    assert isinstance(last, Encode)
    if last.format is Format.AUTO:
        raise BadOption(f"{where}: format auto goes by a client's Accept header, and a job has none; name a format")
    if warm and last.format is Format.KEEP:
        raise BadOption(f"{where}: warm needs a named format")


def _parameters(raw: Raw, where: str) -> Iterator[str]:
    """Native parameters, each as it stands in a query."""
    if bytes(raw).startswith(b"{"):
        found = named(raw, where, _Value)
        pairs = [f"{_quoted(name).decode()}={_quoted(_word(value)).decode()}" for name, value in found.items()]
    else:
        text = read(raw, where, str)
        pairs = text.split("&") if text else []
    for pair in pairs:
        name = pair.partition("=")[0]
        if name in _OF_THE_JOB:
            own = _OF_THE_JOB[name]
            raise BadOption(f"{where}.{name}: " + (f"it is the job's, as {own}" if own else "a job has none"))
        yield pair


def _word(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _quoted(text: str) -> bytes:
    return quote(_raw(text), safe="").encode()


def _raw(text: str) -> bytes:
    """As it would come in a URL; what is no text is left to the dialect to refuse."""
    return text.encode("utf-8", "surrogatepass")
