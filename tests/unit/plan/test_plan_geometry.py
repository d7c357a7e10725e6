"""Geometry in plans: trims that wait for pixels, crops that the picture decides, what is added, and what all of it costs."""

import pytest

from imagemill.model.errors import LimitExceeded
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import (
    AspectCrop,
    AutoOrient,
    Background,
    Blur,
    Colorize,
    Crop,
    Detect,
    Encode,
    Extend,
    Fill,
    Fit,
    Pad,
    Position,
    Resize,
    Rotate,
    Tilt,
    Trim,
)
from imagemill.plan.cost import check_cost, estimate_us
from imagemill.plan.geometry import Box, Size
from imagemill.plan.resolve import resolve, resolved
from imagemill.plan.steps import Backdrop, Border, Canvas, Chosen, Cut, Scale, Slant, Trimmed, Upright
from imagemill.settings import Engine, Limits

LIMITS, ENGINE = Limits(), Engine()
JPEG, PNG = MediaInfo(Format.JPEG, 4000, 3000), MediaInfo(Format.PNG, 400, 300)
FOUND = Position(detect=Detect.ATTENTION)
PIXELS = (Encode(Format.PNG),)


def steps(*recipe, info=JPEG, trimmed=()):
    whole = recipe if isinstance(recipe[-1], Encode) else (*recipe, Encode())
    return resolve(whole, (), info, LIMITS, trimmed)


class TestTrim:
    def test_nothing_is_certain_behind_it(self):
        """Steps end with the question; what comes after it is neither done nor judged yet."""
        found = steps(
            AutoOrient(),
            Trim(),
            Crop(9, 9, 3999, 0),
            Resize(8000, enlarge=True),
            info=MediaInfo(Format.JPEG, 30, 40, orientation=6),
        )
        assert [type(s) for s in found.steps[: found.border + 1]] == [Upright, Border]
        assert found.steps[found.border].of == Size(40, 30)
        assert found.shrink == 1
        assert steps(Resize(5)).border is None

    def test_sizes_follow_from_the_answer(self):
        """Each trim is answered in its turn, by what is left of the picture as it is there."""
        asked = []

        def answer(question):
            asked.append(question.steps[question.border].of)
            return Box(10, 20, 100, 50)

        found = resolved(
            (Trim(), Resize(width_ppm=500_000), Pad(100, 100, 100, 100), Trim(5), Encode()), (), PNG, LIMITS, answer
        )

        assert asked == [Size(400, 300), Size(250, 225)]
        assert [type(s) for s in found.steps] == [Trimmed, Scale, Canvas, Trimmed]
        assert found.size == Size(100, 50)

    def test_limits_hold_after_it(self):
        """R09: what is made of what is left is judged like anything else."""
        for recipe, limit in (
            ((Trim(), Resize(8000, enlarge=True)), "output_pixels"),
            ((Trim(), Pad(8000, 8000, 8000, 8000)), "output_pixels"),
        ):
            assert steps(*recipe, info=PNG).border is not None
            with pytest.raises(LimitExceeded) as caught:
                steps(*recipe, info=PNG, trimmed=(Box(0, 0, 10, 300),))
            assert caught.value.limit == limit
        many = MediaInfo(Format.GIF, 100, 100, frames=100)
        with pytest.raises(LimitExceeded) as caught:
            steps(Trim(), Resize(5000, enlarge=True), info=many, trimmed=(Box(0, 0, 100, 100),))
        assert caught.value.limit == "total_pixels"

    def test_found_pixels_are_not_shrunk_away(self):
        """The box is to the pixel of the whole picture, so that is what is decoded; scaled before, it may be smaller."""
        assert steps(Trim(), Resize(100), trimmed=(Box(0, 0, 4000, 3000),)).shrink == 1
        assert steps(Resize(400), Trim()).shrink == steps(Resize(400)).shrink == 8

    def test_cost(self):
        """The search is part of the price, before and after; what is encoded only once it is known how much that is."""
        plain, asked = steps(*PIXELS), steps(Trim(), *PIXELS)
        assert estimate_us(asked, ENGINE) < estimate_us(plain, ENGINE)
        answered = steps(Trim(), *PIXELS, trimmed=(Box(0, 0, 4000, 3000),))
        assert estimate_us(answered, ENGINE) > estimate_us(plain, ENGINE) + 100_000
        dear = steps(
            Trim(), Resize(8000, 5000, Fit.FILL, enlarge=True), Encode(Format.AVIF), trimmed=(Box(0, 0, 9, 9),)
        )
        with pytest.raises(LimitExceeded):
            check_cost(dear, ENGINE, LIMITS)


