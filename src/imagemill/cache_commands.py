"""``imagemill cache …``: purge, stats, sweep."""

import argparse
import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from imagemill import wiring
from imagemill.configuration import config_path, load
from imagemill.model.errors import SettingsError
from imagemill.purge import purge
from imagemill.settings import Settings

Command = Callable[[argparse.Namespace], int]
Add = Callable[[Any, str, Command, str, str], Any]
"""Makes the parser of a command: where, its name, what runs it, what it does in a line, and more on it."""

T = TypeVar("T")
_OK = 0


def add(commands: Any, command: Add) -> None:
    """Add ``purge``, ``stats`` and ``sweep`` to *commands*."""
    _add_purge(commands, command)
    stats = command(commands, "stats", _stats, "Tell what the second cache level holds", _NEEDS)
    stats.add_argument("--json", action="store_true", help="print JSON")
    sweep = command(commands, "sweep", _sweep, "Remove what nobody has read for a while, at once", _SWEEP)
    sweep.add_argument("--idle", type=int, metavar="SECONDS", help="unread for so long (default: l2.idle_s)")


_PURGE = """
What was fetched before is not used any more, on any node, within two seconds; clients and CDNs keep their
copies. Where [l2].url is set, all nodes are told through Redis, whether or not one runs on this machine; else the node
on this machine is, on its admin port (server.admin_host and admin_port of the settings).

  imagemill cache purge --source https://img.example.com/cat.jpg
  imagemill cache purge --tag article-4711
  imagemill cache purge --target '/image?source=https%3A%2F%2Fimg.example.com%2Fcat.jpg&width=512&format=auto'"""
_NEEDS = "\nIt asks Redis, so it needs [l2].url in the settings."
_SWEEP = (
    f"{_NEEDS} Nothing has to be swept: what is not read goes\nby itself after l2.idle_s. This frees memory before."
)


def _add_purge(commands: Any, command: Add) -> None:
    parser = command(commands, "purge", _purge, "Stop using what is cached of a source, a tag or a URL", _PURGE)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--source", metavar="URL", help="all renditions of this source, and the source itself")
    what.add_argument("--tag", help="all renditions that a request named this tag for, in tags=")
    what.add_argument("--target", help="this one rendition, in every format it is negotiated to; signed or not")


def _purge(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    done = asyncio.run(purge(settings, source=arguments.source, tag=arguments.tag, target=arguments.target))
    names = f" ({done.names} variants)" if arguments.target and done.names > 1 else ""
    told = "all nodes" if settings.l2.url else "the node on this machine"
    print(f"purged on {told}{names}: {arguments.source or arguments.tag or arguments.target}")
    return _OK


def _stats(arguments: argparse.Namespace) -> int:
    facts = asyncio.run(_ask(_shared(arguments, "stats"), lambda level: level.stats()))
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return _OK
    for name, value in facts.items():
        shown = ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name:18}{shown}")
    return _OK


def _sweep(arguments: argparse.Namespace) -> int:
    settings = _shared(arguments, "sweep")
    idle_s = settings.l2.idle_s if arguments.idle is None else arguments.idle
    if idle_s < 1:
        raise SettingsError("--idle: at least 1 second")
    count, size = asyncio.run(_ask(settings, lambda level: level.sweep(idle_s)))
    print(f"removed {count} entries, {size} bytes")
    return _OK


async def _ask(settings: Settings, question: Callable[[Any], Awaitable[T]]) -> T:
    async with wiring.l2(settings) as level:
        return await question(level)


def _shared(arguments: argparse.Namespace, name: str) -> Settings:
    settings = _settings(arguments)
    if not settings.l2.url:
        raise SettingsError(f"imagemill cache {name} asks Redis; set [l2].url, or IMAGEMILL_L2__URL")
    return settings


def _settings(arguments: argparse.Namespace) -> Settings:
    """As the node's; signing plays no part."""
    return load(arguments.config or config_path(), os.environ, {"signing": {"mode": "unsigned"}})
