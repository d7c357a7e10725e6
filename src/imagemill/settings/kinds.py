"""Kinds of values that settings have, and their bounds."""

from typing import Annotated

from msgspec import Meta

MOST = 1 << 48  # more fits nowhere, and overflows in the libraries that are handed it
_DAY_S = 86_400.0  # a timeout beyond it, infinity above all, is none
Positive = Annotated[int, Meta(ge=1, le=MOST)]
Natural = Annotated[int, Meta(ge=0, le=MOST)]
Seconds = Annotated[float, Meta(gt=0, le=_DAY_S)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=_DAY_S)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Host = Annotated[str, Meta(min_length=1)]  # bind(2) takes the empty one for every interface
HeaderText = Annotated[str, Meta(pattern=r"\A[ -~]*\Z", max_length=200)]
MiB = 1024 * 1024


class Secret(str):
    """A string that never shows itself in `repr`, logs or the printed configuration."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Hide the content; say only whether there is one."""
        return "'***'" if self else "''"
