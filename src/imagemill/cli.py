"""The command line: serve, worker, render, sign, explain, jobs, token, cache, health, doctor."""

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from imagemill import (
    __version__,
    cache_commands,
    doctor,
    first_run,
    health,
    heap,
    job_commands,
    job_process,
    render_commands,
    systemd,
    token_commands,
    wiring,
    wiring_jobs,
    wiring_port,
)
from imagemill.configuration import PREFIX, config_path, load, masked
from imagemill.model.errors import BadRequest, ImagemillError, NoRoute, SettingsError, SourceForbidden
from imagemill.model.signing import MARK, sign
from imagemill.obs import logs
from imagemill.plan.negotiate import client
from imagemill.plan.prepare import prepare
from imagemill.service.explain import explain
from imagemill.settings import Settings
from imagemill.supervisor import Supervisor
from imagemill.web import server

_OK, _FAILED, _WRONG_USE, _INTERRUPTED = 0, 1, 2, 130
_OUR_PATH = re.compile(rb"(?:https?://[^/]*)?/(image|info|explain|explain/info)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    _open_standard_streams()
    arguments = parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except SettingsError as e:
        print(f"imagemill: settings: {e}", file=sys.stderr)
        return _WRONG_USE
    except ImagemillError as e:
        # whoever asks here may know why
        reason = f" ({e.reason})" if isinstance(e, SourceForbidden) and e.reason else ""
        print(f"imagemill: {e.code}: {e}{reason}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # whoever reads has seen enough: `imagemill serve --print-config | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _OK


def _open_standard_streams() -> None:
    """Put nothing where one is closed (``2>&-``): or the next file that is opened would be taken for it."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one
            setattr(sys, name, open(opened, "w" if descriptor else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


_EXITS = """exit status  0 done
             1 it failed; the message says why
             2 wrong use, or a setting that is wrong
             130 interrupted (Ctrl-C)

`imagemill COMMAND -h` tells where a command has others."""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line, which is also where its reference page comes from."""
    root = argparse.ArgumentParser(
        "imagemill", epilog=_EXITS, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Transcode images: over HTTP, as jobs that call back, or from files.",
    )  # fmt: skip
    root.add_argument("--version", action="version", version=f"imagemill {__version__}")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_serve(commands)
    job_process.add(commands, lambda *words: _with_config(_command(*words)))
    render_commands.add(commands, lambda *words: _with_config(_command(*words)))
    _add_sign(commands)
    _add_explain(commands)
    job_commands.add(_group(commands, "jobs", "Submit, watch and list jobs of a running service"), _command)
    tokens = _group(commands, "token", "Make, list and revoke the bearer tokens of the job interface")
    token_commands.add(tokens, lambda *words: _with_config(_command(*words)))
    cache = _group(commands, "cache", "Purge, look at and sweep caches")
    cache_commands.add(cache, lambda *words: _with_config(_command(*words)))
    health.add(commands, lambda *words: _with_config(_command(*words)))
    _add_doctor(commands)
    return root


def _group(commands: Any, name: str, text: str) -> Any:
    """A command that has commands of its own."""
    parser = commands.add_parser(name, help=text, description=f"{text}.")
    return parser.add_subparsers(title="commands", required=True, metavar="COMMAND")


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, more: str = "") -> Any:
    parser = commands.add_parser(
        name, help=text, description=f"{text}. {more}".strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(command=run)
    return parser


def _with_config(parser: Any) -> Any:
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"settings in TOML (else ${PREFIX}CONFIG)")
    return parser


# serve


def _add_serve(commands: Any) -> None:
    parser = _with_config(
        _command(
            commands,
            "serve",
            _serve,
            "Answer GET /image and /info over HTTP, and take jobs",
            "Without any configuration it serves for evaluation:\nunsigned, on loopback only, with "
            "one sample picture and a store `out` for the results of jobs.",
        )
    )
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 8080)")
    parser.add_argument("--admin-port", type=int, help="port for health, readiness and metrics (default 8081)")
    parser.add_argument("--unsigned", action="store_true", help="accept URLs that carry no signature")
    parser.add_argument(
        "--sample",
        action="store_true",
        help="offer the picture local:sample/dandelion.jpg, and a store `out` for results",
    )
    parser.add_argument("--check", action="store_true", help="check the settings, start nothing")
    parser.add_argument(
        "--print-config", action="store_true", help="print the settings in force as JSON, secrets masked"
    )


