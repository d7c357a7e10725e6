"""Write the reference pages from the code, so that they cannot drift.

python docs/generate.py            rewrite the pages of PAGES, below docs/reference
python docs/generate.py --check    exit 1 where a page is not what the code says
"""

import argparse
import ast
import inspect
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

import gallery  # beside this file
import openapi  # beside this file
import operations  # beside this file
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import fields

from imagemill import cli, settings
from imagemill.dialects.native import DESCRIBING, PARAMETERS
from imagemill.model import description, errors
from imagemill.obs.metrics import DECLARED
from imagemill.storage import file, s3
from imagemill.web.problems import STATUS

HERE = Path(__file__).parent / "reference"
_NOTE = "<!-- made by docs/generate.py; change the code instead -->\n"


def parameters() -> str:
    """Every name that /image understands."""
    lines = [
        "# Parameters of /image",
        _NOTE,
        _PARAMETERS_INTRO,
        "| name | alias | values | meaning |",
        "|---|---|---|---|",
    ]
    for p in PARAMETERS:
        alias = f"`{p.alias}`" if p.alias else ""
        lines.append(f"| `{p.name}` | {alias} | {p.values.replace('|', ' &#124; ')} | {p.meaning} |")
    lines.append(
        "| `signature` | | key id, dot, base64url | Last of all, where URLs are signed. See [sign URLs](../how-to/sign.md). |"
    )
    return "\n".join(lines) + "\n\n" + _PARAMETERS_MORE


