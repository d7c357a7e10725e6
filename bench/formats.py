"""Which format is worth it at which size? Bytes at the same SSIMULACRA2, over photographs: what `plan.resolve` goes by.

    python bench/formats.py [--lossless] [-w 48 64 96 128 256 512]

For each width: bytes of AVIF, JPEG XL and JPEG as parts of WebP's at the score that WebP has at its default quality
(geometric mean, least, most), and the quality that has that score (mean). Without loss: bytes alone, and PNG's, too.
"""

import argparse
import math
import statistics
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_jxl  # noqa: F401 - by this Pillow reads JPEG XL
from PIL import Image

import peers
from imagemill.samples import __path__ as samples
from imagemill.settings import Engine
from judge import Judge

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from golden.mill import mill

NAMES = ("dandelion.jpg", "astronaut.png", "motorcycle_left.png", "coffee.png", "chelsea.png")
WIDTHS = (48, 64, 96, 128, 256, 448)
QUALITIES = {"avif": (40, 46, 52, 58, 64, 70), "jxl": (40, 50, 60, 70, 80, 88), "jpeg": (60, 68, 76, 82, 88, 93)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-w", "--widths", type=int, nargs="*", default=WIDTHS)
    parser.add_argument("--lossless", action="store_true")
    arguments = parser.parse_args()
    judge = Judge(peers.WORK)
    places = [Path(samples[0]), judge.pictures]
    sources = [next(place / name for place in places if (place / name).exists()) for name in NAMES]
    with tempfile.TemporaryDirectory() as folder:
        for width in arguments.widths:
            shown = lossless(sources, width) if arguments.lossless else alike(judge, Path(folder), sources, width)
            print(f"{width:5} px  {',  '.join(shown)}", flush=True)


def lossless(sources: list[Path], width: int) -> list[str]:
    parts: dict[str, list[float]] = {name: [] for name in ("avif", "jxl", "png")}
    for source in sources:
        sizes = {
            name: len(mill(source.read_bytes(), width=width, format=name, lossless=1).body) for name in ("webp", *parts)
        }
        for name, found in parts.items():
            found.append(sizes[name] / sizes["webp"])
    return [share(name, found) for name, found in parts.items()]


def share(name: str, parts: list[float]) -> str:
    return f"{name} {statistics.geometric_mean(parts):.2f} ({min(parts):.2f} to {max(parts):.2f})"


def alike(judge: Judge, folder: Path, sources: list[Path], width: int) -> list[str]:
    parts: dict[str, list[float]] = {name: [] for name in QUALITIES}
    chosen: dict[str, list[float]] = {name: [] for name in QUALITIES}
    for source in sources:
        wanted, base = made(judge, folder, source, width, "webp", Engine().webp_quality)
        for name, qualities in QUALITIES.items():
            found = [made(judge, folder, source, width, name, q) for q in qualities]
            scores, logs = zip(*sorted((score, math.log(size)) for score, size in found), strict=True)
            parts[name].append(math.exp(np.interp(wanted, scores, logs)) / base)
            chosen[name].append(float(np.interp(wanted, scores, qualities)))
    return [f"{share(name, p)} at quality {statistics.mean(chosen[name]):.0f}" for name, p in parts.items()]


def made(judge: Judge, folder: Path, source: Path, width: int, name: str, quality: int) -> tuple[float, int]:
    """Score and bytes."""
    body = mill(source.read_bytes(), width=width, format=name, quality=quality).body
    answer = folder / "x.png"
    Image.open(BytesIO(body)).save(answer)  # the judge reads no JPEG XL
    return judge.ask(source, answer)["ssimulacra2"], len(body)


if __name__ == "__main__":
    main()
