"""``imagemill worker``: the process that does the jobs, by itself or as the child of `serve`.

Errors   exit status 2 where a setting is wrong, 3 where another process does the jobs of this directory.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from imagemill import heap, systemd, wiring_jobs, wiring_worker
from imagemill.configuration import config_path, load
from imagemill.job_link import BEAT_S, REFUSED, Beat, LinkBroken, die_with_parent, hear_settings, tell
from imagemill.model.errors import SettingsError
from imagemill.obs import logs
from imagemill.settings import Settings
from imagemill.web import admin, server
from imagemill.wiring_port import kind

Command = Callable[[argparse.Namespace], int]
Add = Callable[[Any, str, Command, str, str], Any]
_OK = 0
_LINK_GONE = 1
_SOON_S = 0.2
"""How often it is told while it is not at work yet."""
_MORE = """
`serve` starts one of these by itself, so this is for running jobs apart from it: with `jobs.engine = "temporal"` as
many as you like, with the embedded engine one for each data directory.

exit status  0 stopped
             1 `serve`, which had started it, is gone
             2 wrong use, or a setting that is wrong
             3 another process does the jobs of this directory"""


def add(commands: Any, command: Add) -> None:
    """Add ``worker`` to *commands*."""
    parser = command(commands, "worker", _worker, "Do the jobs that were submitted, and call back", _MORE)
    parser.add_argument("--admin-port", type=int, metavar="N", help="port for health and metrics (default 8082)")
    parser.add_argument(
        "--supervised", type=int, metavar="FD", help="used by `serve`: settings come, and signs of life go, through it"
    )


def _worker(arguments: argparse.Namespace) -> int:
    if arguments.supervised is not None:
        return _child(arguments.supervised)
    overlay: dict[str, Any] = {"signing": {"mode": "unsigned"}}  # nobody is answered here
    if arguments.admin_port is not None:
        overlay["jobs"] = {"admin_port": arguments.admin_port}
    settings = load(arguments.config or config_path(), os.environ, overlay)
    if kind(settings) == "off":
        raise SettingsError(f"there are no jobs to do: {wiring_jobs.why_off(settings, evaluating=False)}")
    return _run(settings, None)


def _child(fd: int) -> int:
    try:
        link = socket.socket(fileno=fd)
    except OSError as e:
        raise SettingsError("--supervised is for `serve`, which starts this process by itself") from e
    die_with_parent()
    settings = hear_settings(link)
    os.nice(settings.jobs.nice)
    return _run(settings, link)


def _run(settings: Settings, link: socket.socket | None) -> int:
    try:
        heap.keep_small()
        return server.run(_working(settings, link))
    except SettingsError as e:
        if not wiring_jobs.taken(settings):
            raise
        if link is None:
            print(f"imagemill: {e}", file=sys.stderr)
        return REFUSED


async def _working(settings: Settings, link: socket.socket | None) -> int:
    pipe = logs.configure(settings.log)
    log = logs.Log("imagemill.jobs")
    notices = systemd.Notices()
    stop = asyncio.Event()

    def end() -> None:
        notices.stopping()
        log.info("stopping", grace_s=settings.jobs.grace_s)
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, end)
    process = wiring_worker.JobProcess(settings)
    beside = asyncio.create_task(_live(link, process) if link else _answer(settings, process, log, notices))
    doing = asyncio.create_task(process.run(stop))
    try:
        await asyncio.wait({beside, doing}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():  # `serve` is gone, or the port cannot be had
            return beside.result()
        await doing
        return _OK
    finally:
        for task in (doing, beside):
            task.cancel()
        await asyncio.gather(doing, beside, return_exceptions=True)
        await process.close()
        pipe.close()


async def _live(link: socket.socket, process: wiring_worker.JobProcess) -> int:
    """Tell `serve` now and then that this process is well, until it is not there any more."""
    reader, writer = await asyncio.open_unix_connection(sock=link)
    ended = asyncio.create_task(reader.read(1))  # nothing more is ever sent: it ends with `serve`
    try:
        while not ended.done():
            await tell(writer, Beat(process.working, process.metrics.of_jobs().decode()))
            await asyncio.wait({ended}, timeout=BEAT_S if process.working else _SOON_S)
    except LinkBroken:
        pass
    finally:
        ended.cancel()
        writer.close()
    return _LINK_GONE


async def _answer(
    settings: Settings, process: wiring_worker.JobProcess, log: logs.Log, notices: systemd.Notices
) -> int:
    """Health, readiness and metrics on a port of its own, for as long as the process lasts."""
    own = settings.server

    def ready(port: int) -> None:
        log.info("doing jobs", admin=f"http://{own.admin_host}:{port}", **process.version())
        notices.ready()

    app = admin.build_for_jobs(process.metrics, process.not_ready, process.version)
    await server.serve_admin(app, own.admin_host, settings.jobs.admin_port, own, name="jobs.admin_port", on_ready=ready)
    return _OK
