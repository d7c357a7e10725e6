"""Policy before and after the source is known: prepare, resolve, limits, cost (R09, D01-D04)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.client import Client
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import (
    AutoOrient,
    Background,
    Blur,
    Crop,
    Encode,
    Fit,
    Flip,
    Flop,
    Layer,
    Resize,
    Rotate,
    Sharpen,
    Speed,
)
from imagemill.model.request import ImageRequest, SourceRef
from imagemill.plan.cost import check_cost, estimate_us
from imagemill.plan.geometry import Size
from imagemill.plan.negotiate import candidates
from imagemill.plan.policy import check_source
from imagemill.plan.prepare import prepare
from imagemill.plan.resolve import check_output, resolve
from imagemill.plan.steps import Canvas, Cut, Mirror, Scale, Turn, Underlay, Upright
from imagemill.settings import Engine, Limits, Negotiation
from unit.model.test_keys import recipes

SOURCE = SourceRef("local", "a/b")
LIMITS, ENGINE = Limits(), Engine()
JPEG = MediaInfo(Format.JPEG, 4000, 3000)


def prepared(*recipe, accept=b"", ttl_s=None, limits=LIMITS):
    return prepare(ImageRequest(SOURCE, recipe, ttl_s), limits, Client(candidates(accept, Negotiation())))


def steps(*recipe, info=JPEG, candidates=(), limits=LIMITS):
    return resolve((*recipe, Encode()) if not recipe or not isinstance(recipe[-1], Encode) else recipe,
                   candidates, info, limits)  # fmt: skip


def limit_of(call):
    with pytest.raises(LimitExceeded) as caught:
        call()
    return caught.value.limit


class TestPrepare:
    @pytest.mark.parametrize(
        ("recipe", "limit"),
        [
            ((Resize(8193, 1),), "output_side"), ((Resize(0, 8193),), "output_side"),
            ((Resize(8000, 8000, Fit.CONTAIN),), "output_pixels"),
            ((Resize(8000, 8000, Fit.FILL, enlarge=True),), "output_pixels"),
            ((Blur(10_001),), "blur"), ((Sharpen(1_001),), "sharpen"), ((Flip(),) * 16, "operations"),
        ],
    )  # fmt: skip
    def test_limits(self, recipe, limit):
        """R09: what no source could make acceptable is refused before any is read."""
        assert limit_of(lambda: prepared(*recipe)) == limit

    def test_limits_are_inclusive(self):
        """Exactly the limit is allowed."""
        prepared(Resize(8192, 1), Blur(10_000), Sharpen(1_000), *[Flip()] * 12)
        prepared(ttl_s=259_200)
        assert limit_of(lambda: prepared(ttl_s=259_201)) == "ttl"

    def test_a_layer_may_be_laid_as_it_is(self):
        """A recipe of its own it needs not have."""
        assert prepared(Layer(SOURCE), Encode(Format.PNG)).recipe[0] == Layer(SOURCE)

    def test_only_auto_depends_on_the_client(self):
        """R11: ``Accept`` is in the key, and in ``Vary``, exactly where it matters."""
        plain, auto = (Encode(Format.WEBP),), (Encode(Format.AUTO),)
        assert prepared(*plain).key == prepared(*plain, accept=b"image/avif").key
        assert prepared(*plain, accept=b"image/avif").vary == ()
        assert prepared(*auto).vary == ("Accept",)
        assert len({prepared(*auto, accept=a).key for a in (b"", b"image/avif", b"image/webp")}) == 3
        assert prepared(*auto, accept=b"image/avif").key == prepared(*auto, accept=b"text/html, image/AVIF;q=0.1").key

    def test_nothing_varies_where_nothing_is_on_offer(self):
        """A server that offers no other format answers all clients alike, and says so to the caches between."""
        policy = Negotiation(formats=())
        client = Client(candidates(b"image/avif,image/webp", policy))
        assert prepare(ImageRequest(SOURCE, (Encode(Format.AUTO),)), LIMITS, client, policy).vary == ()

    def test_same_work_same_key(self):
        """A quality without effect, and an `Encode` left out, make no other key."""
        assert prepared().key == prepared(Encode()).key
        assert prepared(Encode(Format.PNG, 5)).key == prepared(Encode(Format.PNG)).key
        assert prepared(Encode(Format.PNG, 5, Speed.FAST)).recipe == (Encode(Format.PNG, 0, Speed.FAST),)
        assert prepared(Encode(Format.JPEG, 5)).key != prepared(Encode(Format.JPEG)).key
        assert prepared(Flip(), ttl_s=86_400).key == prepared(Flip(), ttl_s=86_401).key

    @given(recipes)
    def test_always_ends_in_an_encode(self, recipe):
        """Whatever is asked, a plan is made or a limit named."""
        try:
            plan = prepared(*recipe)
        except LimitExceeded:
            return
        assert isinstance(plan.recipe[-1], Encode)
        assert len(plan.key) == len(plan.source_key) == 64


class TestResolve:
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation(self, orientation):
        """All that follows works on the upright picture."""
        info = MediaInfo(Format.PNG, 400, 300, orientation=orientation)
        found = steps(AutoOrient(), Crop(50, 60, 0, 0), info=info)
        if orientation > 1:
            assert found.steps[0] == Upright(orientation)
        whole = Size(300, 400) if orientation > 4 else Size(400, 300)
        assert found.steps[-1].of == whole
        assert steps(info=info).size == Size(400, 300), "not asked for, not done"

    def test_steps_keep_the_order(self):
        """Steps come in the order of the recipe; ones with nothing to do are left out."""
        info = MediaInfo(Format.PNG, 400, 300)
        found = steps(Rotate(1), Flip(), Resize(100, 100, Fit.COVER), info=info)
        assert [type(s) for s in found.steps] == [Turn, Mirror, Scale, Cut]
        assert steps(Resize(400, 300), info=info).steps == ()

    @pytest.mark.parametrize(
        ("width", "shrink"),
        [(4000, 1), (2001, 1), (2000, 1), (1999, 2), (1000, 2), (999, 4), (500, 4), (499, 8), (1, 8)],
    )
    def test_shrink_on_load(self, width, shrink):
        """A JPEG is decoded smaller where something is left to be scaled: a half at 2001 px would be too small."""
        assert steps(Resize(width)).shrink == shrink
        assert steps(Resize(width), info=MediaInfo(Format.PNG, 4000, 3000)).shrink == 1

    @pytest.mark.parametrize(
        ("size", "width", "shrink"),
        [((4007, 3000), 500, 4), ((4007, 3000), 280, 8), ((4004, 3000), 498, 8), ((4000, 3007), 480, 4), ((4003, 3000), 900, 2),
         ((4003, 3000), 660, 4), ((4001, 3001), 1900, 2)],
    )  # fmt: skip
    def test_shrink_drops_no_edge(self, size, width, shrink):
        """At most half an output pixel of what is at the right and the bottom is lost by decoding smaller."""
        assert steps(Resize(width), info=MediaInfo(Format.JPEG, *size)).shrink == shrink

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_shrink_of_what_is_turned(self, orientation):
        """A turn or a mirror is no reason to decode all of it, and only quarter turns swap the sides that are scaled to."""
        info = MediaInfo(Format.JPEG, 4000, 1000, orientation=orientation)
        assert steps(AutoOrient(), Resize(300, 100, Fit.FILL), info=info).shrink == (8 if orientation <= 4 else 2)
        for turns in (1, 2, 3):
            found = steps(Rotate(turns), Resize(300, 100, Fit.FILL), info=info)
            assert found.shrink == (8 if turns == 2 else 2)
            found = steps(Rotate(turns), Resize(100, 300, Fit.FILL), info=info)
            assert found.shrink == (2 if turns == 2 else 8)
        assert steps(AutoOrient(), Flip(), Flop(), Resize(300, 100, Fit.FILL), info=info).shrink == (
            8 if orientation <= 4 else 2
        )

    def test_shrink_leaves_room(self):
        """A cut before the scale needs twice the room; blur, a box or a colour before it forbid it; no scale, none."""
        assert steps(Crop(2000, 1500, 0, 0), Resize(600)).shrink == 1
        assert steps(Crop(2000, 1500, 0, 0), Resize(400)).shrink == 2
        assert steps(Crop(3000, 1000, 0, 0), Resize(300, 400, Fit.FILL)).shrink == 1
        assert steps(Crop(1000, 3000, 0, 0), Resize(400, 300, Fit.FILL)).shrink == 1
        assert steps(Rotate(1), Resize(0, 999)).shrink == 4
        assert steps(Rotate(1), Resize(999)).shrink == 2
        for before in (Blur(100), Sharpen(100), Background(0)):
            assert steps(before, Resize(100)).shrink == 1
        assert steps(Blur(100)).shrink == 1
        assert steps(Resize(300, 10, Fit.FILL)).shrink == 8

    @pytest.mark.parametrize(
        ("format_", "background", "fill"),
        [
            (Format.JPEG, None, 0xFFFFFFFF), (Format.PNG, None, 0), (Format.WEBP, None, 0),
            (Format.JPEG, 0xFF0000FF, 0xFF0000FF), (Format.PNG, 0xFF0000FF, 0xFF0000FF),
            (Format.JPEG, 0xFF000080, 0), (Format.PNG, 0xFF000080, 0),
        ],
    )  # fmt: skip
    def test_canvas_colour(self, format_, background, fill):
        """White where nothing can be transparent; a colour that lets through is left to its own operation."""
        recipe = [Resize(100, 100, Fit.CONTAIN), *([Background(background)] if background is not None else [])]
        found = steps(*recipe, Encode(format_))
        (canvas,) = [s for s in found.steps if isinstance(s, Canvas)]
        assert canvas.rgba == fill
        before = steps(Background(0xFF000080), recipe[0], Encode(format_))
        assert [s.rgba for s in before.steps if isinstance(s, Canvas)] == [0xFF000080]

    def test_formats(self):
        """Keep, named, and auto with its rules."""
        png, anim = MediaInfo(Format.PNG, 40, 30, has_alpha=True), MediaInfo(Format.GIF, 40, 30, frames=3)
        auto = Encode(Format.AUTO)
        both = (Format.AVIF, Format.WEBP)
        assert steps(info=png).format == Format.PNG
        assert steps(auto).format == Format.JPEG
        assert steps(auto, info=png).format == Format.PNG
        assert steps(auto, candidates=both).format == Format.WEBP, "12 million pixels"
        assert steps(Resize(500), auto, candidates=both).format == Format.AVIF
        assert steps(auto, info=anim, candidates=both).format == Format.WEBP
        assert steps(auto, info=anim, candidates=both[:1]).format == Format.GIF
        assert [steps(Encode(f), info=anim).frames for f in (Format.GIF, Format.WEBP, Format.PNG)] == [3, 3, 1]

    def test_jpeg_ends_on_white(self):
        """No transparency is left to a JPEG encoder."""
        assert steps(Encode(Format.JPEG)).steps[-1] == Underlay(0xFFFFFFFF)

    def test_sizes_on_the_way(self):
        """R09: an intermediate picture is bounded, not only the last."""
        thin = MediaInfo(Format.PNG, 1, 16_000)
        assert limit_of(lambda: steps(Resize(8000, enlarge=True), info=thin)) == "output_pixels"
        assert limit_of(lambda: steps(Resize(5000, 10, Fit.COVER, enlarge=True), info=thin)) == "output_pixels"
        many = MediaInfo(Format.GIF, 100, 100, frames=100)
        assert limit_of(lambda: steps(Resize(5000, enlarge=True), info=many)) == "total_pixels"
        assert limit_of(lambda: check_output(steps(info=MediaInfo(Format.PNG, 9000, 10)), LIMITS)) == "output_side"
        assert limit_of(lambda: check_output(steps(info=MediaInfo(Format.PNG, 8000, 6000)), LIMITS)) == "output_pixels"

    def test_crop_outside(self):
        """A box that misses the picture is the caller's mistake."""
        with pytest.raises(BadOption):
            steps(Crop(1, 1, 4000, 0))

    @given(recipes, st.sampled_from([JPEG, MediaInfo(Format.GIF, 90, 400, frames=7), MediaInfo(Format.PNG, 1, 1)]))
    def test_any_recipe_on_any_picture(self, recipe, info):
        """Whatever is asked, sizes come out positive and within bounds, or a named error."""
        try:
            found = steps(*[op for op in recipe if not isinstance(op, Encode)], info=info)
        except (LimitExceeded, BadOption):
            return
        assert min(found.size.width, found.size.height) >= 1
        assert found.shrink in {1, 2, 4, 8}
        assert 0 < estimate_us(found, ENGINE) < 10**12


