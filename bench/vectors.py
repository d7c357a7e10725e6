"""What does drawing a vector picture cost, beside its estimate? CPU of this process, by kind of picture and size.

    python bench/vectors.py [--all]

The promise of `plan.cost` holds here too: a drawing takes at most twice its estimate, reading it included. It does not
for outlines that cross themselves a million times (CROSSING): those end by the deadline, and by that alone.
"""

import base64
import io
import random
import sys
import time

from PIL import Image

from imagemill.engines.decoded import draw
from imagemill.engines.svg.reading import read
from imagemill.engines.vips import Vips
from imagemill.model.errors import ImagemillError
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Drawing
from imagemill.plan.vectors import draw_ns
from imagemill.settings import Engine, Limits

SIDES = (64, 512, 1500)
MOST_S = 20.0
CROSSING = {"400 curves", "scribble stroked", "dashes"}
SLACK_MS = 3.0


def svg(body, side=1000, defs=""):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}"><defs>{defs}</defs>{body}</svg>'
    ).encode()


def filtered(primitives):
    return svg('<rect x="100" y="100" width="800" height="800" fill="#c33" filter="url(#f)"/>',
               defs=f'<filter id="f">{primitives}</filter>')  # fmt: skip


def pictures():
    """Name to file."""
    chance = random.Random(3)
    at = lambda: chance.randint(0, 1000)  # noqa: E731
    rects = "".join(
        f'<rect x="{at()}" y="{at()}" width="40" height="30" fill="#{at() % 900 + 100}"/>' for _ in range(5000)
    )
    large = "".join(
        f'<circle cx="{at()}" cy="{at()}" r="400" fill="#{at() % 900 + 100}" opacity=".5"/>' for _ in range(200)
    )
    path = "M0 0" + "".join(f"C{at()} {at()} {at()} {at()} {at()} {at()}" for _ in range(400))
    scribble = "M0 0" + "".join(f"L{at()} {at()}" for _ in range(3000))
    steps = "".join(f"l{chance.randint(-9, 9)} {chance.randint(-9, 9)}" for _ in range(100))
    photo = io.BytesIO()
    Image.effect_noise((1500, 1000), 60).convert("RGB").save(photo, "JPEG")
    uri = "data:image/jpeg;base64," + base64.b64encode(photo.getvalue()).decode()
    made = {
        "icon": svg('<path d="M100 100h800v800h-800z" fill="#c00"/><circle cx="500" cy="500" r="300"/>'),
        "5000 rects": svg(rects), "200 large see-through": svg(large), "400 curves": svg(f'<path d="{path}"/>'),
        "scribble stroked": svg(f'<path d="{scribble}" fill="none" stroke="#000" stroke-width="3"/>'),
        "dashes": svg(f'<path d="{scribble}" fill="none" stroke="#000" stroke-dasharray="1 1"/>'),
        "gradient": svg('<rect width="1000" height="1000" fill="url(#g)"/>',
                        defs='<radialGradient id="g"><stop/><stop offset="1" stop-color="red"/></radialGradient>'),
        "pattern": svg('<rect width="1000" height="1000" fill="url(#p)"/>',
                       defs='<pattern id="p" width=".01" height=".01"><circle r="5" cx="5" cy="5"/></pattern>'),
        "text": svg("".join(f'<text y="{20 * n}" font-size="18">{"The quick brown fox " * 5}</text>' for n in range(50))),
        "photograph": svg(f'<image width="1000" height="1000" href="{uri}"/>'),
        "masks": svg("<g mask='url(#m)'>" * 8 + rects[:5000].rsplit("<", 1)[0] + "</g>" * 8,
                     defs="<mask id='m'><circle r='500' cx='500' cy='500' fill='#fff'/></mask>"),
        "map": svg("".join(f'<path d="M{at()} {at()}{steps}" fill="none" stroke="#{n % 900 + 100}"/>' for n in range(500))),
    }  # fmt: skip
    blurs = {f"blur {s}": f'<feGaussianBlur stdDeviation="{s}"/>' for s in (1, 10, 100, 490)}
    many = {"20 blurs": '<feGaussianBlur stdDeviation="5"/>' * 20, "60 offsets": '<feOffset dx="1"/>' * 60}
    turbulence = {f"turbulence {n}": f'<feTurbulence baseFrequency=".05" numOctaves="{n}"/>' for n in (1, 10)}
    morphology = {f"morphology {n}": f'<feMorphology operator="dilate" radius="{n}"/>' for n in (1, 10, 49)}
    kernel = {f"convolve {n}": f'<feConvolveMatrix order="{n}" kernelMatrix="{"1 " * n * n}"/>' for n in (3, 7, 15)}
    light = {"lighting": '<feSpecularLighting><fePointLight x="500" y="500" z="200"/></feSpecularLighting>',
             "colours": '<feColorMatrix type="hueRotate" values="90"/>', "shadow": '<feDropShadow stdDeviation="9"/>',
             "displace": '<feTurbulence baseFrequency=".01"/><feDisplacementMap in="SourceGraphic" scale="30"/>'}  # fmt: skip
    for group in (blurs, many, turbulence, morphology, kernel, light):
        made |= {name: filtered(primitives) for name, primitives in group.items()}
    return made


def cpu_ms(made, side):
    """Estimate and the least of three, both in milliseconds; what is not let in has no number."""
    found = []
    for _ in range(3):
        begun = time.process_time()
        document = read(memoryview(made), Limits())
        drawing = Drawing(Size(side, side))
        draw(document.drawn(drawing), drawing.size).copy_memory()
        found.append((time.process_time() - begun) * 1e3)
        if found[0] > 1000:
            break
    return draw_ns(document.info, drawing) / 1e6, min(found)


def main() -> None:
    Vips(Limits(), Engine())
    low = high = 0
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    for name, made in pictures().items():
        if wanted and not any(word in name for word in wanted):
            continue
        for side in SIDES:
            try:
                document = read(memoryview(made), Limits())
            except ImagemillError as e:
                print(f"{name:24} {e}")
                break
            if draw_ns(document.info, Drawing(Size(side, side))) / 1e9 > MOST_S:
                print(f"{name:24} {side:5} not drawn: estimated above {MOST_S:g} s")
                continue
            estimate, took = cpu_ms(made, side)
            low, high = (
                low + (took > 2 * estimate + SLACK_MS and name not in CROSSING),
                high + (estimate > 5 * took + SLACK_MS),
            )
            if "--all" in sys.argv or took > 2 * estimate + SLACK_MS or estimate > 5 * took + SLACK_MS:
                print(f"{name:24} {side:5} {estimate / took:6.2f} {estimate:9.1f} {took:9.1f} ms")
    print(f"actual above twice the estimate: {low}; estimate above five times the actual: {high}")
    sys.exit(low > 0)


if __name__ == "__main__":
    main()