class TestChosen:
    def test_what_is_cut_is_chosen_later(self):
        """Its size is certain, its place is not; where there is nothing to choose, nothing is looked at."""
        assert steps(Crop(30, 40, position=FOUND), info=PNG).steps == (
            Chosen(Size(30, 40), Size(400, 300), Detect.ATTENTION, 0),
        )
        assert steps(AspectCrop(1, 1, FOUND), info=PNG).size == Size(300, 300)
        cover = steps(Resize(100, 100, Fit.COVER, position=FOUND), info=PNG).steps
        assert cover == (Scale(Size(133, 100)), Chosen(Size(100, 100), Size(133, 100), Detect.ATTENTION, 0))
        assert steps(Crop(400, 999, position=FOUND), AspectCrop(4, 3, FOUND), info=PNG).steps == ()
        assert steps(Resize(80, 60, Fit.COVER, position=FOUND), info=PNG).steps == (Scale(Size(80, 60)),)

    def test_equal_steps_are_told_apart(self):
        """What was found for one is not the other's."""
        crop = Crop(200, 200, position=FOUND)
        first, _, second = steps(crop, Extend(400, 300), crop, info=PNG).steps
        assert first != second
        assert hash(first)

    @pytest.mark.parametrize(("width", "shrink"), [(1000, 2), (999, 2), (749, 4), (374, 8)])
    def test_shrink_on_load(self, width, shrink):
        """Scaled before it is cut, a picture is decoded as small as without the choice; cut before, with twice the room."""
        fixed, chosen = (Resize(width, width, Fit.COVER, position=p) for p in (Position(), FOUND))
        assert steps(chosen).shrink == steps(fixed).shrink == shrink
        assert steps(AspectCrop(1, 1, FOUND), Resize(width)).shrink == steps(AspectCrop(1, 1), Resize(width)).shrink

    def test_dearer_looks_cost_more(self):
        """Faces most of all; of an animation one frame is looked at, and that once."""
        costs_us = [
            estimate_us(steps(AspectCrop(1, 1, Position(detect=d)), *PIXELS, info=PNG), ENGINE)
            for d in (Detect.NONE, Detect.ATTENTION, Detect.ENTROPY, Detect.FACE)
        ]
        assert costs_us == sorted(costs_us)
        assert costs_us[-1] > costs_us[0] + 40_000
        many = MediaInfo(Format.WEBP, 100, 80, frames=100, has_alpha=True)
        recipe = (AspectCrop(1, 1, Position(detect=Detect.FACE)), Encode(Format.WEBP))
        moving = estimate_us(steps(*recipe, info=many), ENGINE)
        fixed = estimate_us(steps(AspectCrop(1, 1), Encode(Format.WEBP), info=many), ENGINE)
        assert 40_000 < moving - fixed < 1_000_000
        still, plain = (steps(AspectCrop(1, 1, p), *PIXELS, info=many) for p in (recipe[0].position, Position()))
        assert estimate_us(still, ENGINE) - estimate_us(plain, ENGINE) > 40_000, "one frame alone pays for it all"


class TestAdded:
    @pytest.mark.parametrize(
        ("op", "kind"),
        [
            (Pad(1, 2, 3, 4), Canvas),
            (Extend(500, 500), Canvas),
            (Extend(3, 1, is_ratio=True), Canvas),
            (Tilt(100), Slant),
        ],
    )
    def test_what_it_is_filled_with(self, op, kind):
        """Its own colour, else the background's if that is opaque or has been, else nothing; white where nothing can be."""

        def fill(*recipe, format_=Format.PNG):
            return next(s.rgba for s in steps(*recipe, Encode(format_), info=PNG).steps if isinstance(s, kind))

        red = type(op)(**{**{f: getattr(op, f) for f in op.__struct_fields__}, "rgba": 0xFF0000FF})
        for format_ in (Format.PNG, Format.JPEG):
            assert fill(red, format_=format_) == 0xFF0000FF
            assert fill(red, Background(0x0000FFFF), format_=format_) == 0xFF0000FF
            assert fill(op, Background(0x0000FFFF), format_=format_) == 0x0000FFFF
            assert fill(op, Background(0x0000FF80), format_=format_) == 0
        assert fill(op) == 0
        if kind is Canvas:
            assert fill(op, Blur(100), format_=Format.JPEG) == 0xFFFFFFFF

    def test_white_only_where_nobody_can_tell(self):
        """A step that asks how dense a pixel is gets nothing, and not white."""
        canvas = [s.rgba for s in steps(Pad(9), Colorize(0xFF0000FF), Pad(9), info=JPEG).steps if isinstance(s, Canvas)]
        assert canvas == [0, 0xFFFFFFFF]
        canvas = [s.rgba for s in steps(Pad(9, rgba=0xFF0000FF), info=JPEG).steps if isinstance(s, Canvas)]
        assert canvas == [0xFF0000FF]

    def test_blurred_copies(self):
        """Of pad, extend and contain, by a fortieth of the longer side of all."""
        for op in (
            Pad(0, 50, 0, 350, fill=Fill.BLUR),
            Extend(800, 300, fill=Fill.BLUR),
            Resize(800, 100, Fit.CONTAIN, fill=Fill.BLUR),
        ):
            (backdrop,) = [s for s in steps(op, info=PNG).steps if isinstance(s, Backdrop)]
            assert (backdrop.size.width, backdrop.sigma) == (800, 20.0)

    def test_nothing_to_add(self):
        """A canvas that is no larger is none."""
        assert steps(Extend(40, 30), Extend(4, 3, is_ratio=True), info=PNG).steps == ()

    def test_every_step_costs(self):
        """No operation is free."""
        for op in (Pad(9), Pad(9, fill=Fill.BLUR), Tilt(100), Extend(5000, 4000), Extend(5000, 4000, fill=Fill.BLUR)):
            assert estimate_us(steps(op, *PIXELS), ENGINE) > estimate_us(steps(*PIXELS), ENGINE) + 20_000

    def test_sizes_on_the_way(self):
        """R09: what is added is bounded on the way, whatever comes after."""
        for op in (Extend(10_000, 1, is_ratio=True), Pad(8000, 8000, 8000, 8000), Tilt(4500)):
            with pytest.raises(LimitExceeded) as caught:
                steps(Resize(8000, 5000, Fit.FILL, enlarge=True), op, Crop(5, 5))
            assert caught.value.limit == "output_pixels"


def test_shares_are_of_the_picture_so_far():
    """After a turn and a crop, of what those have left."""
    found = steps(Crop(2000, 1000), Rotate(1), Resize(width_ppm=100_000))
    assert found.size == Size(100, 200)
    assert [type(s) for s in found.steps[:1]] == [Cut]
