"""The line between `serve` and the job process that it started: settings go down, signs of life come up.

Form     a stream socket; a frame is its length in four bytes, big endian, and so many bytes of JSON.
Units    a frame is at most 1 MiB.
Errors   `LinkBroken` where the other end is gone, or says what is no frame of ours.
Source   prctl(2): PR_SET_PDEATHSIG is sent when the thread that started a process ends.
"""

import asyncio
import ctypes
import os
import signal
import socket

import msgspec
from msgspec import Struct

from imagemill.configuration import as_bytes, of_bytes
from imagemill.model.errors import SettingsError
from imagemill.settings import Settings

BEAT_S = 2.0
"""How often the job process says that it is well."""
SILENT_S = 30.0
"""After so long without a word it is taken for stuck."""
REFUSED = 3
"""Exit status of a job process whose directory has another one already."""
_LENGTH_BYTES = 4
_PR_SET_PDEATHSIG = 1
_MAX_BYTES = 1 << 20


class LinkBroken(Exception):
    """Nobody is at the other end any more."""


class Beat(Struct, frozen=True):
    """One sign of life."""

    working: bool = False
    """Whether it holds its directory and takes jobs; else it is still starting."""
    metrics: str = ""
    """Its own metrics in the Prometheus text format."""


def die_with_parent() -> None:
    """Be killed with `serve`; if it has died before this call, the link is at its end, and that is noticed too."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def framed(body: bytes) -> bytes:
    """*body* as one frame."""
    if len(body) > _MAX_BYTES:
        raise LinkBroken(f"a frame of {len(body)} bytes")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def tell_settings(writer: asyncio.StreamWriter, settings: Settings) -> None:
    """Hand *settings* to the process at the other end."""
    try:
        writer.write(framed(as_bytes(settings)))
        await writer.drain()
    except OSError as e:
        raise LinkBroken from e


def hear_settings(link: socket.socket) -> Settings:
    """The settings that `serve` runs with, before there is any loop; or raise `SettingsError`."""
    try:
        length = int.from_bytes(_exactly(link, _LENGTH_BYTES), "big")
        if length > _MAX_BYTES:
            raise SettingsError("what was handed over is no settings")
        return of_bytes(_exactly(link, length))
    except (LinkBroken, OSError) as e:
        raise SettingsError("whoever started this process handed it no settings") from e


def _exactly(link: socket.socket, length: int) -> bytes:
    body = bytearray()
    while len(body) < length:
        part = link.recv(length - len(body))
        if not part:
            raise LinkBroken
        body += part
    return bytes(body)


async def tell(writer: asyncio.StreamWriter, beat: Beat) -> None:
    """Send one sign of life."""
    try:
        writer.write(framed(msgspec.json.encode(beat)))
        await writer.drain()
    except OSError as e:
        raise LinkBroken from e


async def hear(reader: asyncio.StreamReader) -> Beat:
    """The next sign of life."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        if length > _MAX_BYTES:
            raise LinkBroken(f"a frame of {length} bytes")
        return msgspec.json.decode(await reader.readexactly(length), type=Beat)
    except (OSError, EOFError, msgspec.MsgspecError) as e:
        raise LinkBroken from e
