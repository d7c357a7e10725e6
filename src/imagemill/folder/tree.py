"""Walk a folder of sources: one folder's names are held at a time, however many files there are below.

Order    by name, folders after the files beside them; so two walks over the same tree go the same way.
Links    are not followed, neither to files nor to folders: so nothing is met twice, and no loop is entered.
Errors   none: a folder that cannot be listed is told as `Unlisted`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

Parts = tuple[str, ...]
"""A folder below the root, by the names on the way there."""
Identity = tuple[int, int]
"""Device and inode."""


class Entered(Struct, frozen=True):
    """A folder, before what is in it."""

    parts: Parts


class File(Struct, frozen=True):
    """A regular file."""

    parts: Parts
    name: str


class Link(Struct, frozen=True):
    """A symbolic link, to whatever."""


class Hidden(Struct, frozen=True):
    """A file or folder whose name begins with a dot."""


class Other(Struct, frozen=True):
    """A pipe, a socket or a device: never opened."""


class Unlisted(Struct, frozen=True):
    """A folder that cannot be listed."""

    parts: Parts
    reason: str


Met = Entered | File | Link | Hidden | Other | Unlisted


def identity(path: Path | int) -> Identity:
    """What a folder is known by, under whatever name."""
    stat = os.stat(path)  # noqa: PTH116 - a descriptor is no path
    return stat.st_dev, stat.st_ino


def walk(root: Path, without: Identity) -> Iterator[Met]:
    """All that is below *root*, but for the folder *without*."""
    pending: list[Parts] = [()]
    while pending:
        parts = pending.pop()
        try:
            with os.scandir(root.joinpath(*parts)) as entries:
                names = sorted((entry.name, _kind(entry, without)) for entry in entries)
        except OSError as e:
            yield Unlisted(parts, e.strerror or str(e))
            continue
        yield Entered(parts)
        for name, kind in names:
            match kind:
                case "file":
                    yield File(parts, name)
                case "hidden":
                    yield Hidden()
                case "link":
                    yield Link()
                case "other":
                    yield Other()
        pending.extend((*parts, name) for name, kind in reversed(names) if kind == "folder")


def _kind(entry: os.DirEntry[str], without: Identity) -> str:
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        ours = entry.inode() == without[1] and entry.stat(follow_symlinks=False).st_dev == without[0]
        return "ours" if ours else "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "other"
