"""Where is the knee? CPU, bytes and score of every encoder's settings, over several photographs.

    python bench/knees.py [webp] [jpeg] [avif] [png]        which formats; all without
    python bench/knees.py webp -q 50                        around another quality than the default

For each setting, at the same SSIMULACRA2 as the first row has at the given quality: CPU of the encoder and bytes as parts
of the first row's (geometric mean; the worst picture), and the quality that a URL would have to ask for, which stays
near the given one where a quality keeps its look (least, most). Lossless PNG has CPU and bytes alone. The pictures are the
two photographs of this repository and those that scikit-image brings.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec import Struct

import peers
from imagemill.engines import encoders
from imagemill.engines.decoded import pyvips
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import Encode, Speed
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Steps
from imagemill.samples import __path__ as samples
from imagemill.settings import Engine
from judge import Judge

SIZES_PX = {"5mp.jpg": 800, "dandelion.jpg": 800, "astronaut.png": 512, "motorcycle_left.png": 600, "retina.jpg": 700,
            "coffee.png": 500, "chelsea.png": 400}  # fmt: skip
AROUND = (-4, 0, 4)
ROUNDS = 3


class Setting(Struct, frozen=True):
    """One row of a table."""

    name: str
    engine: Engine
    speed: Speed = Speed.BALANCED


def knob(name: str, values: range) -> list[Setting]:
    return [Setting(f"{name} {n}", Engine(**{name: n})) for n in values]


def first(settings: list[Setting], name: str) -> list[Setting]:
    return sorted(settings, key=lambda s: s.name != name)


PROFILES = [Setting(f"speed {speed}", Engine(), speed) for speed in Speed]
TABLES = {
    Format.JPEG: [
        Setting("optimized tables", Engine(jpeg_optimize=True)), Setting("standard tables", Engine(jpeg_optimize=False)),
        *PROFILES,
    ],
    Format.WEBP: first(knob("webp_effort", range(7)), "webp_effort 4"),
    Format.AVIF: first(knob("avif_effort", range(5)), "avif_effort 1"),
    Format.PNG: [
        *first(knob("png_compression", range(1, 10)), "png_compression 2"),
        *[Setting(f"png_compression {n}, all filters", Engine(png_compression=n), Speed.SMALL) for n in (2, 6, 9)],
    ],
}  # fmt: skip
DEFAULTS = {Format.JPEG: 80, Format.WEBP: 79, Format.AVIF: 63, Format.PNG: 0}


def photographs(judge: Judge, folder: Path) -> dict[str, tuple[Path, np.ndarray]]:
    """Name to the file of a scaled picture, and its rows."""
    found = {}
    for name, box_px in SIZES_PX.items():
        at = [home / name for home in (peers.WORK / "pictures", Path(next(iter(samples))), judge.pictures)]
        image = pyvips.Image.thumbnail(str(next(path for path in at if path.exists())), box_px)
        image = (image[:3] if image.bands > 3 else image).copy_memory()
        image.write_to_file(str(folder / f"{name}.png"))
        rows = np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width, image.bands)
        found[name] = folder / f"{name}.png", rows
    return found


def encoder(rows: np.ndarray, format_: Format, setting: Setting, quality: int) -> Callable[[], bytes]:
    height, width, bands = rows.shape
    steps = Steps(
        MediaInfo(format_, width, height),
        (),
        format_,
        quality,
        Size(width, height),
        1,
        encode=Encode(speed=setting.speed),
    )
    image = pyvips.Image.new_from_memory(rows, width, height, bands, "uchar").copy(interpretation="srgb")
    return lambda: (
        encoders.from_rows(rows, steps, setting.engine) or encoders.from_image(image.copy(), steps, setting.engine)
    )


def timed(makers: list[Callable[[], bytes]]) -> list[tuple[bytes, float]]:
    """What each makes, and the least of its CPU in ms: in turn, so that a busy machine is busy for all."""
    best, made = [math.inf] * len(makers), [b""] * len(makers)
    for _ in range(ROUNDS):
        for n, make in enumerate(makers):
            begun = time.process_time()
            made[n] = make()
            best[n] = min(best[n], 1e3 * (time.process_time() - begun))
    return list(zip(made, best, strict=True))


def at_score(points: list[tuple[float, float, float]], score: float) -> tuple[float, float]:
    """Logarithm of the bytes, and the quality, where *points* (score, logarithm, quality) have *score*."""
    low, high = points[:2] if score <= points[1][0] else points[1:]
    part = (score - low[0]) / ((high[0] - low[0]) or 1.0)
    return low[1] + part * (high[1] - low[1]), low[2] + part * (high[2] - low[2])


def row(setting: Setting, found: list[tuple[float, float, float]]) -> str:
    """*found*: CPU and bytes as parts of the base's, and the quality for its look; one for each picture."""
    cpu, size, quality = zip(*found, strict=True)
    mean = [math.exp(statistics.fmean(map(math.log, values))) for values in (cpu, size)]
    look = f"{min(quality):.1f}–{max(quality):.1f}" if any(quality) else "–"
    return f"| {setting.name} | {mean[0]:.2f} | {mean[1]:.3f} | {max(size):.3f} | {look} |"


def table(format_: Format, quality: int, pictures: dict, judge: Judge, folder: Path) -> list[str]:
    settings, found = TABLES[format_], {setting.name: [] for setting in TABLES[format_]}
    qualities = [quality + d for d in AROUND] if quality else [0]
    for path, rows in pictures.values():
        makers = [encoder(rows, format_, s, q) for s in settings for q in qualities]
        made, points = timed(makers), []
        for (body, _), q in zip(made, qualities * len(settings), strict=True):
            answer = folder / f"answer.{format_}"
            answer.write_bytes(body)
            points.append((judge.ask(path, answer)["ssimulacra2"] if quality else 0.0, math.log(len(body)), q))
        middle, count = len(qualities) // 2, len(qualities)
        base_score, base_bytes, base_ms = points[middle][0], points[middle][1], made[middle][1]
        for n, setting in enumerate(settings):
            mine = points[n * count : (n + 1) * count]
            size, look = at_score(mine, base_score) if quality else (mine[0][1], 0.0)
            found[setting.name].append((made[n * count + middle][1] / base_ms, math.exp(size - base_bytes), look))
    head = f"| {format_}{f', quality {quality}' if quality else ''} | CPU | bytes | bytes, worst | quality for the same look |"
    return [head, "|---" * 5 + "|", *(row(s, found[s.name]) for s in settings)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", type=Format, default=list(TABLES))
    parser.add_argument("-q", "--quality", type=int)
    arguments = parser.parse_args()
    peers.pictures.make(peers.WORK / "pictures")
    folder = peers.WORK / "knees"
    folder.mkdir(exist_ok=True)
    judge = Judge(peers.WORK)
    pictures = photographs(judge, folder)
    for format_ in arguments.formats:
        asked = DEFAULTS[format_] and (arguments.quality or DEFAULTS[format_])
        print("\n" + "\n".join(table(format_, asked, pictures, judge, folder)), flush=True)
    judge.close()


if __name__ == "__main__":
    main()
