"""Make the pictures of the benchmark from one photograph (CC0; see src/imagemill/samples/LICENSE.md).

python bench/pictures.py FOLDER
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

ORIGINAL = Path(__file__).parent / "pictures" / "12mp.jpg"


def make(folder: Path) -> None:
    """Write every picture that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "done-2").exists():
        return
    (folder / "12mp.jpg").write_bytes(ORIGINAL.read_bytes())
    big = Image.open(ORIGINAL).convert("RGB")
    big.save(folder / "12mp_prog.jpg", quality=85, progressive=True)
    mid = big.resize((2592, 1944), Image.Resampling.LANCZOS)
    mid.save(folder / "5mp.jpg", quality=85)
    big.resize((800, 600), Image.Resampling.LANCZOS).save(folder / "05mp.jpg", quality=85)
    _alpha(big.resize((2304, 1728), Image.Resampling.LANCZOS)).save(folder / "4mp_alpha.png")
    frames = [_pan(big, n) for n in range(40)]
    _mark().save(folder / "mark.png")
    frames[0].save(folder / "anim.gif", save_all=True, append_images=frames[1:], duration=50, loop=0)
    (folder / "done-2").touch()


def _alpha(picture: Image.Image) -> Image.Image:
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((80, 80, 2224, 1648), 300, fill=255)
    picture.putalpha(mask.filter(ImageFilter.GaussianBlur(25)))
    return picture


def _mark() -> Image.Image:
    """A watermark: a disc that fades out, with a hole."""
    mask = Image.new("L", (320, 320), 0)
    draw = ImageDraw.Draw(mask)
    draw.ellipse((10, 10, 310, 310), fill=200)
    draw.ellipse((110, 110, 210, 210), fill=0)
    mark = Image.new("RGBA", mask.size, (255, 255, 255, 0))
    mark.putalpha(mask.filter(ImageFilter.GaussianBlur(2)))
    return mark


def _pan(picture: Image.Image, n: int) -> Image.Image:
    width, height = 1440 + 24 * n, 810 + int(13.5 * n)
    box = (24 * n, 12 * n, 24 * n + width, 12 * n + height)
    return picture.resize((480, 270), Image.Resampling.BICUBIC, box=box)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
