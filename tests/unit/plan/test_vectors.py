"""What of a recipe is done to the drawing of a vector picture, and what is left for its pixels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import AutoOrient, Blur, Crop, Density, Encode, Fit, Flip, Flop, Resize, Rotate
from imagemill.plan.cost import estimate_us
from imagemill.plan.geometry import Box, Size
from imagemill.plan.resolve import resolve
from imagemill.plan.steps import Crisp, Cut, Drawing, Mirror, Scale, Smooth, Turn, Underlay
from imagemill.plan.vectors import draw_ns
from imagemill.settings import Engine, Limits

ICON = MediaInfo(Format.SVG, 16, 8, channels=4, has_alpha=True, shapes=3, vertices=20)


def steps(*operations, info=ICON, format_=Format.PNG):
    return resolve((AutoOrient(), *operations, Encode(format_)), (), info, Limits())


@pytest.mark.parametrize(
    ("operations", "drawing", "left", "size"),
    [
        ((), Drawing(Size(16, 8)), (), (16, 8)),
        ((Resize(512),), Drawing(Size(512, 256)), (), (512, 256)),
        ((Resize(4),), Drawing(Size(4, 2)), (), (4, 2)),
        ((Density(192),), Drawing(Size(32, 16)), (), (32, 16)),
        ((Density(192), Resize(100)), Drawing(Size(100, 50)), (), (100, 50)),
        ((Density(1),), Drawing(Size(1, 1)), (), (1, 1)),
        ((Crop(4, 4, 8, 2),), Drawing(Size(4, 4), 0.5, 0.25, 0.25, 0.5), (), (4, 4)),
        ((Crop(4, 4, 8, 2), Resize(1000)), Drawing(Size(1000, 1000), 0.5, 0.25, 0.25, 0.5), (), (1000, 1000)),
        ((Crop(8, 8, 0, 0), Crop(4, 4, 4, 4)), Drawing(Size(4, 4), 0.25, 0.5, 0.25, 0.5), (), (4, 4)),
        ((Resize(100, 100, Fit.COVER),), Drawing(Size(100, 100), 0.25, 0, 0.5, 1), (), (100, 100)),
        ((Resize(100, 100, Fit.FILL),), Drawing(Size(100, 100)), (), (100, 100)),
        ((Rotate(1), Resize(100)), Drawing(Size(200, 100)), (Turn(1),), (100, 200)),
        ((Rotate(2), Flip(), Flop(), Resize(100)), Drawing(Size(100, 50)), (Turn(2), Mirror(True), Mirror(False)), (100, 50)),
        ((Rotate(1), Crop(2, 2, 0, 0), Resize(9)), Drawing(Size(16, 8)), (Turn(1), Cut(Box(0, 0, 2, 2), Size(8, 16)), Scale(Size(9, 9))), (9, 9)),
        ((Blur(200), Resize(100)), Drawing(Size(16, 8)), (Smooth(2.0), Scale(Size(100, 50))), (100, 50)),
        ((Resize(100), Blur(200), Crop(5, 5, 0, 0)), Drawing(Size(100, 50)), (Smooth(2.0), Cut(Box(0, 0, 5, 5), Size(100, 50))), (5, 5)),
    ],
)  # fmt: skip
def test_drawing(operations, drawing, left, size):
    """Cutting, turning and scaling at the beginning are done to the drawing: `enlarge` is not needed."""
    made = steps(*operations)
    assert (made.drawing, made.steps, made.size) == (drawing, left, Size(*size))
    assert made.shrink == 1


def test_formats():
    """``keep`` is PNG; a format without transparency gets its ground."""
    assert steps(format_=Format.KEEP).format is Format.PNG
    assert [type(step) for step in steps(Resize(9), format_=Format.JPEG).steps] == [Underlay]


def test_pixels_have_no_drawing():
    """Nothing changes for them, and density is refused by name."""
    photo = MediaInfo(Format.PNG, 16, 8)
    assert steps(Resize(512), info=photo).drawing is None
    assert steps(Resize(512), info=photo).size == Size(16, 8)
    with pytest.raises(BadOption, match="density: for vector pictures, and the source is png"):
        steps(Density(300), info=photo)


@pytest.mark.parametrize("operations", [(Density(2400), Density(2400)), (Resize(8192, 8192, Fit.FILL),)])
def test_limits_hold(operations):
    """V05: what is drawn is bounded as any size on the way."""
    with pytest.raises(LimitExceeded) as caught:
        steps(*operations, info=replace(ICON, width_px=1000, height_px=800))
    assert caught.value.limit == "output_pixels"


def test_cost():
    """V05: shapes, filters, embedded pixels and the size drawn all cost."""
    drawing = Drawing(Size(500, 500))
    base = draw_ns(ICON, drawing)
    for more in ({"shapes": 100}, {"vertices": 10_000}, {"filters": 5}, {"embedded_pixels": 10**6}):
        assert draw_ns(replace(ICON, **more), drawing) > 1.5 * base
    assert draw_ns(ICON, Drawing(Size(4_000, 4_000))) > 50 * base
    assert estimate_us(steps(Resize(2_000)), Engine()) > estimate_us(steps(Resize(200)), Engine())


operations = st.lists(
    st.one_of(
        st.builds(Crop, st.integers(1, 20), st.integers(1, 20)), st.builds(Resize, st.integers(1, 300), st.integers(0, 300), st.sampled_from(Fit)),
        st.builds(Rotate, st.integers(1, 3)), st.just(Flip()), st.just(Flop()), st.builds(Density, st.integers(1, 300)), st.just(Blur(100)),
    ),
    max_size=8,
)  # fmt: skip


@given(operations)
def test_sizes_are_those_of_pixels(chosen):
    """The promised size is what the drawing has after the steps that are left."""
    try:
        made = steps(*chosen)
    except LimitExceeded:
        return
    size = made.drawing.size
    for step in made.steps:
        match step:
            case Turn(quarters=1 | 3):
                size = Size(size.height, size.width)
            case Cut():
                assert step.of == size
                size = Size(step.box.width, step.box.height)
            case Smooth() | Crisp() | Mirror() | Turn():
                pass
            case _:
                size = step.size
    assert size == made.size
