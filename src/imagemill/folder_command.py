"""``imagemill render FOLDER``: options, progress, summary and exit status."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from imagemill import wiring, wiring_layers
from imagemill.engines.base import Task
from imagemill.folder.candidates import Candidates, NotPicture
from imagemill.folder.names import Naming
from imagemill.folder.place import Place
from imagemill.folder.report import Failure, Report, as_json, bar, failure_line, summary
from imagemill.folder.tree import File, Identity, identity, walk
from imagemill.folder.work import FolderRun, Order
from imagemill.job_screen import plain
from imagemill.model.errors import SettingsError
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Recipe
from imagemill.model.request import Plan
from imagemill.settings import Settings

_OK, _FAILED, _INTERRUPTED = 0, 1, 130
_DRAWN_EVERY_S = 0.2
_COUNTED_AT_ONCE = 1_000
_CLEAR = "\r\x1b[K"


def add_options(parser: Any) -> None:
    """Add what is for folders alone."""
    parser.add_argument(
        "--name", metavar="TEMPLATE",
        help="folders: names in OUT, of {stem} or {name} (with its suffix) and {ext}; default {stem}.{ext}",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="folders: a file that is no picture is a failure, too")
    parser.add_argument("--json", action="store_true", help="folders: print the summary as JSON")


def only_for_folders(arguments: argparse.Namespace) -> str:
    """An option that a single file has no use for, if one is given."""
    given = {"--name": arguments.name is not None, "--strict": arguments.strict, "--json": arguments.json}
    return next((option for option, is_given in given.items() if is_given), "")


def run(arguments: argparse.Namespace, settings: Settings, plan: Plan) -> int:
    """Render the folder ``file`` into ``output``; the exit status.

    Raises:
        SettingsError: the two folders, or the template of names, cannot be meant.
        ImagemillError: a layer cannot be had, so nothing is rendered.
    """
    root: Path = arguments.file
    naming = Naming() if arguments.name is None else Naming(arguments.name)
    wanted = _format(plan.recipe)
    layers = asyncio.run(wiring_layers.layers(settings, plan))
    place, here = _place(root, arguments.output)
    report, screen, begun = Report(), Screen(sys.stderr), time.monotonic()
    candidates = Candidates(root, place, naming, wanted, over=arguments.overwrite)
    order = Order(root, Task(plan.recipe), settings.limits.source_bytes, arguments.overwrite, layers)
    status = _INTERRUPTED
    try:
        asyncio.run(_work(settings, candidates, place, order, report, screen, here, strict=arguments.strict))
        status = _OK if report.is_well(strict=arguments.strict) else _FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        report.stopped = "interrupted"
    finally:
        screen.clear()
        place.close()
    seconds = time.monotonic() - begun
    _print(json.dumps(as_json(report, seconds), indent=2) if arguments.json else "\n".join(summary(report, seconds)))
    return status


def _print(text: str) -> None:
    """Print, if anybody reads; the status is the same if not."""
    try:
        print(text, flush=True)
    except OSError:
        _drop(sys.stdout)


def _drop(stream: TextIO) -> None:
    """Let *stream* lead nowhere: what it has not got rid of would fail again, at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _format(recipe: Recipe) -> Format:
    last = recipe[-1]
    assert isinstance(last, Encode), "prepare puts one there"
    if last.format is Format.AUTO:
        raise SettingsError("--format auto is for clients that say what they accept; name the one that is wanted")
    return last.format


def _place(root: Path, out: Path | None) -> tuple[Place, Identity]:
    """The output folder, made if need be, and what it is known by."""
    if out is None:
        raise SettingsError(f"{root} is a folder: -o names another one for what is made of it")
    try:
        out.mkdir(parents=True, exist_ok=True)
        sources, here = identity(root), identity(out)
        if sources == here:
            raise SettingsError(f"-o {out}: this is the folder of the sources; name another one, which may be in it")
        return Place(out, sources), here
    except OSError as e:
        raise SettingsError(f"-o {out}: {e.strerror}") from e


async def _work(
    settings: Settings,
    candidates: Candidates,
    place: Place,
    order: Order,
    report: Report,
    screen: "Screen",
    here: Identity,
    *,
    strict: bool,
) -> None:
    def tell(found: Failure | NotPicture) -> None:
        if isinstance(found, Failure):
            screen.say(failure_line(found))
        elif strict:
            screen.say(f"no picture: {plain(found.file)}")

    workers = wiring.worker_count(settings)
    pool = wiring.engine(settings, workers)
    task = asyncio.current_task()
    assert task
    with suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    drawing = asyncio.create_task(_draw(order.root, here, report, screen)) if screen.is_terminal else None
    try:
        await pool.start()
        work = FolderRun(pool, place, order, report, workers=workers, tell=tell)
        await work.run(candidates.among(walk(order.root, here)))
    finally:
        if drawing:
            drawing.cancel()
        await pool.close()


async def _draw(root: Path, here: Identity, report: Report, screen: "Screen") -> None:
    """Count the files, some at a time, and show how far the work is, until cancelled."""
    begun, total, met, counted = time.monotonic(), 0, walk(root, here), False
    while True:
        if not counted:
            some = await asyncio.to_thread(lambda: list(islice(met, _COUNTED_AT_ONCE)))
            total += sum(isinstance(one, File) for one in some)
            counted = not some
        seconds = time.monotonic() - begun
        columns = shutil.get_terminal_size().columns
        screen.draw(bar(report, total, counted=counted, seconds=seconds, columns=columns))
        await asyncio.sleep(_DRAWN_EVERY_S if counted else 0)


class Screen:
    """Lines, and on a terminal one more below them that is drawn again and again.

    Where they cannot be written any more (nobody reads, a full disk), they are not, and the work goes on.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._drawn = ""
        self.is_terminal = out.isatty()

    def say(self, line: str) -> None:
        """A line that stays."""
        self.clear()
        self._write(f"{line}\n")

    def draw(self, line: str) -> None:
        """The line below them, if this is a terminal."""
        if self.is_terminal and line != self._drawn:
            self._write(f"{_CLEAR}{line}")
            self._drawn = line

    def clear(self) -> None:
        """Take the line below away."""
        if self._drawn:
            self._write(_CLEAR)
            self._drawn = ""

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            _drop(self._out)