def _serve(arguments: argparse.Namespace) -> int:
    with as_file(files("imagemill") / "samples") as samples:
        path = arguments.config or config_path()
        absent: first_run.Absent = "name" if arguments.print_config else "omit" if arguments.check else "make"
        settings = load(path, os.environ, first_run.overlay(arguments, path, samples, os.environ, absent))
        if arguments.print_config:
            print(json.dumps(masked(settings), indent=2))
            return _OK
        if arguments.check:
            wiring.check(settings)
            print("the settings are valid")
            return _OK
        heap.keep_small()
        os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")  # a name server that is silent holds few threads
        evaluating = arguments.sample or first_run.nothing_said(arguments, path, os.environ)
        return server.run(_serving(settings, evaluating=evaluating))


async def _serving(settings: Settings, *, evaluating: bool) -> int:
    pipe = logs.configure(settings.log)
    log = logs.Log("imagemill")
    service = wiring.Service(settings)
    service.watch_log(pipe)
    jobs = wiring_jobs.beside(service, pipe)
    notices = systemd.Notices()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)

    def ready(port: int, admin_port: int) -> None:
        _announce(log, service, port, admin_port, evaluating=evaluating)
        if jobs:  # not before: a node that cannot have its ports should not take the directory
            jobs.start()
        notices.ready()

    def drain() -> None:
        notices.stopping()
        _stopping(log, service, jobs)

    try:
        await service.start()
        heap.settle()
        await server.serve(
            service.app,
            service.admin,
            settings.server,
            shared=service.connections,
            on_ready=ready,
            on_drain=drain,
            stop=stop,
        )
    finally:
        if jobs:
            await jobs.close()
        await service.close()
        pipe.close()
    return _OK


def _announce(log: logs.Log, service: wiring.Service, port: int, admin_port: int, *, evaluating: bool) -> None:
    settings, host = service.settings, service.settings.server.host
    if (engine := wiring_port.kind(settings)) == "off":
        log.info("jobs are off", reason=wiring_jobs.why_off(settings, evaluating=evaluating))
    else:
        log.info("jobs are on", engine=engine, **wiring_jobs.places(settings))
    if settings.signing.mode == "unsigned":
        log.warning("unsigned mode: whoever reaches this port may have anything rendered", signing="unsigned")
    admin = f"http://{settings.server.admin_host}:{admin_port}"
    log.info("serving", url=f"http://{host}:{port}", admin=admin, **service.version())


def _stopping(log: logs.Log, service: wiring.Service, jobs: Supervisor | None) -> None:
    service.drain()
    if jobs:
        jobs.begin_stop()
    log.info("stopping", in_flight=service.record.in_flight, grace_s=service.settings.server.grace_s)


# sign


def _engine_settings(arguments: argparse.Namespace) -> Settings:
    """Settings for commands that answer nobody: signing plays no part."""
    return load(arguments.config or config_path(), os.environ, {"signing": {"mode": "unsigned"}})


def _add_sign(commands: Any) -> None:
    parser = _with_config(
        _command(commands, "sign", _sign, "Sign a URL or a target such as '/image?source=...&width=512'",
                 "The key comes from the settings; the public port itself never signs.")
    )  # fmt: skip
    parser.add_argument("url", metavar="URL", help="percent-encoded, with or without scheme and host")
    parser.add_argument("--key-id", help="which key of signing.keys (default: the only one)")
    parser.add_argument("--expires-in", type=_seconds, metavar="SECONDS", help="also add expires=, so far from now")


