"""Score pictures: SSIMULACRA2, and SSIM as a second opinion, against what Pillow's Lanczos filter makes of the source.

`Judge` installs what that takes (PyPI: ssimulacra2, scikit-image) into an environment of its own below the bench's work
folder, once, and asks a process there. Alone, this file is that process: a line of JSON in, a line of JSON out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

PAPERS = ("black", "white")
OPAQUE = 255
NEEDS = ("ssimulacra2==0.3.0", "scikit-image>=0.26", "pillow>=12.3", "numpy>=2")
EVERY = 8
"""Of an animation, this frame and its multiples are looked at."""


class Judge:
    """The process that scores."""

    def __init__(self, work: Path) -> None:
        home = work / "judge"
        if not (home / "done").exists():
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            subprocess.run([home / "bin/python", "-m", "pip", "install", "--quiet", *NEEDS], check=True)
            (home / "done").touch()
        self.pictures = next(home.glob("lib/python*/site-packages/skimage/data"))
        self._process = subprocess.Popen(
            [home / "bin/python", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, source: Path, answer: Path, *, cover: bool = False) -> dict:
        """Scores of *answer*, which was made of *source*: `ssimulacra2` (100 = the same), `ssim` (1 = the same)."""
        print(json.dumps([str(source), str(answer), cover]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait(10)


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(scores(*json.loads(line))), flush=True)


def scores(source: str, answer: str, cover: bool) -> dict:
    """Those of a picture, or the mean of an animation's."""
    given, made = Image.open(source), Image.open(answer)
    frames = range(0, getattr(made, "n_frames", 1), EVERY)
    each = [frame_scores(given, made, n, cover) for n in frames]
    return {name: sum(one[name] for one in each) / len(each) for name in each[0]}


def frame_scores(given: Image.Image, made: Image.Image, n: int, cover: bool) -> dict:
    """Those of one frame; of transparency the worse of what is seen on black and on white."""
    given.seek(n)
    made.seek(n)
    pair = reference(given.convert("RGBA"), made.size, cover), made.convert("RGBA")
    seen = [[Image.alpha_composite(Image.new("RGBA", one.size, paper), one) for one in pair] for paper in PAPERS]
    seen = seen if pair[1].getextrema()[3][0] < OPAQUE else seen[:1]
    return {"ssimulacra2": min(map(ssimulacra2, seen)), "ssim": min(map(ssim, seen))}


def reference(picture: Image.Image, size: tuple[int, int], cover: bool) -> Image.Image:
    """*picture* scaled by Pillow; *cover*: what sticks out of the box is cut away, evenly."""
    if cover:
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def ssimulacra2(pair: list[Image.Image]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{n}.png" for n in range(2)]
        for one, path in zip(pair, paths, strict=True):
            one.convert("RGB").save(path, compress_level=1)
        return float(compute_ssimulacra2(*paths))


def ssim(pair: list[Image.Image]) -> float:
    return float(structural_similarity(*(np.asarray(one.convert("L")) for one in pair)))


if __name__ == "__main__":
    import numpy as np  # these are there in the judge's environment only
    from PIL import Image, ImageOps
    from skimage.metrics import structural_similarity
    from ssimulacra2 import compute_ssimulacra2

    main()
