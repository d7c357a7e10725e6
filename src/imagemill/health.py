"""``imagemill health``: whether the node on this machine is ready, for whoever watches a container.

``python -m imagemill.health`` is the same with a fraction of the imports, as it is run every few seconds.
Errors   exit status 1 where it is not ready, or does not answer.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from imagemill.configuration import PREFIX, config_path, load
from imagemill.model.errors import ImagemillError, SettingsError
from imagemill.net import admin

_OK, _NOT_READY, _WRONG_USE = 0, 1, 2
_READY = 200
_MORE = """
It asks the admin port that the settings name, and says why where the answer is no.

exit status  0 ready
             1 not ready, or nobody answers
             2 wrong use, or a setting that is wrong"""


def add(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``health`` to *commands*."""
    _options(command(commands, "health", check, "Ask the node on this machine whether it is ready", _MORE))


def _options(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--worker", action="store_true", help="ask `imagemill worker`, on jobs.admin_port, instead")
    which.add_argument("--admin-port", type=int, metavar="N", help="port to ask (default: server.admin_port)")


def check(arguments: argparse.Namespace) -> int:
    """Ask once, print the answer, return the exit status."""
    settings = load(arguments.config or config_path(), os.environ, {"signing": {"mode": "unsigned"}})
    port = settings.jobs.admin_port if arguments.worker else settings.server.admin_port
    try:
        status, answer = admin.get(settings.server.admin_host, arguments.admin_port or port, "/readyz")
    except ImagemillError as e:
        print(e, file=sys.stderr)
        return _NOT_READY
    if status == _READY:
        print("ready")
        return _OK
    print(f"not ready: {', '.join(map(str, answer.get('reasons', [])))}", file=sys.stderr)
    return _NOT_READY


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command alone."""
    parser = argparse.ArgumentParser("python -m imagemill.health", description=__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"settings in TOML (else ${PREFIX}CONFIG)")
    _options(parser)
    try:
        return check(parser.parse_args(argv))
    except SettingsError as e:
        print(f"imagemill: settings: {e}", file=sys.stderr)
        return _WRONG_USE


if __name__ == "__main__":
    raise SystemExit(main())