_PARAMETERS_INTRO = """`GET /image?source=…&width=512&format=webp`. Each name at most once, by its long name or its alias;
an unknown name, a repeated one or an ill-formed value is refused with 400 `bad_option`. Values are percent-decoded once, as UTF-8; a `+` is a
plus. Numbers are ASCII digits. `HEAD` and `OPTIONS` work too.
"""
_PARAMETERS_MORE = """**Order.** Whatever the order in the URL: page and frames, density, auto-orient, trim, crop, aspect, rotate, flip, flop, tilt, resize, blur, sharpen,
unsharp, pixelate, brightness, contrast, saturation, hue, gamma, grayscale, sepia, negate, tint, duotone, colorize, gradient, radius, mask, extend, pad,
watermark, text, background, encode. `ops=` says another order for what stands between auto-orient and encode, and may do a thing more than once:
`ops=resize:300/blur:2/resize:600;enlarge=1`; then no other parameter may change pixels. The [gallery](gallery.md) shows each, [operations](operations.md) defines it.

**Frames.** Of an animation every operation works on every frame; what needs another kind of picture is refused, nothing is left out in silence.
`page` is the first frame (or the page of a TIFF, the picture of an icon) that is read, counted from 0, `frames` how many; `loop` and `delay` say how the
result is played.

**Fits.** `inside`: the largest size that fits in the box. `outside`: the smallest that covers it. `cover`: fills the box, what sticks
out is cut off at `gravity` or around `focus`. `contain`: inside, then filled up to the box with `background` (transparent where the format
has transparency, else white). `fill`: stretched. With one side only, the proportions decide, whatever the fit. Without `enlarge=1` nothing
is scaled up: a smaller picture keeps its size (and `cover` cuts it to the box where it sticks out). What `contain` adds is `fill`, where that
is named.

**Percent and minimum.** `width=50p` (or `50%25`) is a share of the width that the picture has by then: turned upright, trimmed and cropped. The
other side follows, or has a value of its own; more than `100p` needs `enlarge=1`. `min_width` and `min_height` win over the box: the picture is
scaled, proportions held, until it is no smaller than either (with `fit=fill`, each side by itself); what then sticks out of the box stays, but for
`cover`. Without `enlarge=1` they scale nothing above the picture's own size either, unlike imgproxy's, which always do.

**Trim.** A pixel is border where none of red, green, blue (each as dense as the pixel is) and alpha is further than `trim` from the border's colour.
There is no smoothing: a line of one pixel is picture. Of an animation, what any frame needs stays. A picture that is all border stays as it is.

**Found by the picture.** `gravity=attention` puts what draws the eye (edges, saturated colours, skin) into the middle, as far as the edges allow;
`smart` is another name for it. `entropy` keeps where most happens. `face` keeps as much of the faces as it can, the largest sixteen, those it
holds in the middle; where there is none, it is `attention`. It sees upright faces that look this way, from a twelfth of the longer side on, and
needs the extra `imagemill[faces]` in the service's environment: without it, the answer is 501, `not_supported`. Of an animation, the first frame
decides for all. What is found is a matter of the detector's version, too; name `crop` or `focus` where it must not move.

**Tilt, extend, pad.** `tilt` turns about the middle; the sides become `|w cos| + |h sin|` and `|w sin| + |h cos|`, rounded up to whole pixels.
`extend=w,h` leaves a side alone that is larger already; `extend=16:9` adds to one side only. What is added, and the corners of a tilt, is `fill`;
else `background`; else nothing, which is white where the format has no transparency. `fill=blur` is the picture itself, scaled to cover all, blurred
with a sigma of a fortieth of the longer side.

**Look.** Colours are changed as sRGB stores them; the formulas stand in `model/operations/look.py`. Transparency is kept as it is,
and what lies outside of `radius` or `mask` is transparent: formats that cannot hold that show `background` there, or white. Lengths and
sigmas are in output pixels. A value without any effect (`brightness=0`) is refused.

**Density of screens.** `dpr` multiplies all that is a length in pixels of the result, so that it looks alike on every screen: `width`, `height`,
their minima, `extend=w,h`, `pad`, `blur`, `sharpen` and `unsharp` (their sigmas), `pixelate`, `radius`, `wm_x`, `wm_y`, `wm_shadow`, `text_size`
(the default, too), `text_width`, `text_x`, `text_y`, `text_shadow`. Bounds hold for the products. `crop` is of the source and stays; so does a
watermark's own width: give it a share of the picture by `wm_scale`. In `ops` each operation has a `dpr` of its own.

**Formats.** [Formats](../explanation/formats.md) tells which are read, what is made of each, and what each that is written can be
asked for; everything else is 415. `keep` answers in the source's
format where that is written; else with PNG for BMP and ICO, and for HEIC with JPEG, or PNG where it has transparency. What moves stays animated where
the result is GIF, WebP, APNG or AVIF; elsewhere the first frame counts, or the one that `page` names. A page that is not there is 422
`page_missing`. `auto` takes the first of what `negotiation.formats` offers that `Accept` names and that is worth it (AVIF from 64 x 64 pixels on, and where writing it fits
`engine.avif_budget_s`), else PNG where there is transparency, else JPEG; what moves becomes WebP where that is offered and accepted, else GIF; the answer then carries `Vary: Accept`. `quality` is then one look
for all clients, and the number WebP's. Metadata is removed and colours are brought to sRGB, unless `metadata` and `colorspace` say otherwise.

**Hints.** Where `negotiation.client_hints` is on, `width=auto` is as wide as the client says it will show the picture (`Sec-CH-Width`, rounded up
to 160, 320, 480, 640, 800, 960, 1280, 1600, 1920, 2560 or 3840; `width=auto:640` says what it is for clients that do not), `dpr=auto` what its
screen has (`Sec-CH-DPR`: 1, 1.5, 2, 3 or 4), and a client with `Save-Data: on` gets `negotiation.save_data_quality` where the URL names no
quality. The answer says in `Vary` what it was asked for. Elsewhere `auto` is a 400.

**Presets.** `preset=thumb` stands for the parameters that `presets.named.thumb` has; the URL's own override them, and so do those of later names
in `preset=a,b`. Where `presets.only` is on, nothing else may be asked for. `limits.widths`, `heights` and `qualities` keep numbers to a few instead.

**Lifetime.** `ttl` sets `Cache-Control: max-age` of the answer. `expires` is part of the URL: from that second on it is refused with 410,
cached or not.

**Tags.** `tags=article-4711,album:cats` names what the result can be [purged](../how-to/purge.md) by. Tags are signed like everything else,
do not change the result or where it is cached, and add up: who asks for the same result by other tags adds them.

**Saving.** `filename=cats` makes the answer say `Content-Disposition: inline; filename="cats.webp"`, `attachment=1` makes it `attachment`
(under the name `image` where no `filename` says another). The suffix is always that of the format that is answered with: another picture's
is replaced, anything else stays part of the name (`cats.exe` becomes `cats.exe.webp`). What ASCII or older clients cannot say is
an underscore there, and stands in `filename*` in UTF-8. Refused are names of more than 120 characters, slashes and backslashes, a dot or a
space in front, a space at the end, control characters, line ends, direction marks and other characters that do not show (the two joiners of
Persian, Hindi and emoji are welcome). Both are signed like everything else, and change neither the result nor where it is cached. Jobs do not have them.

**Answers** carry a strong `ETag` (a digest of the body), `Last-Modified` where the source has one, `Cache-Control`, `Age`, `X-Cache`
(`L1`, `L2`, `STALE`, `COALESCED` or `MISS`), `Server-Timing` (milliseconds: fetch, queue, handover, probe, render, cpu), `X-Request-Id` and
`X-Content-Type-Options: nosniff`. `If-None-Match` and `If-Modified-Since` are answered with 304, `If-Match` and `If-Unmodified-Since` that do not
hold with 412.

**Parts.** `Range: bytes=…` with one range is answered with 206 (first and last byte, from a byte on, or the last so many), or 416 where
nothing lies there. What is not there yet is made whole first; a part is cut from it. Several ranges, other units, ill-formed ones and `HEAD`
are answered as if nothing had been asked. `If-Range` holds for the very `ETag`; for a date, where it is the very `Last-Modified`, the source was
asked after that second, and the answer does not vary by `Accept`. The tag is the better choice: after an upgrade the same source may become other bytes.

**Other origins.** With `server.cors_origins` [set](settings.md), pages of those origins may read answers by script, errors included:
`Access-Control-Allow-Origin` and `Timing-Allow-Origin` name the origin (with `Vary: Origin`) or are `*`, and `OPTIONS` answers the
preflight of a `GET` or `HEAD` with conditions or a range. Credentials are never allowed.
"""


