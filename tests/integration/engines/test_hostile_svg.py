"""Vector pictures that are meant to harm, through a real worker (V01 to V08): no file opened, nobody called, no worker lost."""

import asyncio
import ctypes
import os
import socket
import struct
from contextlib import aclosing

import pytest

from imagemill.engines.base import Task
from imagemill.engines.pool import Pool
from imagemill.model.errors import ImageCorrupt, LimitExceeded, ProcessingTimeout, UnsupportedSourceType
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Encode, Resize
from imagemill.settings import Engine, Limits
from unit.engines import hostile
from unit.engines.svg.test_reading import BOMBS, svg

RECIPE = (AutoOrient(), Resize(64), Encode(Format.PNG))
REFUSED = (ImageCorrupt, LimitExceeded, UnsupportedSourceType)
_IN_OPEN = 0x20


class Watched:
    """A file that the kernel tells of when anybody opens it, and a port that counts who connects."""

    def __init__(self, folder):
        self.file = folder / "canary.png"
        self.file.write_bytes(hostile.encoded("PNG"))
        folder.chmod(0o755)
        self.file.chmod(0o644)
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._watch, os.fsencode(self.file), _IN_OPEN) > 0
        self._port = socket.create_server(("127.0.0.1", 0))
        self._port.setblocking(False)
        self.address = f"http://127.0.0.1:{self._port.getsockname()[1]}/canary.png"

    def opened(self):
        try:
            return len(os.read(self._watch, 65_536)) // struct.calcsize("iIII")
        except BlockingIOError:
            return 0

    def called(self):
        try:
            self._port.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self):
        os.close(self._watch)
        self._port.close()


@pytest.fixture
def watched(tmp_path):
    made = Watched(tmp_path)
    yield made
    made.close()


def references(target):
    """Every way a file may name another one."""
    return [
        svg("<text>&x;</text>", f'<!DOCTYPE svg [<!ENTITY x SYSTEM "{target}">]>'), svg("", f'<!DOCTYPE svg SYSTEM "{target}">'),
        svg("<g/>", f'<!DOCTYPE svg [<!ENTITY % p SYSTEM "{target}"> %p;]>'), svg("<g/>", f'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "{target}">'),
        svg(f'<image width="64" height="64" href="{target}"/>'), svg(f'<image width="64" height="64" xlink:href="{target}"/>'),
        svg(f'<use href="{target}#a"/>'), svg(f'<filter id="f"><feImage href="{target}"/></filter><rect width="9" height="9" filter="url(#f)"/>'),
        svg(f'<style>@import "{target}"; @font-face{{font-family:a;src:url({target})}} text{{font-family:a}}</style><text y="9">a</text>'),
        svg(f'<rect width="9" height="9" fill="url({target}#a)"/>'), svg(f'<rect width="9" height="9" style="fill:url({target})"/>'),
        svg("<g/>", f'<?xml-stylesheet href="{target}" type="text/css"?>'), svg(f'<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="{target}" parse="text"/>'),
        svg(f'<script href="{target}"/>'), svg(f'<linearGradient id="g" href="{target}#a"/><rect width="9" height="9" fill="url(#g)"/>'),
        svg(f'<g xml:base="{target}"><image href="canary.png" width="9" height="9"/></g>'), svg(f'<pattern id="p" href="{target}"/><rect fill="url(#p)" width="9" height="9"/>'),
    ]  # fmt: skip


async def outcome(pool, source, recipe=RECIPE):
    """The picture, or the error that was documented."""
    try:
        async with aclosing(
            pool.run(source if isinstance(source, bytes) else source.encode(), [Task(recipe)])
        ) as results:
            async for made in results:
                return made.rendition
    except (*REFUSED, ProcessingTimeout) as e:
        return e
    raise AssertionError


@pytest.fixture
async def pool():
    events = []
    made = Pool(Engine(deadline_s=60), Limits(), workers=1, observe=events.append)
    await made.start()
    yield made
    await made.close()
    assert [f"{e.name} {e.reason}" for e in events] == []


def test_canary_notices(watched):
    """Whoever opens the file or calls the port is seen; else the next test would prove nothing."""
    watched.file.read_bytes()
    assert watched.opened() == 1
    host, port = watched.address.split("/")[2].split(":")
    socket.create_connection((host, int(port))).close()
    assert watched.called()


async def test_nothing_is_opened_and_nobody_called(pool, watched):
    """V01, V03: by address, by file URL, by path; the picture is refused, or shows nothing of it."""
    for target in (watched.address, watched.file.as_uri(), str(watched.file)):
        for file in references(target):
            found = await outcome(pool, file)
            if not isinstance(found, Exception):
                assert len(found.body) < 500, file  # one colour, or none

    assert watched.opened() == 0
    assert not watched.called()


async def test_bombs_leave_the_worker_alone(pool):
    """V02, V05, V06: refused by limit; the same worker goes on."""
    (pid,) = pool.pids()
    found = {name: type(await outcome(pool, file)) for name, (file, _) in BOMBS.items()}
    assert {name: kind for name, kind in found.items() if kind is not LimitExceeded} == {}
    assert pool.pids() == [pid]


async def test_cpu_without_end_is_killed_and_neighbours_go_on():
    """V05: what no count foresees ends at the deadline; a picture beside it is made meanwhile."""
    zigzag = "".join(f"L{n * 7919 % 64} {n * 104_729 % 64}" for n in range(100_000))
    endless = svg(f'<path d="M0 0{zigzag}" fill="none" stroke="red" stroke-width="1"/>')
    deadline_s = 3.0
    pool = Pool(Engine(deadline_s=deadline_s), Limits(), workers=2)
    await pool.start()
    try:
        async with asyncio.TaskGroup() as group:
            bomb = group.create_task(outcome(pool, endless))
            neighbour = group.create_task(outcome(pool, svg("<rect width='64' height='64'/>")))
        assert isinstance(bomb.result(), ProcessingTimeout)
        assert neighbour.result().format is Format.PNG
        assert (await outcome(pool, svg("<rect width='64' height='64'/>"))).width_px == 64
    finally:
        await pool.close()


async def test_text_is_drawn(pool):
    """Fonts are found from within a worker, which has no environment and no rights."""
    empty = await outcome(pool, svg("<rect width='0' height='0'/>"))
    text = await outcome(pool, svg("<text y='40' font-size='40' font-family='sans-serif'>W</text>"))
    assert len(text.body) > len(empty.body)


async def test_a_picture_is_sharp_in_every_format(pool):
    """One source, several recipes: each is drawn at its own size."""
    tasks = [
        Task((AutoOrient(), Resize(side), Encode(format_)))
        for side, format_ in ((16, Format.PNG), (512, Format.WEBP), (64, Format.JPEG))
    ]
    async with aclosing(pool.run(svg("<circle cx='32' cy='32' r='30'/>").encode(), tasks)) as results:
        made = [(m.rendition.width_px, m.rendition.format) async for m in results]
    assert made == [(16, Format.PNG), (512, Format.WEBP), (64, Format.JPEG)]
