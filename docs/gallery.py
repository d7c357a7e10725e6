"""Make the gallery: every operation on one photograph, by the engine itself.

python docs/gallery.py            render all pictures to docs/gallery, and write docs/reference/gallery.md
python docs/gallery.py --check    exit 1 where the page is not what the model's operations make it; renders nothing

Nothing calls it but people: a new operation without an example fails the check, which a test runs.
"""

import argparse
import inspect
import io
import sys
from collections.abc import Callable
from pathlib import Path

import operations  # beside this file
from msgspec import Struct
from PIL import Image

import imagemill
from imagemill.dialects.native import Native
from imagemill.dialects.native.description import DESCRIBE
from imagemill.dialects.native.reading import Reader
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.layers import Given
from imagemill.engines.vips import Vips
from imagemill.model.media import Rendition
from imagemill.model.recipe import Encode, sources
from imagemill.model.request import ImageRequest
from imagemill.plan.prepare import prepare
from imagemill.settings import Engine, Limits

DOCS = Path(__file__).parent
PAGE = DOCS / "reference" / "gallery.md"
PICTURES = DOCS / "gallery"
PHOTOGRAPH = Path(imagemill.__file__).parent / "samples" / "dandelion.jpg"
MOST_BYTES = 700_000
"""Of all pictures together: whoever clones the repository has them, too."""
SMALL, SAVED = "width=240", "format=webp&quality=60"
WATERMARK = "watermark=local:sample/dandelion.jpg"


class Example(Struct, frozen=True):
    """One picture of the gallery."""

    operation: str
    """Tag of its type in the model."""
    query: str
    """What the URL says beside source, format and quality."""
    of: str = "photograph"
    """What it is made of: one of `SOURCES`."""


def _small(operation: str, *queries: str, of: str = "photograph") -> list[Example]:
    """Examples that only have to be shown small."""
    return [Example(operation, f"{query}&{SMALL}" if query else SMALL, of) for query in queries]


EXAMPLES = [
    *_small("frames", "", "page=6&frames=1", "delay=60&sepia=80&radius=40", of="animation"),
    Example("density", "density=288", "drawing"),
    *_small("auto_orient", "", "orient=0", of="turned"),
    *_small("trim", "", "trim=10", of="framed"),
    *_small("crop", "crop=1000,400,1200,800", "crop=1200,800&gravity=west", "crop=1800,1800&gravity=entropy"),
    *_small("aspect_crop", "aspect=21:9", "aspect=1:1&focus=0.6,0.5", "aspect=1:1&gravity=attention"),
    *_small("rotate", "rotate=180"),
    *_small("flip", "flip=1"),
    *_small("flop", "flop=1"),
    *_small("tilt", "tilt=-12.5", "tilt=8&fill=ffd166"),
    Example("resize", "width=240&height=240"),
    Example("resize", "width=240&height=240&fit=cover"),
    Example("resize", "width=240&height=240&fit=contain&background=ffd166"),
    Example("resize", "width=240&height=240&fit=contain&fill=blur"),
    Example("resize", "width=240&height=240&fit=fill"),
    Example("resize", "width=8p"),
    *_small("blur", "blur=4"),
    *_small("sharpen", "sharpen=2"),
    *_small("unsharp", "unsharp=2,200,0"),
    *_small("pixelate", "pixelate=12"),
    *_small("brightness", "brightness=25"),
    *_small("contrast", "contrast=40"),
    *_small("saturation", "saturation=80"),
    *_small("hue", "hue=120"),
    *_small("gamma", "gamma=2"),
    *_small("grayscale", "grayscale=1"),
    *_small("sepia", "sepia=80"),
    *_small("negate", "negate=1"),
    *_small("tint", "tint=4a90d9"),
    *_small("duotone", "duotone=1b1464,ffd166"),
    *_small("colorize", "colorize=e6394680"),
    *_small("gradient", "gradient=00000000,000000cc,180,0.4,1"),
    *_small("round", "radius=30", "radius=0,80,0,80"),
    *_small("mask", "mask=circle", "mask=star", "mask=heart"),
    Example("extend", "width=200&extend=240,200&fill=1b1464"),
    Example("extend", "width=240&extend=4:3&fill=blur"),
    Example("pad", "width=200&pad=20&fill=ffd166"),
    *_small(
        "layer",
        f"{WATERMARK}&wm_scale=0.35&wm_gravity=southeast&wm_x=10&wm_y=10&wm_ops=round:max&wm_shadow=3,3,4",
        f"{WATERMARK}&wm_scale=0.25&wm_tile=1&wm_opacity=60&wm_blend=screen",
        f"{WATERMARK}&wm_scale=0.4&wm_rotate=20&wm_ops=negate",
    ),
    *_small(
        "text",
        "text=Dandelion&text_gravity=south&text_y=12&text_shadow=1,1,2",
        "text=So%20much%20text%20that%20it%20has%20to%20be%20wrapped&text_width=200&text_align=center&text_size=24"
        "&text_color=ffd166",
        "text=%C2%A9&text_font=DejaVu%20Sans%20Bold&text_size=90&text_rotate=-20&text_opacity=50",
    ),
    *_small("background", "mask=ellipse&background=1b1464"),
    Example("encode", "width=240&format=webp&quality=5"),
    Example("encode", "width=240&format=webp&max_bytes=3000"),
    Example("encode", "width=240&format=png&colors=8&dither=0"),
    Example("encode", "width=240&format=jpeg&quality=60&progressive=1"),
]
INTRO = f"""Every operation on one photograph, in the order in which they are done. All pictures come from this engine, by
`python docs/gallery.py`; each was asked for by what stands below it, behind `/image?source=local:sample/dandelion.jpg&` and, where no format
is named, with `&{SAVED}` at the end. What an operation means to the last bit stands with [operations](operations.md),
all values with [parameters](parameters.md).
"""
_WORDS = {
    "animation": "Of an animation that goes nearer and nearer to the photograph's middle, in eight frames.",
    "drawing": "Of an SVG of 80 pixels a side.",
    "turned": "Of a copy that lies on its side, and whose EXIF says so.",
    "framed": "Of a copy with a white border.",
}