def info_page() -> str:
    """What /info is asked for, and what it answers."""
    own = [p for p in DESCRIBING if p not in PARAMETERS]
    lines = ["# /info", _NOTE, _INFO_INTRO, "| name | values | meaning |", "|---|---|---|"]
    lines += [f"| `{p.name}` | {p.values.replace('|', ' &#124; ')} | {p.meaning} |" for p in own]
    lines += ["", "## The answer", "", "`application/json`, and no picture of ours.", ""]
    for kind in (description.Description, description.Metadata, description.Share):
        words = _field_words(kind)
        title = "" if kind is description.Description else f"{inspect.getdoc(kind)}\n\n"
        lines += [f"{title}| field | meaning |", "|---|---|"]
        lines += [f"| `{f.name}` | {words[f.name].replace('``', '`')} |" for f in fields(kind) if f.name in words]
        lines.append("")
    return "\n".join(lines) + "\n" + _INFO_MORE


_INFO_INTRO = """`GET /info?source=…` tells what there is to be told of a picture. What its header says is always told, and no pixel
is decoded for it. [How to use it](../how-to/info.md).

It takes `source`, `ttl`, `tags`, `expires`, `preset`, `ops` and all [parameters](parameters.md) that change pixels. How it is played (`frames`, `loop`, `delay`) and written
(`format`, `quality` …) and saved (`filename`, `attachment`) is refused with 400: nothing is written; so are `width=auto` and `dpr=auto`. These are its own:
"""
_INFO_MORE = """Colours, hashes and the placeholder are those of the first frame of what the operations make, looked at from a picture of at most
100 pixels a side, so they differ in their last digits from those of other programs, which shrink differently.

`phash` is the hash of the Python package ImageHash of the same name: the 64 lowest frequencies of the cosine transform of a picture of
32 by 32 greys, row by row; a bit is set where one is above their median. Count the bits in which two differ: up to about 10, they show
the same.

`palette` is found by k-means in Oklab, without chance: the same pixels always have the same palette.

Texts of metadata are what strangers wrote: control characters are replaced, each is cut at 2,000 characters, and they are data, not HTML.

Everything else is as with `/image`: [signatures](../how-to/sign.md) (one for `/image` is none for `/info`), limits, caches, purges,
`ETag`, conditions, ranges, [errors](errors.md). There is no [fallback](../how-to/fallback.md): it would tell of another picture. Jobs do not have it.
"""


