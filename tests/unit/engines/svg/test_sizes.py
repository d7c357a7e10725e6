"""How large a picture is by itself: V07."""

import pytest

from imagemill.engines.headers import probe
from imagemill.engines.svg.reading import read
from imagemill.engines.svg.sizes import DEFAULT_PX, extent
from imagemill.model.errors import LimitExceeded
from imagemill.plan.geometry import Size
from imagemill.plan.policy import check_source
from imagemill.settings import Limits

NONE = int(DEFAULT_PX)


@pytest.mark.parametrize(
    ("attributes", "width", "height"),
    [
        ({"width": "64", "height": "32"}, 64, 32), ({"width": "64px", "height": "0.5in"}, 64, 48),
        ({"width": "10mm", "height": "1cm"}, 38, 38), ({"width": "12pt", "height": "1pc"}, 16, 16), ({"width": "2em", "height": "2ex"}, 32, 16),
        ({"viewBox": "0 0 24 48"}, 24, 48), ({"viewBox": "-5,-5,24.6,48.4"}, 25, 48), ({"width": "100", "viewBox": "0 0 24 48"}, 100, 200),
        ({"height": "100", "viewBox": "0 0 24 48"}, 50, 100), ({"width": "100%", "height": "100%", "viewBox": "0 0 24 48"}, 24, 48),
        ({}, NONE, NONE), ({"width": "100%", "height": "100%"}, NONE, NONE), ({"width": "40"}, 40, NONE),
        ({"width": "0", "height": "-3"}, NONE, NONE), ({"width": "nan", "height": "inf"}, NONE, NONE), ({"width": "1e999", "height": "1"}, NONE, 1),
        ({"width": "auto", "viewBox": "0 0 7 7"}, 7, 7), ({"viewBox": "nan nan -1 -1"}, NONE, NONE), ({"viewBox": "0 0 0 9"}, NONE, NONE),
        ({"viewBox": "0 0 9"}, NONE, NONE), ({"viewBox": "0 0 1e999 9"}, NONE, NONE), ({"width": "0.2", "height": "0.2"}, 1, 1),
        ({"width": "1e9", "height": "1e308"}, 10**9, 10**9), ({"width": "5 5", "height": "5x"}, NONE, NONE),
        ({"width": "1e-200", "height": "1e-200", "viewBox": "0 0 1e-200 1e-200"}, NONE, NONE),
    ],
)  # fmt: skip
def test_own_size(attributes, width, height):
    """What is said, else the view box, else 512 pixels; never less than one."""
    found = extent(attributes)
    assert found.size == Size(width, height)
    assert found.fits in {True, False}


@pytest.mark.parametrize(
    "attributes",
    ['width="1e9" height="1e9"', 'width="1e308" height="2"', 'viewBox="0 0 1e300 1e300"', 'width="99999in"'],
)
def test_huge_sizes_are_refused(attributes):
    """V07: by the limits of any source, before anything is drawn, and from the first of the file."""
    file = f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}/>'.encode()
    for info in (probe(file), read(memoryview(file), Limits()).info):
        with pytest.raises(LimitExceeded) as caught:
            check_source(info, Limits())
        assert caught.value.limit == "side"


@pytest.mark.parametrize(
    ("attributes", "fits"),
    [
        ({"width": "200", "height": "100", "viewBox": "0 0 20 10"}, True), ({"width": "200", "height": "100", "viewBox": "0 0 20 20"}, False),
        ({"width": "200", "height": "100", "viewBox": "0 0 20 20", "preserveAspectRatio": "none"}, True), ({"width": "25", "height": "25"}, True),
    ],
)  # fmt: skip
def test_whether_the_view_fills_the_size(attributes, fits):
    """Where it does not, it lies in it as ``preserveAspectRatio`` says, also when the whole is scaled."""
    assert extent(attributes).fits == fits
