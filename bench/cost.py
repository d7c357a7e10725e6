"""Does the estimate of a render's cost hold? CPU of a worker against `plan.cost`, over random recipes (threat R09).

    python bench/cost.py [recipes] [--all] [--texts] [--info] [--with=Chosen]

For each recipe: estimated CPU, CPU a worker took (the least of three), and estimate / actual. The promise: actual is at
most twice the estimate, for every recipe; and the estimate is seldom more than five times too high. ``--all`` prints
every recipe, else the worst ones; ``--texts`` has a text in each; ``--info`` asks what is told of the pictures in place of
making them; ``--with`` draws only recipes that have such a step (of `plan.steps`: ``Chosen`` is a smart crop). The seed is
fixed; the sources are the sample photograph and pictures made here.
"""

import asyncio
import random
import statistics
import sys
from contextlib import aclosing
from io import BytesIO

import numpy as np
from msgspec.structs import replace
from PIL import Image

from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.pool import Pool
from imagemill.model.errors import ImagemillError
from imagemill.model.media import LOSSY, Format
from imagemill.model.recipe import (
    AspectCrop,
    AutoOrient,
    Background,
    Blend,
    Blur,
    Brightness,
    Colorize,
    Contrast,
    Crop,
    Describe,
    Detect,
    Duotone,
    Encode,
    Extend,
    Fill,
    Fit,
    Flip,
    Flop,
    Gamma,
    Gradient,
    Gravity,
    Grayscale,
    Hue,
    Layer,
    Mask,
    Negate,
    Pad,
    Pixelate,
    Place,
    Position,
    Resize,
    Rotate,
    Round,
    Saturation,
    Sepia,
    Shadow,
    Shape,
    Sharpen,
    SourceRef,
    Space,
    Speed,
    Subsampling,
    Text,
    Tilt,
    Tint,
    Trim,
    Unsharp,
    sources,
)
from imagemill.plan.cost import estimate_us
from imagemill.plan.geometry import Box
from imagemill.plan.operations.encoding import ABILITIES
from imagemill.plan.prepare import check, normal
from imagemill.plan.resolve import check_output, resolved
from imagemill.plan.steps import Overlay
from imagemill.samples import __path__ as samples
from imagemill.settings import Engine, Limits

LIMITS = Limits(cpu_s=1000.0)
ENGINE = Engine(deadline_s=25.0, max_jobs=10**6)
OUT = [Format.JPEG, Format.JPEG, Format.WEBP, Format.WEBP, Format.PNG, Format.AVIF, Format.GIF, Format.APNG,
       Format.TIFF, Format.JXL]  # fmt: skip
TEXTS = 1.0 if "--texts" in sys.argv else 0.1
LAYERS = ["alpha.png", "alpha.webp", "small.png", "small.jpeg", "mid.jpeg", "cmyk.jpg", "noise.webp", "mid.avif",
          "anim.gif"]  # fmt: skip
SLACK_MS = 3.0
"""Below this, timing is noise."""


def saved(picture, kind, **options):
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def pictures():
    """Name to bytes: photographs and noise, with and without alpha, in every format and at several sizes."""
    with open(f"{next(iter(samples))}/dandelion.jpg", "rb") as file:  # noqa: PTH123
        sample = file.read()
    photo = Image.open(BytesIO(sample)).convert("RGB")
    mid, small = photo.resize((1500, 1000)), photo.resize((400, 267))
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (700, 900, 3), np.uint8))
    alpha = mid.copy()
    alpha.putalpha(Image.radial_gradient("L").resize(mid.size))
    frames = [photo.resize((360, 240), box=(n * 20, n * 20, n * 20 + 1500, n * 20 + 1000)) for n in range(16)]
    made = {"sample.jpg": sample, "progressive.jpg": saved(photo, "JPEG", quality=85, progressive=True),
            "grey.jpg": saved(mid.convert("L"), "JPEG"), "cmyk.jpg": saved(mid.convert("CMYK"), "JPEG"),
            "alpha.png": saved(alpha, "PNG"), "alpha.webp": saved(alpha, "WEBP"), "noise.png": saved(noise, "PNG"),
            "noise.jpg": saved(noise, "JPEG", quality=98), "noise.webp": saved(noise, "WEBP", lossless=True)}  # fmt: skip
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF"):
        made |= {f"mid.{kind.lower()}": saved(mid, kind), f"small.{kind.lower()}": saved(small, kind)}
    for kind in ("GIF", "WEBP"):
        options = {"save_all": True, "append_images": frames[1:], "duration": 50}
        made[f"anim.{kind.lower()}"] = saved(frames[0], kind, **options)
    return made


