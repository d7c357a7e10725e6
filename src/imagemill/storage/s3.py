"""Keep objects in a bucket of S3, or of anything that speaks its API, through OpenDAL.

Keys     as `storage.base.split`, below `prefix`; 1024 bytes at most with it, and no space at either end, which OpenDAL
         would cut off and so make one key of two.
Units    sizes in bytes; an etag is the store's own, with its quotes.
Errors   `BadRequest`; reading: `SourceNotFound`, `SourceTooLarge`, `SourceTruncated` (another object since it was
         looked at), `SourceForbidden` (we are denied); writing: `StoreRefused`, `StoreCorrupt`; `DependencyDown`: it
         failed or is away; `SettingsError`.
Source   OpenDAL 0.47 maps S3's errors to its classes; 403 is `PermissionDenied`, 404 `NotFound`, a missing bucket also
         `ConfigInvalid`, 412 `ConditionNotMatch`. S3 API reference (2026-11): keys, parts of 5 MiB at least, signatures
         for a week at most. PyO3/pyo3-async-runtimes issue 40: a thread of OpenDAL's that still wants to tell Python
         of a result while the interpreter ends, ends the process by SIGABRT.
"""

import atexit
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs
from opendal import AsyncOperator
from opendal import exceptions as foreign
from opendal.options import WriteKwargs
from opendal.types import Metadata

from imagemill.model.entry import Validators
from imagemill.model.errors import BadRequest, SettingsError, SourceError, SourceNotFound, StoreCorrupt, StoreRefused
from imagemill.settings import MiB, Seconds, Secret
from imagemill.storage import whole
from imagemill.storage.base import MAX_URL_S, NONE_KNOWN, Blob, Opened, Stat, Terms, Unchanged, split
from imagemill.storage.opendal_streams import Staging, as_destination, as_source, reading
from imagemill.storage.public import below, is_base
from imagemill.storage.whole import Tally

_UNFINISHED = ".unfinished"
DIGEST = "sha256"
"""User metadata that holds a body's SHA-256: ``x-amz-meta-sha256``."""
_UNKNOWN = "unknown"
"""Noted where it was not known ahead; where nothing is noted a server may keep what was noted of the object before."""
_MAX_KEY_BYTES = 1024
_LAST_WORDS_S = 0.05
"""One exit in five ended in SIGABRT where it came right after a call, none of 150 after such a pause."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """``[storage.<name>]`` with ``kind = "s3"``: a bucket of S3 or of anything that speaks its API."""

    bucket: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]\Z")]
    """Its name."""
    kind: Literal["s3"] = "s3"
    """This one."""
    prefix: str = ""
    """Folder in the bucket that this store is; nothing outside it is reachable. Empty = the whole bucket."""
    region: str = ""
    """That requests are signed for. Empty = ``AWS_REGION``, which then must be set."""
    endpoint: str = ""
    """``https://host[:port]``. Empty = Amazon's of the region."""
    public_endpoint: str = ""
    """The same for presigned addresses, where callers reach the store by another name. Empty = `endpoint`."""
    addressing: Literal["path", "virtual_host"] = "path"
    """Whether the bucket stands in the path, or before the host's name."""
    access_key_id: Secret = Secret()
    """Empty = what the environment, the profile, a web identity or the machine's role give."""
    secret_access_key: Secret = Secret()
    """Together with `access_key_id`."""
    session_token: Secret = Secret()
    """Where these are temporary."""
    profile: str = ""
    """In the AWS credentials file, where the environment holds no key. Empty = ``AWS_PROFILE``, or ``default``."""
    anonymous: bool = False
    """Sign nothing: for public buckets."""
    sources: bool | None = None
    """Whether ``source=s3://<bucket>/<key>`` and ``local:<name>/<key>`` may read it; not set = where `write` is off."""
    write: bool = False
    """Whether jobs may store results here."""
    checksum: Literal["crc32c", "md5", "none"] = "crc32c"
    """Sent with every write; the store refuses what arrived otherwise."""
    read_back: bool = False
    """Whether what was written is read again and compared, instead of its size and noted digest alone."""
    part_bytes: Annotated[int, Meta(ge=5 * MiB, le=1024 * MiB)] = 8 * MiB
    """Larger bodies are sent in parts of this size, four at a time."""
    timeout_s: Seconds = 10.0
    """Of one attempt."""
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    """Made where the store fails in a way that may pass."""

    def __post_init__(self) -> None:
        """Refuse what no request could be made with."""
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise SettingsError("access_key_id and secret_access_key: both or neither")
        if self.session_token and not self.access_key_id:
            raise SettingsError("session_token needs access_key_id")
        if self.anonymous and (self.access_key_id or self.profile):
            raise SettingsError("anonymous: not together with credentials")
        for name in ("endpoint", "public_endpoint"):
            url = getattr(self, name)
            if url and not is_base(url):
                raise SettingsError(f"{name} is http:// or https:// and a host")
        try:
            _names(self.prefix)
        except BadRequest as e:
            raise SettingsError(f"prefix: {e}") from e