class TestPolicy:
    @pytest.mark.parametrize(
        ("limit", "info", "frames"),
        [
            ("side", MediaInfo(Format.PNG, 16_384, 1), 1), ("side", MediaInfo(Format.PNG, 1, 1_000_000), 1),
            ("pixels", MediaInfo(Format.PNG, 10_001, 5_000), 1), ("frames", MediaInfo(Format.GIF, 1, 1), 201),
            ("total_pixels", MediaInfo(Format.GIF, 1001, 1000), 100), ("channels", MediaInfo(Format.PNG, 1, 1, channels=6), 1),
            ("decoded_bytes", MediaInfo(Format.PNG, 9000, 5500, channels=4, bits=16), 2),
            ("metadata_bytes", MediaInfo(Format.PNG, 1, 1, metadata_bytes=(1 << 20) + 1), 1),
            ("icc_bytes", MediaInfo(Format.PNG, 1, 1, icc_bytes=(1 << 20) + 1), 1),
            ("scans", MediaInfo(Format.JPEG, 1, 1, scans=101), 1),
        ],
    )  # fmt: skip
    def test_each_limit_by_its_name(self, limit, info, frames):
        """D01-D07: every limit is checked from the header and names itself and its numbers."""
        with pytest.raises(LimitExceeded, match=r"\d > \d") as caught:
            check_source(info, Limits(decoded_bytes=600 << 20), frames=frames)
        assert caught.value.limit == limit

    def test_limits_are_inclusive(self):
        """Exactly the limit is allowed."""
        check_source(MediaInfo(Format.PNG, 10_000, 5_000, metadata_bytes=1 << 20, icc_bytes=1 << 20, scans=100), LIMITS)
        check_source(MediaInfo(Format.GIF, 1000, 500, channels=4, frames=10**6), LIMITS, frames=200)


