"""The faces that texts may be written in: those of configured folders, then those that ship with imagemill.

Order    folders as configured, paths by name; of two faces that are called the same, the first counts.
Errors   `SettingsError` names the folder or the file.
"""

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from imagemill.engines import sfnt
from imagemill.engines.sfnt import Coverage
from imagemill.model.errors import SettingsError
from imagemill.settings import Text

DEFAULT = "DejaVu Sans"
"""The face of texts that name none: the regular one of those that ship with imagemill."""
_SUFFIXES = frozenset({".ttf", ".otf", ".ttc", ".otc"})
_REGULAR = frozenset({"regular", "book", "normal", "roman"})
_MOST_BYTES = 32 * 1024
"""Of all that workers are told of fonts, in the one packet that they are set up with."""
T = TypeVar("T")


class Typeface(Struct, frozen=True):
    """One face of a font file."""

    path: str
    description: sfnt.Description

    @property
    def name(self) -> str:
        """Family and style; the style is left out where it is the regular one."""
        family, style = self.description.family, self.description.style
        return family if style.lower() in _REGULAR else f"{family} {style}".rstrip()


class Fonts(Struct, frozen=True):
    """What workers know of fonts."""

    faces: tuple[Typeface, ...] = ()
    """In the order in which they are asked for a character that the chosen one does not have."""
    boxes: bool = False
    """Whether a character that no face has is drawn as a box, and not refused."""


def found(settings: Text) -> Fonts:
    """All faces of *settings*, and our own."""
    own = _folder(home())
    faces = [face for place in settings.fonts for face in _place(Path(place))] + own
    named: dict[str, Typeface] = {}
    for face in faces:
        named.setdefault(face.name.casefold(), face)
    fonts = Fonts(tuple(named.values()), settings.missing == "box")
    if len(msgspec.msgpack.encode(fonts)) > _MOST_BYTES:
        raise SettingsError(f"text.fonts: {len(named)} faces are too many; name narrower folders, or files")
    return fonts


def home() -> Path:
    """The folder of the fonts that ship with imagemill."""
    return Path(str(files("imagemill") / "typefaces"))


def covered(path: str, index: int) -> Coverage:
    """The characters of one face; `ValueError` where its file is no such file any more."""
    return _read(path, lambda data: sfnt.coverage(data, index))


def _place(place: Path) -> list[Typeface]:
    if not place.is_absolute():
        raise SettingsError(f"text.fonts: {place}: an absolute path is wanted")
    try:
        faces = _file(place) if place.is_file() else _folder(place)
    except ValueError as e:
        raise SettingsError(f"text.fonts: {place}: {e}") from e
    except OSError as e:
        raise SettingsError(f"text.fonts: {place}: {e.strerror}") from e
    if not faces:
        raise SettingsError(f"text.fonts: {place}: no font in it")
    return faces


def _folder(folder: Path) -> list[Typeface]:
    """The faces below *folder*; files that are no fonts of a usable kind are passed over."""
    return [face for path in sorted(_paths(folder)) for face in _usable(path)]


def _paths(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for directory, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(directory, name) for name in names if Path(name).suffix.lower() in _SUFFIXES)


def _usable(path: Path) -> list[Typeface]:
    try:
        return _file(path)
    except ValueError:
        return []


def _file(path: Path) -> list[Typeface]:
    return [Typeface(str(path), description) for description in _read(str(path), sfnt.described)]


def _read(path: str, reader: Callable[[memoryview], T]) -> T:
    """What *reader* finds in a file, of which only the pages it looks at are read."""
    with open(path, "rb") as file:  # noqa: PTH123 - `/proc/self/fd/3` is no path to resolve
        if not os.fstat(file.fileno()).st_size:
            raise ValueError("empty")
        return reader(memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)))  # unmapped when nobody refers to it


def shown(faces: Sequence[Typeface]) -> str:
    """Their names, for people."""
    return ", ".join(face.name for face in faces)