class S3Store:
    """A bucket, or a folder in it, seen as a store."""

    def __init__(self, settings: Settings) -> None:
        atexit.unregister(_let_threads_finish)
        atexit.register(_let_threads_finish)
        self._settings = settings
        self._prefix = _names(settings.prefix)
        self._bucket = _operator(settings, settings.endpoint)
        self._staging = Staging(self._bucket, "/".join((*self._prefix, _UNFINISHED)), settings.part_bytes)
        self._signer = _operator(settings, settings.public_endpoint) if settings.public_endpoint else self._bucket

    async def get(self, key: str, /, *, limit: int, known: Validators = NONE_KNOWN) -> Blob | Unchanged:
        """Read one object whole, refusing it by size before reading it: two requests, which see the same object."""
        return await whole.get(self, key, limit=limit, known=known)

    @asynccontextmanager
    async def open(self, key: str, /, *, known: Validators = NONE_KNOWN) -> AsyncIterator[Opened | Unchanged]:
        """Look at one object, and read it in one more request when its first chunk is asked for."""
        path = self._path(key)
        with as_source():
            seen = await self._bucket.stat(path)
        if not seen.is_file:
            raise SourceNotFound("no such object")
        if _is_known(seen, known):
            yield Unchanged()
        else:
            async with reading(self._bucket, path, seen) as chunks:
                yield Opened(_stat(seen), chunks)

    async def put(self, key: str, body: bytes, /, terms: Terms) -> Stat:
        """Write one object, in parts where it is large; what lies there afterwards is compared."""
        return await whole.put(self, key, body, terms)

    async def write(self, key: str, chunks: AsyncIterable[bytes], /, terms: Terms) -> Stat:
        """Write one object, in parts where it is large; what lies there afterwards is compared.

        Of a large one the digest is noted only where *terms* name it: it goes ahead of the bytes.
        """
        path = self._path(key)
        if not self._settings.write:
            raise StoreRefused("this store is not written to")
        rest, tally = aiter(chunks), Tally()
        ahead = await whole.first(rest, self._settings.part_bytes)
        if sum(map(len, ahead)) <= self._settings.part_bytes:
            await self._write_at_once(path, b"".join(ahead), terms, tally)
            return await self._verified(path, tally, noted=tally.sha256)
        await self._write_in_parts(path, _chained(ahead, rest), terms, tally)
        return await self._verified(path, tally, noted=terms.sha256)

    async def stat(self, key: str, /) -> Stat | None:
        """What lies at *key*; its digest is the one that was noted when it was written."""
        path = self._path(key)
        with as_destination():
            found = await self._look(path)
        return found and _stat(found)

    def address(self, key: str, /) -> str:
        """``s3://bucket/prefix/key``."""
        return f"s3://{self._settings.bucket}/{self._path(key)}"

    async def url(self, key: str, /, *, good_for_s: int) -> str | None:
        """A presigned address; a plain one where the bucket is read anonymously."""
        path = self._path(key)
        if self._settings.anonymous:
            return self._plain(path)
        with as_destination():
            signed = await self._signer.presign_read(path, max(1, min(good_for_s, MAX_URL_S)))
        return signed.url

    async def check(self) -> None:
        """List one object at most."""
        with as_destination():
            await self._bucket.check()

    async def _write_at_once(self, path: str, body: bytes, terms: Terms, tally: Tally) -> None:
        await tally.add(body)
        tally.judge(terms.sha256)
        with as_destination():
            await self._bucket.write(path, body, **_kept(terms, tally.sha256))

    async def _write_in_parts(self, path: str, chunks: AsyncIterator[bytes], terms: Terms, tally: Tally) -> None:
        async with self._staging.sending(path, _kept(terms, terms.sha256)) as send:
            async for chunk in chunks:
                await tally.add(chunk)
                await send(chunk)
            tally.judge(terms.sha256)

    async def _verified(self, path: str, tally: Tally, *, noted: str) -> Stat:
        with as_destination():
            found = await self._look(path)
            there = found and (await self._read_again(path, found) if self._settings.read_back else _stat(found))
        sha256 = tally.sha256 if self._settings.read_back else noted
        if there is None or (there.body_bytes, there.sha256) != (tally.body_bytes, sha256):
            words = "nothing" if there is None else f"{there.body_bytes} bytes"
            raise StoreCorrupt(f"{tally.body_bytes} bytes were written, and {words} or others lie there")
        return structs.replace(there, sha256=tally.sha256)

    async def _read_again(self, path: str, found: Metadata) -> Stat:
        tally = Tally()
        try:
            async with reading(self._bucket, path, found) as chunks:
                async for chunk in chunks:
                    await tally.add(chunk)
        except SourceError as e:
            raise StoreCorrupt("what was written was replaced before it could be read again") from e
        return structs.replace(_stat(found), body_bytes=tally.body_bytes, sha256=tally.sha256)

    async def _look(self, path: str) -> Metadata | None:
        try:
            return await self._bucket.stat(path)
        except foreign.NotFound:
            return None

    def _plain(self, path: str) -> str | None:
        endpoint = self._settings.public_endpoint or self._settings.endpoint
        if not endpoint:
            return None
        if self._settings.addressing == "virtual_host":
            endpoint = endpoint.replace("://", f"://{self._settings.bucket}.", 1)
            return below(endpoint, path.split("/"))
        return below(endpoint, [self._settings.bucket, *path.split("/")])

    def _path(self, key: str) -> str:
        names = split(key)
        if names[0] == _UNFINISHED:
            raise BadRequest(f"not a key of this store: {_UNFINISHED} is where it collects large objects")
        path = "/".join((*self._prefix, *names))
        try:
            size = len(path.encode())
        except UnicodeEncodeError as e:
            raise BadRequest("not a key: not Unicode") from e
        if size > _MAX_KEY_BYTES or path != path.strip():
            raise BadRequest(f"not a key of this store: more than {_MAX_KEY_BYTES} bytes, or a space at an end")
        return path


