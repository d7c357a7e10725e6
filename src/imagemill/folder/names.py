"""What a rendition's file is called, from the name and the format of its source: pure.

Errors   `SettingsError` for a template that could not be meant.
"""

import re
from pathlib import PurePath

from msgspec import Struct

from imagemill.model.errors import SettingsError
from imagemill.model.media import EXTENSIONS, SOURCES_BY_EXTENSION, Format

_FIELD = re.compile(r"\{(stem|name|ext)\}")


class Naming(Struct, frozen=True):
    """A template of names: ``{stem}`` and ``{name}`` are the source's without and with its suffix, ``{ext}`` is new."""

    template: str = "{stem}.{ext}"

    def __post_init__(self) -> None:
        """Refuse what would name all alike, hide it, or lead out of its folder."""
        fields, rest = set(_FIELD.findall(self.template)), _FIELD.sub("", self.template)
        if "ext" not in fields or fields == {"ext"} or set(rest) & set("{}/\0") or self.template.startswith("."):
            raise SettingsError(
                f"--name {self.template}: a file's name, with {{ext}} and {{stem}} or {{name}}, as '{{stem}}-s.{{ext}}'"
            )

    def of(self, source: str, is_a: Format, made: Format) -> str:
        """The name of what is *made* of the file called *source*, which is a picture of the format *is_a*.

        A format that stays as it is keeps its suffix, as it was spelled.
        """
        path = PurePath(source)
        own = path.suffix.removeprefix(".")
        ext = own if made is is_a and promised(source) is made else EXTENSIONS[made]
        values = {"stem": path.stem, "name": source, "ext": ext}
        return _FIELD.sub(lambda field: values[field[1]], self.template)


def promised(name: str) -> Format | None:
    """The format that a file's name says it has, if it says so."""
    return SOURCES_BY_EXTENSION.get(PurePath(name).suffix.removeprefix(".").lower())
