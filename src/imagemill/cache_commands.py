"""``imagemill cache …``: purge, stats, sweep."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from imagemill import wiring
from imagemill.model.errors import SettingsError
from imagemill.purge import purge
from imagemill.settings import Settings, config_path, load

Command = Callable[[argparse.Namespace], int]
Add = Callable[[Any, str, Command, str, str], Any]
"""Makes the parser of a command: where, its name, what runs it, what it does in a line, and more on it."""

_OK = 0


def add(commands: Any, command: Add) -> None:
    """Add ``purge``, ``stats`` and ``sweep`` to *commands*."""
    _add_purge(commands, command)
    stats = command(commands, "stats", _stats, "Tell what the second cache level holds", _NEEDS)
    stats.add_argument("--json", action="store_true", help="print JSON")
    sweep = command(commands, "sweep", _sweep, "Remove what nobody has read for a while, at once", _SWEEP)
    sweep.add_argument("--idle", type=float, metavar="SECONDS", help="unread for so long (default: l2.idle_s)")


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
    _show(asyncio.run(wiring.l2_stats(_shared(arguments, "stats"))), as_json=arguments.json)
    return _OK


def _sweep(arguments: argparse.Namespace) -> int:
    settings = _shared(arguments, "sweep")
    idle_s = settings.l2.idle_s if arguments.idle is None else arguments.idle
    if not idle_s > 0:
        raise SettingsError("--idle: more than 0 seconds")
    _show(asyncio.run(wiring.l2_sweep(settings, idle_s)), as_json=False)
    return _OK


def _shared(arguments: argparse.Namespace, name: str) -> Settings:
    settings = _settings(arguments)
    if not settings.l2.url:
        raise SettingsError(f"imagemill cache {name} asks Redis; set [l2].url, or IMAGEMILL_L2__URL")
    return settings


def _settings(arguments: argparse.Namespace) -> Settings:
    """As the node's; signing plays no part."""
    return load(arguments.config or config_path(), os.environ, {"signing": {"mode": "unsigned"}})


def _show(facts: Any, *, as_json: bool) -> None:
    if as_json or not isinstance(facts, dict):
        json.dump(facts, sys.stdout, indent=2)
        print()
        return
    for name, value in facts.items():
        print(f"{name:18}{value}")