def readers() -> list[Reader]:
    """All that change a picture, in their order."""
    return [reader for reader in operations.readers() if reader is not DESCRIBE]


def title(reader: Reader) -> str:
    """Tag of the operation that *reader* makes."""
    return str(operations.type_of(reader).__struct_config__.tag)


def page() -> str:
    """The whole page; or `SystemExit`, where the examples and the model's operations are not the same."""
    shown, known = {e.operation for e in EXAMPLES}, {title(reader) for reader in readers()}
    if shown != known:
        raise SystemExit(f"docs/gallery.py: no example, or no operation: {', '.join(sorted(shown ^ known))}")
    lines = ["# Gallery", "<!-- made by docs/gallery.py -->\n", INTRO]
    for reader in readers():
        lines += _section(reader)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(reader: Reader) -> list[str]:
    tag = title(reader)
    kind = operations.type_of(reader)
    words = (inspect.getdoc(kind) or "").splitlines()[0].replace("``", "`")
    names = ", ".join(f"`{name}`" for name in reader.parameters)
    lines = [f"## {tag}", "", f"{words} [{names}](operations.md#{tag})", ""]
    mine = [example for example in EXAMPLES if example.operation == tag]
    if of := _WORDS.get(mine[0].of):
        lines += [of, ""]
    if not any(isinstance(made, kind) for example in mine for made in request(example).recipe):
        raise SystemExit(f"docs/gallery.py: no example asks for {tag}")
    for example in mine:
        lines += [f"![{tag}](../gallery/{name(example)})", "", f"`{example.query}`", ""]
    return lines


def name(example: Example) -> str:
    """File of its picture."""
    same = [e for e in EXAMPLES if e.operation == example.operation]
    number = f"-{same.index(example) + 1}" if len(same) > 1 else ""
    encode = request(example).recipe[-1]
    assert isinstance(encode, Encode)
    assert encode.format
    return f"{example.operation}{number}.{encode.format}"


def request(example: Example) -> ImageRequest:
    """What its URL asks for."""
    saved = "" if "format=" in example.query else f"&{SAVED}"
    return Native(Limits(), str).parse(f"source=local:sample/dandelion.jpg&{example.query}{saved}".encode())


def made(body: bytes, example: Example) -> Rendition:
    """Its picture, of *body*."""
    limits = Limits()
    plan = prepare(request(example), limits)
    layers = Given({named: memoryview(PHOTOGRAPH.read_bytes()) for named in sources(plan.recipe)})
    task = Task(plan.recipe, plan.candidates)
    (rendition,) = Vips(limits, Engine()).run(memoryview(body), probe(memoryview(body)), [task], layers)
    return rendition


def _animation() -> bytes:
    with Image.open(PHOTOGRAPH) as whole:
        boxes = [(150 * n, 100 * n, 3000 - 150 * n, 2000 - 100 * n) for n in range(8)]
        frames = [whole.resize((240, 160), box=box, reducing_gap=3) for box in boxes]
    return _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=150, loop=0, quality=90)


def _turned() -> bytes:
    with Image.open(PHOTOGRAPH) as whole:
        lying = whole.resize((600, 400)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise is to be made (EXIF 2.32)
    return _saved(lying, "JPEG", exif=exif.tobytes(), quality=95)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _framed() -> bytes:
    return made(PHOTOGRAPH.read_bytes(), Example("pad", "width=600&pad=70&fill=fff&format=png")).body


def _drawing() -> bytes:
    petals = "".join(
        f'<ellipse cx="40" cy="18" rx="7" ry="16" transform="rotate({turn} 40 40)"/>' for turn in range(0, 360, 30)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80">
      <g fill="#ffd166" stroke="#e09f3e">{petals}</g><circle cx="40" cy="40" r="9" fill="#e09f3e"/></svg>""".encode()


SOURCES: dict[str, Callable[[], bytes]] = {
    "photograph": PHOTOGRAPH.read_bytes,
    "animation": _animation,
    "turned": _turned,
    "framed": _framed,
    "drawing": _drawing,
}


def main() -> int:
    """Write the gallery, or look whether its page holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    text = page()
    names = {name(example) for example in EXAMPLES}
    if parser.parse_args().check:
        held = {path.name for path in PICTURES.iterdir()}
        stale = [] if PAGE.exists() and PAGE.read_text() == text and held == names else [PAGE.name]
        print(*(f"{page}: run python docs/gallery.py" for page in stale), sep="\n", file=sys.stderr)
        return bool(stale)
    bodies = {kind: make() for kind, make in SOURCES.items()}
    pictures = {name(example): made(bodies[example.of], example).body for example in EXAMPLES}
    size = sum(map(len, pictures.values()))
    if size > MOST_BYTES:
        raise SystemExit(f"docs/gallery: {size} > {MOST_BYTES} bytes")
    PICTURES.mkdir(exist_ok=True)
    for path in PICTURES.iterdir():
        path.unlink()
    for file, body in pictures.items():
        (PICTURES / file).write_bytes(body)
    PAGE.write_text(text)
    print(f"{len(pictures)} pictures, {size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
