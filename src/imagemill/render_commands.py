"""``imagemill render``: one file, or a folder of them; ``imagemill info``: what there is to be told of one."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from imagemill import folder_command, wiring, wiring_layers
from imagemill.configuration import config_path, load
from imagemill.engines.base import Made, Task
from imagemill.folder.names import promised
from imagemill.model.errors import SettingsError, SourceTooLarge
from imagemill.model.media import EXTENSIONS
from imagemill.model.request import ImageRequest, Plan, SourceRef
from imagemill.plan.prepare import prepare
from imagemill.settings import Settings

Command = Callable[[argparse.Namespace], int]
Add = Callable[[Any, str, Command, str, str], Any]
"""Makes the parser of a command: where, its name, what runs it, what it does in a line, and more on it."""

_OK, _FAILED = 0, 1
_NOT_FOR_FILES = frozenset({"source", "ttl", "tags", "expires", "filename", "attachment"})
_FOLDERS = """
Of a folder, all pictures below it are rendered into the folder OUT, which gets the same tree; on all cores. What is in
OUT already is kept, so a second run goes on where the first one was interrupted. Hidden files and links are left aside.

  imagemill render photo.jpg -o small.webp --width 512
  imagemill render photos -o small --width 512 --format webp

exit status  0 all is made, or was there
             1 something failed; each file is named with its reason, and the others are made
             2 wrong use, or a setting that is wrong
             130 interrupted (Ctrl-C); what is in OUT is whole"""

_TELLING = """
The same as GET /info answers, of a file: what its header says, and with the options below its metadata, colours and
hashes. Operations are done first; colours and hashes are then those of what they make.

  imagemill info photo.jpg
  imagemill info photo.jpg --metadata 1 --palette 5 --blurhash 1 --width 300 --height 300 --fit cover"""


def add(commands: Any, command: Add) -> None:
    """Add ``render`` and ``info`` to *commands*."""
    parser = command(
        commands, "render", _render, "Transcode a file, or all of a folder, in the same isolated workers", _FOLDERS
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a JPEG, PNG, WebP, AVIF or GIF; or a folder")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT",
        help="a file (default: FILE's name, with the new format's suffix); for a folder, another folder",
    )  # fmt: skip
    parser.add_argument("--overwrite", "--force", action="store_true", help="write over what is there")
    folder_command.add_options(parser)
    _add_parameters(parser, wiring.PARAMETERS)
    parser = command(commands, "info", _info, "Tell what there is to be told of a picture, as JSON", _TELLING)
    parser.add_argument("file", type=Path, metavar="FILE", help="a picture")
    _add_parameters(parser, wiring.DESCRIBING)


def _add_parameters(parser: Any, parameters: tuple[wiring.Parameter, ...]) -> None:
    for parameter in parameters:
        if parameter.name not in _NOT_FOR_FILES:
            flags = [f"--{parameter.name}"] + (
                [f"-{parameter.alias}"] if len(parameter.alias) == 1 and parameter.alias != "h" else []
            )
            parser.add_argument(*flags, dest=f"p_{parameter.name}", metavar=parameter.values.replace("%", "%%"),
                                help=parameter.meaning.replace("%", "%%"))  # fmt: skip


def _info(arguments: argparse.Namespace) -> int:
    """What ``GET /info`` would answer."""
    settings, given = _asked(arguments)
    request = ImageRequest(SourceRef("file", ""), wiring.native(settings).description(given))
    plan = prepare(request, settings.limits)
    try:
        source = _read(arguments.file, settings.limits.source_bytes)
    except OSError as e:
        print(f"imagemill: {arguments.file}: {e.strerror}", file=sys.stderr)
        return _FAILED
    made = asyncio.run(_render_one(settings, source, plan))
    sys.stdout.buffer.write(made.rendition.body)
    return _OK


def _asked(arguments: argparse.Namespace) -> tuple[Settings, dict[str, str]]:
    """The settings, and the parameters that were given."""
    settings = load(arguments.config or config_path(), os.environ, {"signing": {"mode": "unsigned"}})
    given = {k.removeprefix("p_"): v for k, v in vars(arguments).items() if k.startswith("p_") and v is not None}
    return settings, given


def _render(arguments: argparse.Namespace) -> int:
    settings, given = _asked(arguments)
    if arguments.file.is_dir():
        return folder_command.run(arguments, settings, _plan(settings, given))
    if wrong := folder_command.only_for_folders(arguments):
        raise SettingsError(f"{wrong} is for folders, and {arguments.file} is none")
    out: Path | None = arguments.output
    if out and "format" not in given:
        given["format"] = _format_of(out)
    return _render_file(arguments.file, out, settings, _plan(settings, given), force=arguments.overwrite)


def _plan(settings: Settings, given: dict[str, str]) -> Plan:
    """What is asked for, within the limits."""
    recipe = wiring.native(settings, own=True).recipe(given)
    return prepare(ImageRequest(SourceRef("file", ""), recipe), settings.limits)


def _render_file(file: Path, out: Path | None, settings: Settings, plan: Plan, *, force: bool) -> int:
    if out and not _writable(out, force=force):
        return _FAILED
    try:
        source = _read(file, settings.limits.source_bytes)
    except OSError as e:
        print(f"imagemill: {file}: {e.strerror}", file=sys.stderr)
        return _FAILED
    made = asyncio.run(_render_one(settings, source, plan))
    named = out or file.with_suffix(f".{made.rendition.format}")
    if not out and not _writable(named, force=force):
        return _FAILED
    try:
        with named.open("wb" if force else "xb") as opened:  # it may be there by now
            opened.write(made.rendition.body)
    except FileExistsError:
        return _exists(named)
    except OSError as e:
        print(f"imagemill: {named}: {e.strerror}", file=sys.stderr)
        return _FAILED
    picture = made.rendition
    size = f"{picture.width_px} x {picture.height_px}, {len(picture.body)} bytes"
    print(f"{named}: {picture.format}, {size}, {made.stages.cpu_ms:.0f} ms of CPU")
    return _OK


def _read(file: Path, limit: int) -> bytes:
    """The whole file; of one that is too large, or that never ends, no more than tells."""
    with file.open("rb") as opened:
        source = opened.read(limit + 1)
    if len(source) > limit:
        raise SourceTooLarge(f"{file}: more than limits.source_bytes, {limit} bytes")
    return source


def _writable(out: Path, *, force: bool) -> bool:
    """Whether *out* may be written; says why not."""
    if out.exists() and not force:
        _exists(out)
    elif not out.parent.is_dir():
        print(f"imagemill: {out.parent}: no such folder", file=sys.stderr)
    else:
        return True
    return False


def _exists(out: Path) -> int:
    print(f"imagemill: {out} exists; --overwrite writes over it", file=sys.stderr)
    return _FAILED


async def _render_one(settings: Settings, source: bytes, plan: Plan) -> Made:
    layers = await wiring_layers.layers(settings, plan)
    pool = wiring.engine(settings, 1)
    try:
        await pool.start()
        async with aclosing(pool.run(source, [Task(plan.recipe)], layers)) as results:
            return await anext(results)
    finally:
        await pool.close()


def _format_of(out: Path) -> str:
    format_ = promised(out.name)
    if format_ is None:
        raise SettingsError(f"{out}: no format is known by that suffix; one of {', '.join(sorted(EXTENSIONS))}")
    return format_.value