class TestCost:
    def test_dear_requests_are_refused(self):
        """R09: cheap to ask and dear to do is refused by its estimate."""
        big = MediaInfo(Format.PNG, 8000, 5000)
        dear = [
            (steps(Encode(Format.AVIF), info=big), Engine(avif_effort=9)),
            (steps(Encode(Format.GIF), info=big), ENGINE),
            (steps(Encode(Format.WEBP), info=MediaInfo(Format.GIF, 700, 700, frames=200)), Engine(webp_effort=6)),
            (steps(Resize(8000, enlarge=True), Encode(Format.AVIF), info=MediaInfo(Format.PNG, 80, 40)), ENGINE),
        ]
        for one, engine in dear:
            assert limit_of(lambda one=one, engine=engine: check_cost(one, engine, LIMITS)) == "cost"

    def test_common_requests_are_not(self):
        """Thumbnails, and whole photographs in the common formats, are well within the budget."""
        for format_ in (Format.JPEG, Format.WEBP, Format.PNG, Format.AVIF):
            assert check_cost(steps(Resize(1600), Encode(format_)), ENGINE, LIMITS) < 4e6
        assert check_cost(steps(Encode(Format.WEBP)), ENGINE, LIMITS) < 10e6
        anim = MediaInfo(Format.GIF, 480, 270, frames=40)
        assert check_cost(steps(Resize(240), Encode(Format.WEBP), info=anim), ENGINE, LIMITS) < 3e6

    @pytest.mark.parametrize("op", [Blur(200), Sharpen(100), Rotate(1), Background(0), Crop(3999, 2999, 0, 0)])
    def test_every_step_costs(self, op):
        """No operation is free."""
        assert estimate_us(steps(op, Encode(Format.PNG)), ENGINE) > 0.4 * estimate_us(steps(Encode(Format.PNG)), ENGINE)
        if not isinstance(op, Crop):
            assert estimate_us(steps(op, Encode(Format.PNG)), ENGINE) > estimate_us(steps(Encode(Format.PNG)), ENGINE)


class TestAuto:
    BOTH = (Format.AVIF, Format.WEBP)

    @pytest.mark.parametrize(
        ("size", "budget_s", "wanted"),
        [
            ((400, 300), 1.4, Format.AVIF), ((400, 300), 0, Format.WEBP), ((400, 300), 0.01, Format.WEBP), ((64, 64), 1.4, Format.AVIF),
            ((64, 63), 1.4, Format.WEBP), ((4000, 3000), 1.4, Format.WEBP), ((4000, 3000), 100, Format.AVIF),
        ],
    )  # fmt: skip
    def test_avif_where_it_is_worth_it(self, size, budget_s, wanted):
        """Large enough to save bytes, and within the budget; else the next that the client accepts."""
        info, engine = MediaInfo(Format.PNG, *size), Engine(avif_budget_s=budget_s)
        made = resolve((Encode(Format.AUTO),), self.BOTH, info, LIMITS, engine=engine)
        assert made.format is wanted
        only = resolve((Encode(Format.AUTO),), (Format.AVIF,), info, LIMITS, engine=engine)
        assert only.format is (Format.AVIF if wanted is Format.AVIF else Format.JPEG)
