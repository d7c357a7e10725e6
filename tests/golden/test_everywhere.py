"""The plainest operations on every kind of source: sizes exact, pixels within a mean difference, in each frame.

`test_operations` has them with all their values, on pictures that show one thing at a time.
"""

import pytest

from golden import reference, sources

PLAIN = [
    ({"width": "50", "height": "50", "fit": "inside"}, 2.0), ({"width": "50", "height": "50", "fit": "outside"}, 2.0),
    ({"width": "50", "height": "70", "fit": "cover", "gravity": "northeast"}, 2.0),
    ({"width": "50", "height": "70", "fit": "cover", "focus": "0.3,0.9"}, 2.0),
    ({"width": "50", "height": "70", "fit": "contain", "gravity": "south"}, 2.0),
    ({"width": "30", "height": "70", "fit": "fill"}, 2.0), ({"width": "25", "dpr": "2"}, 2.0),
    ({"width": "200", "enlarge": "1"}, 5.0), ({"width": "200"}, 1.0),  # another filter enlarges
    ({"crop": "7,5,61,33"}, 1.0), ({"crop": "100,60,500,500"}, 1.0), ({"crop": "33,41", "gravity": "west"}, 1.0),
    ({"crop": "33,41", "focus": "0.9,0.1"}, 1.0), ({"crop": "40,10,70,60", "width": "30"}, 2.5),
    ({"rotate": "90"}, 1.0), ({"rotate": "180"}, 1.0), ({"rotate": "270"}, 1.0), ({"flip": "1"}, 1.0), ({"flop": "1"}, 1.0),
    ({"crop": "10,4,90,70", "rotate": "270", "flip": "1", "flop": "1"}, 1.0),
    ({"blur": "0.5"}, 1.5), ({"blur": "3"}, 2.0), ({"sharpen": "1"}, 2.5),
    ({"background": "ff8800"}, 1.2), ({"background": "11223380"}, 1.5),
    ({"width": "60", "rotate": "90", "blur": "1", "background": "fff"}, 2.5),
]  # fmt: skip


@sources.everywhere
@pytest.mark.parametrize(
    ("given", "tolerance"), PLAIN, ids=["&".join(f"{n}={v}" for n, v in g.items()) for g, _ in PLAIN]
)
def test_plain(source, given, tolerance):
    """Resize, crop, turns, blur, sharpen and background, alone and together."""
    source.check(lambda pixels: reference.expected(pixels, **given), tolerance, **given)