def recipe(chance, width, height):
    """Mostly what people ask for, sometimes everything at once."""
    ops = [AutoOrient()]
    if chance.random() < 0.1:
        ops.append(Trim(0))
    if chance.random() < 0.1:
        ops.append(AspectCrop(chance.choice([1, 3, 16]), chance.choice([1, 4, 9]), where(chance)))
    if chance.random() < 0.15:
        ops.append(Crop(max(1, width * chance.randint(20, 90) // 100), max(1, height * chance.randint(20, 90) // 100)))
    if chance.random() < 0.15:
        ops.append(Rotate(chance.randint(1, 3)))
    ops += [kind() for kind in (Flip, Flop) if chance.random() < 0.1]
    if chance.random() < 0.1:
        ops.append(Tilt(chance.choice([300, -4500, 13_333]), chance.choice([0, 0xFFFFFFFF])))
    if chance.random() < 0.85:
        fit = chance.choice(list(Fit))
        w, h = chance.choice([64, 200, 320, 512, 800, 1200, 1600]), chance.choice([0, 0, 64, 200, 400, 900])
        place = where(chance) if fit is Fit.COVER else Position()
        fill = chance.choice(list(Fill)) if fit is Fit.CONTAIN else Fill.COLOUR
        ops.append(Resize(w, h, fit, enlarge=chance.random() < 0.2, position=place, fill=fill))
    if chance.random() < 0.15:
        ops.append(Blur(chance.choice([30, 100, 300, 1000, 3000])))
    if chance.random() < 0.15:
        ops.append(Sharpen(chance.choice([50, 100, 300])))
    ops += looks(chance)
    if chance.random() < TEXTS:
        ops.append(text(chance))
    if chance.random() < 0.15:
        fill = chance.choice(list(Fill))
        added = [Extend(1600, 1000, fill=fill), Extend(1, 1, is_ratio=True, fill=fill), Pad(20, 60, 20, 60, fill)]
        ops.append(chance.choice(added))
    if chance.random() < 0.15:
        ops += [layer(chance) for _ in range(chance.choice([1, 1, 2]))]
    if chance.random() < 0.15:
        ops.append(Background(chance.choice([0xFFFFFFFF, 0x11223380])))
    return (*ops, encode(chance))


def questions(chance, ops):
    """*ops*, and then questions in place of a file: none, some or all."""
    if chance.random() < 0.3:
        ops = ops[:1]
    asked = [chance.random() < 0.4 for _ in range(5)]
    return (*ops[:-1], Describe(asked[0], chance.choice([0, 0, 5, 16]), *asked[1:]))


def verbose(picture):
    """A JPEG with as much metadata as is taken."""
    properties = "".join(f"<a:p{n}>{'x' * 40}</a:p{n}>" for n in range(900))
    xmp = (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:a='urn:a'>"
        f"<rdf:Description>{properties}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    tags = Image.Exif()
    for n in range(200):
        tags[0xC000 + n] = "y" * 300
    return saved(picture, "JPEG", xmp=xmp.encode()[:65_000], exif=tags.tobytes()[:65_000])


def where(chance):
    """In the middle, or where the picture itself says."""
    return Position(detect=chance.choice(list(Detect)))


def untrimmed(steps):
    """No source has a border of one colour and no tolerance: but for alpha.png, which then takes less than it might."""
    return Box(0, 0, steps.size.width, steps.size.height)


def encode(chance):
    """Mostly a format, a quality and a speed; sometimes one of the other choices that the format has."""
    format_, speed = chance.choice(OUT), chance.choice(list(Speed))
    able, last = ABILITIES[format_], Encode(format_, chance.choice([0, 0, 0, 30, 95]), speed)
    if chance.random() < 0.6:
        return last
    choices = [replace(last, effort=chance.randint(*able.effort))]
    if able.lossless:
        choices.append(replace(last, quality=0, lossless=True))
    if able.palette:
        choices.append(replace(last, colours=chance.choice([2, 16, 100, 256])))
    if able.progressive:
        choices.append(replace(last, progressive=True))
    if able.subsampling:
        choices.append(replace(last, subsampling=chance.choice(list(Subsampling))))
    if able.profile:
        choices.append(replace(last, space=Space.P3))
    if format_ in LOSSY:
        choices.append(replace(last, max_bytes=chance.choice([2_000, 10_000, 50_000])))
    choices += [replace(last, bits=bits) for bits in able.bits]
    return chance.choice(choices)


def layer(chance):
    """A watermark, seldom turned, shadowed or repeated."""
    return Layer(
        SourceRef("bench", chance.choice(LAYERS)),
        (AutoOrient(), *([Blur(200)] if chance.random() < 0.1 else [])),
        Place(
            Position.of(chance.choice(list(Gravity))),
            centidegrees=chance.choice([0, 0, 0, 1500]),
            opacity_percent=chance.choice([100, 60]),
        ),
        width_ppm=chance.choice([0, 100_000, 300_000, 1_000_000]),
        blend=chance.choice([Blend.NORMAL, Blend.NORMAL, Blend.MULTIPLY, Blend.SOFT_LIGHT]),
        tile=chance.random() < 0.15,
        shadow=Shadow() if chance.random() < 0.2 else None,
    )


LOOKS = {
    Unsharp: lambda c: Unsharp(c.choice([50, 100, 300, 2000])), Pixelate: lambda c: Pixelate(c.choice([2, 10, 50])),
    Brightness: lambda c: Brightness(c.choice([-30, 30])), Contrast: lambda c: Contrast(c.choice([-30, 30])),
    Saturation: lambda c: Saturation(c.choice([-100, -30, 50])), Hue: lambda c: Hue(c.choice([10, 200])), Gamma: lambda _: Gamma(180),
    Grayscale: lambda _: Grayscale(), Sepia: lambda _: Sepia(), Negate: lambda _: Negate(), Tint: lambda _: Tint(0xC08040FF),
    Duotone: lambda _: Duotone(0x102040FF, 0xFFE0C0FF), Colorize: lambda _: Colorize(0xC0804060),
    Gradient: lambda c: Gradient(0x000000FF, 0x00000000, c.choice([0, 90, 33])), Round: lambda c: Round(*[c.choice([10, 200, 8192])] * 4),
    Mask: lambda c: Mask(c.choice(list(Shape))),
}  # fmt: skip
"""Each operation that changes the look, in the fixed order."""


def looks(chance):
    """None in most recipes, else one to four of them."""
    chosen = chance.sample(list(LOOKS), chance.choice([0, 0, 1, 1, 2, 4]))
    return [make(chance) for kind, make in LOOKS.items() if kind in chosen]


def text(chance):
    """From a caption to a page, in all sizes; some turned, some shadowed."""
    words = " ".join(
        chance.choice(["moon", "Dandelion", "שלום", "a", "Ångström\n", "<b>"])
        for _ in range(chance.choice([1, 3, 10, 60]))
    )
    return Text(
        words[:512].strip(), size_px=chance.choice([12, 32, 32, 80, 300]), width_px=chance.choice([0, 0, 100, 400]),
        place=Place(Position(0, 0), centidegrees=chance.choice([0, 0, 0, 9_000, -1_500]), opacity_percent=chance.choice([100, 50])),
        shadow=chance.choice([None, None, Shadow(), Shadow(10, 10, 2_000)]),
    )  # fmt: skip


async def actual_ms(pool, source, ops, layers):
    """CPU of the worker, the least of three."""
    found = []
    for _ in range(3):
        async with aclosing(pool.run(source, [Task(ops)], layers)) as results:
            found += [made.stages.cpu_ms async for made in results]
    return max(min(found), 0.1)  # a clock may not have moved


async def measure(count, wanted, *, info_only):
    chance, rows, made = random.Random(20), [], pictures()
    if info_only:
        made["verbose.jpg"] = verbose(Image.open(BytesIO(made["small.jpeg"])))
    pool = Pool(ENGINE, LIMITS, workers=1)
    await pool.start()
    try:
        while len(rows) < count:
            name = chance.choice(sorted(made))
            info = probe(made[name])
            ops = normal(recipe(chance, info.width_px, info.height_px))
            ops = questions(chance, ops) if info_only else ops
            try:
                check(ops, LIMITS)
                layers = {named: made[named.address] for named in sources(ops)}
                infos = {named: probe(body) for named, body in layers.items()}
                steps = resolved(ops, (), info, LIMITS, untrimmed, layers=infos)
                if wanted and wanted not in {type(step).__name__ for step in steps.steps}:
                    continue
                check_output(steps, LIMITS)
                estimate_ms = estimate_us(steps, ENGINE) / 1e3
                if estimate_ms > 10_000:
                    continue
                rows.append((estimate_ms, await actual_ms(pool, made[name], ops, layers), name, steps))
            except ImagemillError as e:
                print("not measured:", name, e, file=sys.stderr)
    finally:
        await pool.close()
    return rows


def told(step):
    if not isinstance(step, Overlay):
        return type(step).__name__
    turned = "turned " if step.place.centidegrees else ""
    size = step.made.size
    return f"[{step.source.address} {size.width}x{size.height} {turned}{step.blend}{' tile' * step.tile}{' shadow' * bool(step.shadow)}]"


def shown(row):
    estimate_ms, cpu_ms, name, steps = row
    how = " ".join(told(s) for s in steps.steps)
    return (f"{estimate_ms / cpu_ms:6.2f} {estimate_ms:8.1f} {cpu_ms:8.1f} ms  {name} -> {steps.format} "
            f"{steps.size.width}x{steps.size.height}x{steps.frames} q {steps.quality} {steps.speed} shrink {steps.shrink}  {how}  {asked(steps.encode)}")  # fmt: skip


def asked(last):
    """What is asked for beside the usual."""
    usual = Encode(last.format, last.quality, last.speed)
    return {f: getattr(last, f) for f in last.__struct_fields__ if getattr(last, f) != getattr(usual, f)} or ""


def main() -> None:
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    wanted = next((a.removeprefix("--with=") for a in sys.argv if a.startswith("--with=")), "")
    rows = asyncio.run(measure(numbers[0] if numbers else 200, wanted, info_only="--info" in sys.argv))
    rows.sort(key=lambda row: row[0] / row[1])
    print(" ratio estimate   actual")
    print("\n".join(map(shown, rows if "--all" in sys.argv else rows[:12] + rows[-12:])))
    ratios = [estimate / cpu for estimate, cpu, *_ in rows]
    low = sum(cpu > 2 * estimate + SLACK_MS for estimate, cpu, *_ in rows)
    high = sum(estimate > 5 * cpu + SLACK_MS for estimate, cpu, *_ in rows)
    print(f"{len(rows)} recipes: estimate / actual median {statistics.median(ratios):.2f}, "
          f"5 % {ratios[len(rows) // 20]:.2f}, 95 % {ratios[-len(rows) // 20]:.2f}; "
          f"actual above twice the estimate: {low}; estimate above five times the actual: {high}")  # fmt: skip
    sys.exit(low > 0)


if __name__ == "__main__":
    main()