def settings_page() -> str:
    """Every setting, its default and what it means."""
    lines = ["# Settings", _NOTE, _SETTINGS_INTRO]
    for table in fields(settings.Settings):
        if isinstance(table.type, type) and issubclass(table.type, Struct):
            lines += _table(table.type)
    lines += [_STORAGE, *_table(file.Settings), *_table(s3.Settings)]
    return "\n".join(lines)


def _table(kind: type[Struct]) -> list[str]:
    """The section of one table."""
    lines = [f"## {inspect.getdoc(kind) or ''}", "", "| name | values | default | meaning |", "|---|---|---|---|"]
    words = _field_words(kind)
    for field in fields(kind):
        default = "" if field.default is NODEFAULT else _shown(field.default)
        lines.append(f"| `{field.name}` | {_values(field.type)} | {default} | {words[field.name]} |")
    return [*lines, ""]


_SETTINGS_INTRO = """One TOML file (`--config FILE` or `IMAGEMILL_CONFIG`), then the environment over it: `IMAGEMILL_SERVER__PORT=9000`
sets `port` in `[server]`; values are TOML, and what is not TOML is a string. An unknown name stops the start and
comes with the nearest valid one; a value of another kind or beyond its bounds stops it too. `imagemill serve --check` checks and starts nothing; `imagemill serve --print-config` prints what is in force, secrets masked.
"""
_STORAGE = """## Stores

A store's `<name>` is 1 to 40 of a-z A-Z 0-9 . - _ and its `kind` says which of these tables it has.
"""


def _values(kind: object) -> str:
    """What a setting may be, from its type: choices, or bounds."""
    if type(None) in get_args(kind):
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return ", ".join(f'`"{choice}"`' for choice in get_args(kind))
    metas = [m for m in getattr(kind, "__metadata__", ()) if isinstance(m, Meta)]
    for meta in metas:
        low = f"≥ {meta.ge}" if meta.ge is not None else f"> {meta.gt}" if meta.gt is not None else ""
        high = f"≤ {meta.le:.12g}" if meta.le is not None and meta.le < settings.MOST else ""
        return ", ".join(filter(None, (low, high)))
    return ""


def _field_words(kind: type[Struct]) -> dict[str, str]:
    """Docstrings below fields."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(tree, ast.ClassDef)
    words = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            words[field.target.id] = " ".join(str(text.value.value).split())
    return words


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, int) and default >= 1 << 20 and default % (1 << 20) == 0:
        return f"`{default}` ({default >> 20} MiB)"
    if isinstance(default, tuple):
        return f"`{list(default)}`"
    return f"`{default!r}`".replace("'", '"')


def errors_page() -> str:
    """Every error code, its status and what it means."""
    lines = ["# Errors", _NOTE, _ERRORS_INTRO, "| status | code | retryable | meaning |", "|---|---|---|---|"]
    rows: dict[tuple[int, str, str], list[str]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.ImagemillError) and kind in STATUS:
            meaning = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
            row = rows.setdefault((STATUS[kind], kind.code, "yes" if kind.retryable else "no"), [])
            row += [meaning] if meaning not in row else []
    table = [
        f"| {status} | `{code}` | {again} | {' '.join(rows[status, code, again])} |"
        for status, code, again in sorted(rows)
    ]
    later = [
        f"| `{kind.code}` | {'yes' if kind.retryable else 'no'} | {(inspect.getdoc(kind) or '').split(chr(10))[0]} |"
        for kind in (errors.JobCrashed, errors.StoreCorrupt)
    ]
    return "\n".join([*lines, *table, _ERRORS_OF_JOBS, *later, _ERRORS_UNFORESEEN]) + "\n"


_ERRORS_OF_JOBS = """
## Of jobs alone

