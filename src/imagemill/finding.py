"""What `doctor` says of one thing it has looked at."""

from typing import Literal

from msgspec import Struct


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    state: Literal["ok", "warn", "fail"]
    detail: str