def _seconds(text: str) -> int:
    """A time to come; argparse says which option it was for."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError("a whole number of seconds, 1 or more")
    return int(text)


def _sign(arguments: argparse.Namespace) -> int:
    settings = load(arguments.config or config_path(), os.environ)
    keys = settings.signing.keys
    key_id = arguments.key_id or (next(iter(keys)) if len(keys) == 1 else None)
    if key_id is None or key_id not in keys:
        raise SettingsError(f"--key-id: one of {', '.join(keys) or 'none; signing.keys is empty'}")
    origin, target = _target(arguments.url)
    if arguments.expires_in is not None:
        target += b"&expires=%d" % (int(time.time()) + arguments.expires_in)
    path, _, query = target.partition(b"?")
    dialect = wiring.native(settings)
    dialect.parse(query) if path == b"/image" else dialect.described(query)  # who signs nonsense should hear of it here
    print(origin + sign(target, key_id, keys[key_id].encode()).decode("ascii"))
    return _OK


def _target(url: str) -> tuple[str, bytes]:
    """Scheme and host (if any), and the raw target."""
    origin = ""
    if "://" in url.partition("?")[0]:
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        origin, url = f"{scheme}://{host}", slash + path
    if not url.startswith(("/image?", "/info?")) or not url.isascii() or any(c <= " " for c in url):
        raise SettingsError("a target is '/image?source=...' or '/info?source=...', percent-encoded")
    if MARK in url.encode():
        raise SettingsError("the URL carries a signature already")
    return origin, url.encode()


# explain


def _add_explain(commands: Any) -> None:
    parser = _with_config(_command(commands, "explain", _explain, "Say what a URL would do, and do nothing"))
    parser.add_argument("url", metavar="URL", help="with or without scheme, host and signature")
    parser.add_argument("--accept", default="", help="the client's Accept header, for format=auto")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _explain(arguments: argparse.Namespace) -> int:
    settings = _engine_settings(arguments)
    if not arguments.url.isascii():
        raise BadRequest("the URL is not ASCII; percent-encode it")
    where, _, query = arguments.url.encode().partition(b"?")
    ours = _OUR_PATH.fullmatch(where)
    if not ours:
        raise NoRoute(f"{where.decode()}: only /image?source=... and /info?source=... are answered")
    dialect = wiring.native(settings)
    read = dialect.described if ours[1].endswith(b"info") else dialect.parse
    request = read(query.partition(MARK)[0])
    asker = client({b"accept": arguments.accept.encode("latin-1", "replace")}, settings.negotiation)
    plan = prepare(request, settings.limits, asker, settings.negotiation)
    facts = explain(plan, "MISS", settings.limits, settings.engine)
    facts["tier"] = "MISS (this command holds no cache; ask a running node's /explain)"
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return _OK
    for name, value in facts.items():
        if name == "recipe":
            print("recipe")
            for n, op in enumerate(value, 1):
                rest = ", ".join(f"{k}={v}" for k, v in op.items() if k != "type")
                print(f"  {n}. {op['type']}" + (f": {rest}" if rest else ""))
        elif isinstance(value, dict):
            print(f"{name:18}" + ", ".join(f"{k}={v}" for k, v in value.items()))
        else:
            print(f"{name:18}{value}")
    return _OK


# doctor


def _add_doctor(commands: Any) -> None:
    parser = _with_config(
        _command(commands, "doctor", _doctor, "Check this machine and the settings",
                 "A worker is started and the sample rendered; the ports, the stores and the job engine are tried.\n\n"
                 "exit status  0 nothing fails\n             1 a check fails")
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(host=None, port=None, admin_port=None, unsigned=False, sample=False)  # as a bare `serve`


def _doctor(arguments: argparse.Namespace) -> int:
    path = arguments.config or config_path()
    with as_file(files("imagemill") / "samples") as samples:
        found = asyncio.run(
            doctor.examine(path, os.environ, first_run.overlay(arguments, path, samples, os.environ, "make"))
        )
    if arguments.json:
        print(json.dumps([{"check": f.check, "state": f.state, "detail": f.detail} for f in found], indent=2))
    else:
        for finding in found:
            print(f"{finding.state:5} {finding.check:22} {finding.detail}")
    return _FAILED if any(f.state == "fail" for f in found) else _OK
