"""Look at this machine and the settings as `serve` would find them, and say what is wrong."""

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Mapping
from contextlib import aclosing
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from imagemill import __version__, doctor_jobs, stores, wiring, wiring_shared
from imagemill.cache.budget import container_bytes, l1_bytes
from imagemill.configuration import load
from imagemill.engines import typefaces
from imagemill.engines.base import Task
from imagemill.finding import Finding
from imagemill.model.errors import ImagemillError, SettingsError
from imagemill.settings import Settings
from imagemill.wiring_port import kind

MiB = 1024 * 1024
_MOST_FACES = 40


async def examine(path: Path | None, environ: Mapping[str, str], overlay: Mapping[str, Any]) -> list[Finding]:
    """Everything that can be known without serving; *overlay* is what `serve` would lay over the settings."""
    found = [Finding("imagemill", "ok", f"{__version__} on Python {sys.version.split()[0]}, {sys.platform}")]
    try:
        settings = load(path, environ, overlay)
        wiring.check(settings)
        found.append(Finding("settings", "ok", str(path or "environment and defaults")))
        found.append(_signing(settings))
    except SettingsError as e:
        found.append(Finding("settings", "fail", str(e)))
        settings = load(None, {}, {"signing": {"mode": "unsigned"}})
    found += [_memory(settings), _files(settings), *_ports(settings), _fonts(settings), *await _stores(settings)]
    found += [await _shared_level(settings), *await doctor_jobs.examine(settings)]
    return [*found, *await _worker(settings)]


def _signing(settings: Settings) -> Finding:
    if settings.signing.mode == "unsigned":
        return Finding("signing", "warn", "unsigned: whoever reaches the port may have anything rendered")
    return Finding("signing", "ok", f"required; keys: {', '.join(settings.signing.keys)}")


def _memory(settings: Settings) -> Finding:
    total = container_bytes()
    workers = wiring.worker_count(settings)
    if kind(settings) == "embedded":  # its process has engine workers of its own, while there are jobs
        workers += settings.jobs.workers or workers
    try:
        l1 = l1_bytes(settings.cache.l1_bytes, total)
    except SettingsError as e:
        return Finding("memory", "fail", str(e))
    most = l1 + settings.cache.source_bytes + workers * settings.engine.max_rss_bytes
    state: Literal["ok", "warn"] = "ok" if most < total else "warn"
    each = settings.engine.max_rss_bytes // MiB
    words = f"{total // MiB} MiB usable; L1 {l1 // MiB} MiB; {workers} workers of up to {each} MiB"
    return Finding("memory", state, words)


def _files(settings: Settings) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft >= settings.server.max_connections + 256
    advice = "" if enough else f"; server.max_connections {settings.server.max_connections} will be cut to fit"
    return Finding("open files", "ok" if enough else "warn", f"limit {soft}{advice}")


def _ports(settings: Settings) -> list[Finding]:
    own = settings.server
    return [_port("port", own.host, own.port), _port("admin port", own.admin_host, own.admin_port)]


def _port(name: str, host: str, port: int) -> Finding:
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return Finding(name, "ok", f"{host}:{port} is free")
    except OSError as e:
        return Finding(name, "fail", f"{host}:{port}: {os.strerror(e.errno or 0)}")


def _fonts(settings: Settings) -> Finding:
    """The faces that texts may name; a worker that cannot read one does not start, and says so below."""
    try:
        fonts = typefaces.found(settings.text)
    except SettingsError as e:
        return Finding("fonts", "fail", str(e))
    faces = fonts.faces[:_MOST_FACES]
    more = f" and {len(fonts.faces) - len(faces)} more" if len(fonts.faces) > len(faces) else ""
    rule = "drawn as a box" if fonts.boxes else "refused"
    return Finding("fonts", "ok", f"{typefaces.shown(faces)}{more}; a character that none has is {rule}")


async def _stores(settings: Settings) -> list[Finding]:
    """Their names, and what each says when it is asked."""
    try:
        found = stores.open_all(settings)
    except SettingsError as e:
        return [Finding("stores", "fail", str(e))]
    names = Finding("stores", "ok", ", ".join(found.all) or "none")
    return [names, *await asyncio.gather(*(_store(name, found) for name in found.all))]


async def _store(name: str, found: stores.Stores) -> Finding:
    store = found.all[name]
    uses = ["read by callers"] * (name in found.sources) + ["written by jobs"] * (name in found.writable)
    try:
        await store.check()
    except ImagemillError as e:
        cause = f" ({type(e.__cause__).__name__})" if e.__cause__ else ""
        return Finding(f"store {name}", "fail", f"{store.address('…')}: {e}{cause}")
    return Finding(f"store {name}", "ok", f"{store.address('…')} answers; {' and '.join(uses) or 'not in use'}")


async def _shared_level(settings: Settings) -> Finding:
    """The second cache level, as a node would find it. Nodes do without it, so it being away is no failure."""
    if not settings.l2.url:
        return Finding("second cache level", "ok", "off; l2.url is empty")
    told: list[str] = []
    try:
        cache = wiring_shared.redis_cache(settings, on_state=lambda _well, why: told.append(why))
        try:
            await cache.start()
        finally:
            await cache.close()
    except SettingsError as e:
        return Finding("second cache level", "fail", str(e))
    if told:
        return Finding("second cache level", "warn", f"Redis is not well, nodes would do without it: {told[-1]}")
    secret = "" if settings.l2.secret else "; l2.secret is empty: whoever can write into it is believed"
    return Finding("second cache level", "ok", f"Redis answers{secret}")


async def _worker(settings: Settings) -> list[Finding]:
    pool = wiring.engine(settings, 1)
    try:
        await pool.start()
        versions = ", ".join(f"{k} {v}" for k, v in pool.versions.items())
        found = [Finding("worker", "ok", f"starts confined, as uid {_uid(pool.pids()[0])}; {versions}")]
        source = (files("imagemill") / "samples" / "dandelion.jpg").read_bytes()
        recipe = wiring.native(settings, own=True).recipe({"width": "512", "format": "webp"})
        async with aclosing(pool.run(source, [Task(recipe)])) as results:
            made = await anext(results)
        size = f"{made.rendition.width_px} x {made.rendition.height_px}"
        return [*found, Finding("render", "ok", f"sample to webp {size} in {made.stages.cpu_ms:.0f} ms of CPU")]
    except (ImagemillError, TimeoutError) as e:
        return [Finding("worker", "fail", str(e))]
    finally:
        await pool.close()


def _uid(pid: int) -> int:
    return os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - a number, not a path to walk