The `error` of a [job](jobs.md#a-job) has a code of the table above, or one of these, which no answer has:

| code | retryable | meaning |
|---|---|---|"""
_ERRORS_UNFORESEEN = "| `internal` | yes | What nobody foresaw; the log of the job process has it. |"
_ERRORS_INTRO = """Every error is an RFC 9457 problem (`application/problem+json`): `type`, `title`, `status`, `detail`, `code`, `request_id`,
`retryable`, and `limit` where one was met. `code` is for programs and stays as it is. Nothing a caller sends leads to a 500.
"""


def metrics_page() -> str:
    """Every metric."""
    lines = [
        "# Metrics",
        _NOTE,
        _METRICS_INTRO,
        "| name | type | labels | of jobs | meaning |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {'yes' if m.of_jobs else ''} | {m.meaning} |"
        for m in DECLARED
    ]
    return "\n".join(lines) + "\n"


_METRICS_INTRO = """On the admin port, at `/metrics`. Labels have few values; none is ever a URL, a host or a key.

`serve` shows those *of jobs* of the process that it started for them; counters and histograms of both are added up, so they fall back in
part when that process is replaced. `imagemill worker` shows its own on `jobs.admin_port`.
"""


def commands_page() -> str:
    """Every command, its options, and what its exit status says."""
    parser = cli.parser()
    lines = ["# Commands", _NOTE, _COMMANDS_INTRO, *_described(parser.epilog or "")]
    for command in _leaves(parser):
        lines += ["", f"## {command.prog}", "", *_described(command.description or "")]
        lines += ["", "| | |", "|---|---|", *map(_argument, _arguments(command))]
    return "\n".join(lines) + "\n"


_COMMANDS_INTRO = """`imagemill COMMAND …`; `-h` says the same in a terminal. Answers go to standard output, complaints and logs to standard error.
`--config` reads [settings](settings.md); without it `IMAGEMILL_CONFIG` names the file, and without that there is only the environment.
"""


def _leaves(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Commands that have no commands of their own, in their order."""
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]  # noqa: SLF001 - argparse shows it nowhere else
    return [leaf for action in below for child in action.choices.values() for leaf in _leaves(child)] or [parser]


def _arguments(command: argparse.ArgumentParser) -> list[argparse.Action]:
    own = [a for a in command._actions if a.dest != "help"]  # noqa: SLF001 - as above
    return sorted(own, key=lambda action: bool(action.option_strings))


def _argument(action: argparse.Action) -> str:
    """One row: how it is written, and what it is for."""
    value = action.metavar or ("\\|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    takes = "" if action.nargs == 0 else f" {value}".replace("|", "\\|").replace("\\\\|", "\\|")
    written = ", ".join(f"`{flag}{takes}`" for flag in action.option_strings) or f"`{value}`"
    more = "; required" if action.required and action.option_strings else ""
    several = " …" if action.nargs == "+" else ""
    return f"| {written}{several} | {(action.help or '').replace('%%', '%').replace('|', chr(92) + '|')}{more} |"


def _described(text: str) -> list[str]:
    """The words of ``-h``: paragraphs as such, what is set out by hand as it stands."""
    lines: list[str] = []
    for part in text.replace("%%", "%").strip("\n").split("\n\n"):
        block = "\n".join(line.rstrip() for line in part.strip("\n").splitlines())
        by_hand = any(line.startswith("  ") for line in block.splitlines())
        first, _, rest = block.partition("\n")
        if by_hand and not first.startswith((" ", "exit status")):
            lines += [first, ""]
            block = rest
        lines += ["```text", block, "```", ""] if by_hand else [block, ""]
    return lines[:-1]


def openapi_page() -> str:
    """The job interface for machines."""
    return openapi.document(HERE / "jobs.md")


def operations_page() -> str:
    """Every operation."""
    return operations.page(_NOTE)


PAGES = {
    "openapi.json": openapi_page,
    "commands.md": commands_page,
    "parameters.md": parameters,
    "info.md": info_page,
    "operations.md": operations_page,
    "gallery.md": gallery.page,  # its pictures are made by docs/gallery.py
    "settings.md": settings_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
}


def main() -> int:
    """Write or check every page."""
    stale = []
    for name, make in PAGES.items():
        page, text = HERE / name, make()
        if "--check" in sys.argv:
            stale += [name] if not page.exists() or page.read_text() != text else []
        else:
            page.write_text(text)
    if stale:
        print(f"out of date: {', '.join(stale)}; run python docs/generate.py", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    raise SystemExit(main())