def _let_threads_finish() -> None:
    time.sleep(_LAST_WORDS_S)


def place(settings: Settings) -> str:
    """``<bucket>`` or ``<bucket>/<prefix>``: what ``s3://`` sources in this store begin with."""
    return "/".join((settings.bucket, *_names(settings.prefix)))


def _operator(settings: Settings, endpoint: str) -> AsyncOperator:
    given = {
        "bucket": settings.bucket,
        "region": settings.region,
        "endpoint": endpoint,
        "access_key_id": settings.access_key_id,
        "secret_access_key": settings.secret_access_key,
        "session_token": settings.session_token,
        "profile": settings.profile,
        "checksum_algorithm": "" if settings.checksum == "none" else settings.checksum,
        "enable_virtual_host_style": "true" if settings.addressing == "virtual_host" else "",
        "skip_signature": "true" if settings.anonymous else "",
        # with keys at hand nobody asks the machine for others
        "disable_ec2_metadata": "true" if settings.access_key_id else "",
    }
    try:
        return AsyncOperator("s3", **{name: str(value) for name, value in given.items() if value})
    except foreign.ConfigInvalid as e:
        # with a bucket and well-formed endpoints, the region is all that can be missing
        raise SettingsError("region is missing; set it, or AWS_REGION") from e


def _names(prefix: str) -> list[str]:
    return split(prefix.strip("/")) if prefix.strip("/") else []


def _is_known(seen: Metadata, known: Validators) -> bool:
    """Whether *seen* is what *known* tells: by its etag; by its date only where the store has none."""
    if known.etag or seen.etag:
        return known.etag == seen.etag
    return 0 < known.last_modified_s == _changed_s(seen)


def _stat(seen: Metadata) -> Stat:
    noted = (seen.user_metadata or {}).get(DIGEST, _UNKNOWN)
    return Stat(seen.content_length, "" if noted == _UNKNOWN else noted, seen.etag or "", _changed_s(seen))


def _kept(terms: Terms, digest: str) -> WriteKwargs:
    kept = WriteKwargs(content_type=terms.media_type, user_metadata={DIGEST: digest or _UNKNOWN})
    if terms.cache_control:
        kept["cache_control"] = terms.cache_control
    return kept


async def _chained(ahead: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while ahead:  # each is let go when it is taken
        yield ahead.pop(0)
    async for chunk in rest:
        yield chunk


def _changed_s(seen: Metadata) -> int:
    return int(seen.last_modified.timestamp()) if seen.last_modified else 0
