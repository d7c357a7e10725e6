"""Which files of a folder are to be rendered, and under which names; and what is to be said of the others.

Memory   as `folder.tree`, and the names that one folder's pictures will have.
Errors   none: what is wrong with a file is a `Failure` of its own.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_ISREG

from msgspec import Struct

from imagemill.engines.headers import probe, sniff
from imagemill.folder.names import Naming, promised
from imagemill.folder.place import Misplaced, Place
from imagemill.folder.report import Failure
from imagemill.folder.tree import Entered, File, Hidden, Link, Met, Other, Parts, Unlisted
from imagemill.model.errors import ImageCorrupt, SourceTooLarge, UnsupportedSourceType
from imagemill.model.media import Format, kept

_HEAD_BYTES = 256
_LOOKED_INTO = {Format.PNG: 64 * 1024, Format.HEIC: 1024 * 1024, Format.JXL: 1024 * 1024}
"""Bytes in which a PNG says that it moves, and others that they have transparency."""
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Candidate(Struct, frozen=True):
    """A picture to render."""

    parts: Parts
    name: str
    out: str
    """What its rendition is called, in the folder of the same parts."""

    @property
    def shown(self) -> str:
        """As a reader knows it."""
        return "/".join((*self.parts, self.name))


class Kept(Struct, frozen=True):
    """A picture whose rendition is there."""


class NotPicture(Struct, frozen=True):
    """A file that neither its name nor its first bytes call a picture."""

    file: str


Finding = Candidate | Kept | NotPicture | Link | Hidden | Failure


class Candidates:
    """Judges what a walk meets."""

    def __init__(self, root: Path, place: Place, naming: Naming, wanted: Format, *, over: bool) -> None:
        self._root = root
        self._place = place
        self._naming = naming
        self._wanted = wanted
        self._over = over
        self._taken: dict[str, str] = {}

    def among(self, met: Iterable[Met]) -> Iterator[Finding]:
        """One finding for each thing *met* that is no folder, and for each folder that cannot be listed."""
        for one in met:
            match one:
                case Entered():
                    self._taken = {}
                    self._place.sweep(one.parts)
                case File():
                    yield self._judged(one)
                case Other():
                    yield NotPicture("")
                case Unlisted():
                    yield Failure("/".join(one.parts) or ".", "unreadable", one.reason)
                case Link() | Hidden():
                    yield one

    def _judged(self, file: File) -> Finding:
        shown = "/".join((*file.parts, file.name))
        try:
            path = self._root.joinpath(*file.parts, file.name)
            is_a = sniff(read(path, _HEAD_BYTES, whole=False))
            made = _kept(path, is_a) if self._wanted is Format.KEEP else self._wanted
        except OSError as e:
            return Failure(shown, "unreadable", e.strerror or str(e))
        except UnsupportedSourceType as e:
            return Failure(shown, e.code, str(e)) if promised(file.name) else NotPicture(shown)
        out = self._naming.of(file.name, is_a, made)
        if (other := self._taken.setdefault(out, file.name)) != file.name:
            return Failure(shown, "name_taken", f"{out} is made of {other}; --name '{{name}}.{{ext}}' keeps them apart")
        try:
            there = not self._over and self._place.has(file.parts, out)
        except (OSError, Misplaced) as e:
            return Failure(shown, "not_written", _words(e))
        return Kept() if there else Candidate(file.parts, file.name, out)


def _kept(path: Path, is_a: Format) -> Format:
    """What ``keep`` will make of a file: for some formats that depends on more than its first bytes."""
    if is_a not in _LOOKED_INTO:
        return kept(is_a, has_alpha=False)
    try:
        info = probe(read(path, _LOOKED_INTO[is_a], whole=False))
    except (ImageCorrupt, UnsupportedSourceType):  # its render will tell
        return kept(is_a, has_alpha=False)
    return kept(info.format, has_alpha=info.has_alpha)


def read(path: Path, limit: int, *, whole: bool = True) -> bytes:
    """The first *limit* bytes of a regular file; if the *whole* is wanted, `SourceTooLarge` where there are more."""
    descriptor = os.open(path, _FLAGS)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor is no path
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file any more")
        body = bytearray()
        while len(body) <= limit and (chunk := file.read(limit + 1 - len(body))):
            body += chunk
    if whole and len(body) > limit:
        raise SourceTooLarge(f"more than limits.source_bytes, {limit} bytes")
    return bytes(body[:limit])


def _words(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
