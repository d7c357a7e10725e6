"""``imagemill token …``: new, list, revoke."""

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagemill.configuration import config_path, load, tokens_file
from imagemill.jobs import tokens
from imagemill.model.token import Scope, Token, make

Command = Callable[[argparse.Namespace], int]
Add = Callable[[Any, str, Command, str, str], Any]
"""Makes the parser of a command: where, its name, what runs it, what it does in a line, and more on it."""

_OK = 0
_NEW = """
The token is printed once and is not kept anywhere: only a digest of it is. A running service knows it within a second.
While there is no token at all, jobs are answered on this machine only; from the first one on, every call needs one.

  imagemill token new --name shop --tenant shop --scope submit --scope read"""
_NONE = "there is no token: jobs are answered on this machine only, to whoever is on it"
_REVOKE = "\nA running service refuses it within a second."


def add(commands: Any, command: Add) -> None:
    """Add ``new``, ``list`` and ``revoke`` to *commands*."""
    new = command(commands, "new", _new, "Make a bearer token for jobs, and print it", _NEW)
    new.add_argument("--name", required=True, help="what it is called in lists and logs")
    new.add_argument("--tenant", required=True, help="whose jobs it makes and sees")
    new.add_argument(
        "--scope",
        required=True,
        action="append",
        choices=[scope.value for scope in Scope],
        help="what it may do; repeatable",
    )
    new.add_argument("--expires-in", type=_seconds, metavar="SECONDS", help="how long it is good for (default: always)")
    shown = command(commands, "list", _list, "List the tokens, without what makes them usable", "")
    shown.add_argument("--json", action="store_true", help="print JSON")
    revoke = command(commands, "revoke", _revoke, "Let a token be none any more", _REVOKE)
    revoke.add_argument("id", metavar="ID", help="its 8 hex digits, as `imagemill token list` shows them")


def _new(arguments: argparse.Namespace) -> int:
    scopes = [Scope(scope) for scope in arguments.scope]
    text, token = make(
        secrets.token_bytes, arguments.name, arguments.tenant, scopes, time.time(), arguments.expires_in
    )  # fmt: skip
    tokens.add(_path(arguments), token)
    print(text)
    return _OK


def _list(arguments: argparse.Namespace) -> int:
    found = tokens.load(_path(arguments))
    if arguments.json:
        print(json.dumps([_facts(token) for token in found], indent=2))
        return _OK
    if not found:
        print(_NONE, file=sys.stderr)
    for token in found:
        facts = _facts(token)
        expires = facts["expires"] or "never"
        print(f"{token.id}  {token.name:20} {token.tenant:20} {','.join(token.scopes):20} expires {expires}")
    return _OK


def _facts(token: Token) -> dict[str, Any]:
    return {
        "id": token.id, "name": token.name, "tenant": token.tenant, "scopes": list(token.scopes),
        "created": _date(token.created_s), "expires": None if token.expires_s is None else _date(token.expires_s),
    }  # fmt: skip


def _revoke(arguments: argparse.Namespace) -> int:
    path = _path(arguments)
    gone = tokens.remove(path, arguments.id)
    print(f"revoked: {gone.id} {gone.name}")
    if not tokens.load(path):
        print(_NONE)
    return _OK


def _path(arguments: argparse.Namespace) -> Path:
    """The file that the service of the same settings reads; signing plays no part."""
    settings = load(arguments.config or config_path(), os.environ, {"signing": {"mode": "unsigned"}})
    return tokens_file(settings.jobs, os.environ)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**10):
        raise argparse.ArgumentTypeError("a whole number of seconds, 1 or more")
    return int(text)


def _date(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
