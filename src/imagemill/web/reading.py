"""What a client sends a connection: where in it the next byte is, and whether it is read yet.

Source   uvicorn 0.54's ``FlowControl``.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from uvicorn.protocols.http.flow_control import FlowControl


class Reading(Enum):
    """What the next byte belongs to."""

    HEAD = auto()
    """A head, or nothing yet on a new connection."""
    BODY = auto()
    IDLE = auto()
    """Nothing: the last request is here whole."""
    DEAF = auto()
    """Whatever it is, it is not read any more."""


class Flow(FlowControl):
    """Reads on when somebody asks for more, unless *is_full*: what is read would only be kept.

    Each request that runs or ends asks for more, also those before the one whose body is being read.
    """

    def __init__(self, transport: asyncio.Transport, is_full: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._is_full = is_full

    def resume_reading(self) -> None:
        """Read on, if that is of use."""
        if self.read_paused and not self._is_full():
            super().resume_reading()
