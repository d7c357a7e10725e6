"""Layers before any pixel: how many, how deep, how large, how dear; and by what their pictures are purged."""

import pytest
from msgspec.structs import replace

from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.keys import canonical, layer_tags, result_key, source_key
from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import (
    Blend,
    Blur,
    Describe,
    Encode,
    Flip,
    Gravity,
    Layer,
    Place,
    Position,
    Resize,
    Shadow,
    SourceRef,
    layers,
    renamed,
    sources,
)
from imagemill.model.request import ImageRequest
from imagemill.plan.cost import check_cost, estimate_us
from imagemill.plan.geometry import Size
from imagemill.plan.prepare import prepare
from imagemill.plan.resolve import resolve
from imagemill.plan.steps import Overlay, Scale
from imagemill.settings import Engine, Limits

SOURCE, LOGO, MARK = (SourceRef("https", f"https://example.com/{name}") for name in ("a", "logo", "mark"))
PNG = Encode(Format.PNG)
PHOTO = MediaInfo(Format.JPEG, 1200, 800)
INFOS = {LOGO: MediaInfo(Format.PNG, 400, 100, channels=4, has_alpha=True), MARK: MediaInfo(Format.JPEG, 3000, 2000)}


def prepared(*recipe, **limits):
    return prepare(ImageRequest(SOURCE, (*recipe, PNG)), Limits(**limits))


def steps(*recipe, info=PHOTO, limits=Limits()):  # noqa: B008 - frozen
    return resolve((*recipe, PNG), (), info, limits, layers=INFOS)


def nested(depth):
    found = Layer(LOGO)
    for _ in range(depth - 1):
        found = Layer(MARK, (found,))
    return found


class TestPolicy:
    @pytest.mark.parametrize(
        ("recipe", "limits", "limit"),
        [
            ((Layer(LOGO),) * 9, {}, "layers"), ((Layer(LOGO, (Layer(MARK),)),), {"layers": 1}, "layers"),
            ((Layer(LOGO),), {"layers": 0}, "layers"), ((nested(3),), {}, "layer_depth"),
            ((nested(2),), {"layer_depth": 1}, "layer_depth"), ((Layer(LOGO, (Flip(),) * 17),), {}, "operations"),
            ((Layer(LOGO, (Blur(10_001),)),), {}, "blur"), ((Layer(LOGO, (Resize(9_000, 1),)),), {}, "output_side"),
        ],
    )  # fmt: skip
    def test_refused_before_any_source_is_read(self, recipe, limits, limit):
        """A layer's own recipe is held to all that a recipe is; layers in layers count as layers."""
        with pytest.raises(LimitExceeded) as refused:
            prepared(*recipe, **limits)
        assert refused.value.limit == limit

    def test_sizes_on_the_grid(self):
        """R10: what a layer is resized to is a size like any other."""
        with pytest.raises(LimitExceeded) as refused:
            prepared(Layer(LOGO, (Layer(MARK, (Resize(99),)),)), widths=(100, 200))
        assert refused.value.limit == "grid"
        rounded = prepared(Layer(LOGO, (Resize(99),)), widths=(100, 200), grid_outside="round")
        assert rounded.recipe[0].recipe == (Resize(100),)

    def test_as_many_as_may_be(self):
        assert prepared(*(Layer(LOGO),) * 8)
        assert prepared(nested(2))
        assert prepared(nested(60), layers=64, layer_depth=60)

    def test_no_layer_is_encoded_by_itself(self):
        for last in (Encode(), Describe()):
            with pytest.raises(BadOption, match="not encoded by itself"):
                Layer(LOGO, (last,))


class TestNames:
    RECIPE = (Layer(MARK, (Layer(LOGO),)), Flip(), Layer(LOGO), Layer(MARK))

    def test_sources_each_once_in_their_order(self):
        assert sources(self.RECIPE) == (MARK, LOGO)
        assert [(depth, layer.source) for depth, layer in layers(self.RECIPE)] == [
            (1, MARK), (2, LOGO), (1, LOGO), (1, MARK),
        ]  # fmt: skip

    def test_renamed_at_every_depth(self):
        found = renamed(self.RECIPE, lambda source: replace(source, scheme="s3"))

        assert {source.scheme for source in sources(found)} == {"s3"}
        assert renamed(found, lambda source: replace(source, scheme="https")) == self.RECIPE

    def test_tags_of_all_that_go_into_a_picture(self):
        """Sorted, each source once, and no tag that a URL may name."""
        tags = sorted(f"*{source_key(source)}" for source in (MARK, LOGO))
        assert list(layer_tags(self.RECIPE)) == tags
        assert prepare(ImageRequest(SOURCE, (*self.RECIPE, PNG), tags=("b", "a")), Limits()).tags == (*tags, "a", "b")

    def test_every_field_makes_another_key(self):
        """R13: equal keys are equal pictures."""
        place = Place(Position.of(Gravity.NORTH), 1, 2, 300, 50)
        kinds = [
            Layer(LOGO), Layer(MARK), Layer(SourceRef("http", LOGO.address)), Layer(LOGO, (Flip(),)), Layer(LOGO, (Layer(MARK),)),
            Layer(LOGO, place=place), *(Layer(LOGO, place=replace(place, **change)) for change in (
                {"position": Position()}, {"x_px": 2}, {"y_px": 1}, {"centidegrees": 301}, {"opacity_percent": 51})),
            Layer(LOGO, width_ppm=5), Layer(LOGO, blend=Blend.SCREEN), Layer(LOGO, tile=True), Layer(LOGO, shadow=Shadow()),
            *(Layer(LOGO, shadow=replace(Shadow(), **change)) for change in (
                {"x_px": 1}, {"y_px": 1}, {"sigma_centi": 1}, {"rgba": 1})),
        ]  # fmt: skip
        assert len({result_key(SOURCE, (kind, PNG)) for kind in kinds}) == len(kinds)
        assert canonical((Layer(LOGO), Flip())) != canonical((Layer(LOGO, (Flip(),)),))

    @pytest.mark.parametrize(
        ("source", "text", "shown"),
        [
            (SourceRef("local", "a/b"), "local:a/b", "local:a/b"), (SourceRef("s3", "b/k"), "s3://b/k", "s3://b/k"),
            (SourceRef("https", "https://h/p?token=1"), "https://h/p?token=1", "https://h/p"),
            (SourceRef("local", "a/" + "b" * 200), "local:a/" + "b" * 200, "local:a/" + "b" * 92),
        ],
    )  # fmt: skip
    def test_what_it_is_called(self, source, text, shown):
        """In URLs in full; in messages short, and without what a query may hold."""
        assert (source.text, source.shown) == (text, shown)


class TestSteps:
    def test_the_picture_keeps_its_size(self):
        """A layer as it is, however large, changes nothing of what comes after it."""
        found = steps(Resize(600), Layer(MARK), Flip())

        assert (found.size, [type(step).__name__ for step in found.steps]) == (
            Size(600, 400),
            ["Scale", "Overlay", "Mirror"],
        )

    @pytest.mark.parametrize(("ppm", "width"), [(250_000, 150), (10_000_000, 6_000), (1, 1), (1_250, 1), (2_501, 2)])
    def test_a_share_of_the_picture_as_it_is_then(self, ppm, width):
        """Rounded to the nearest pixel, one at least, enlarged where need be."""
        overlay = steps(Resize(600), Layer(LOGO, width_ppm=ppm)).steps[1]

        assert overlay.made.size.width == width
        assert overlay.made.steps == (Scale(Size(width, max(1, round(width / 4)))),)

    def test_a_photograph_is_decoded_as_small_as_it_is_laid(self):
        """And what is laid before the picture is scaled is no reason to decode that at full size afterwards."""
        assert steps(Resize(600), Layer(MARK, width_ppm=500_000)).steps[1].made.shrink == 8
        assert steps(Resize(100), Layer(LOGO)).shrink == 8
        assert steps(Layer(LOGO), Resize(100)).shrink == 1

    def test_a_layer_in_a_layer_goes_by_it(self):
        outer = steps(Layer(MARK, (Resize(300), Layer(LOGO, width_ppm=100_000)))).steps[0]
        inner = outer.made.steps[1]

        assert isinstance(inner, Overlay)
        assert (outer.made.size, inner.made.size) == (Size(300, 200), Size(30, 8))

    def test_too_large(self):
        """What a layer becomes is bounded like what a picture becomes."""
        with pytest.raises(LimitExceeded) as refused:
            steps(Layer(LOGO), limits=Limits(output_side_px=399))
        assert refused.value.limit == "output_side"


class TestPrices:
    def estimate(self, *recipe, info=PHOTO, format_=Format.WEBP):
        found = resolve((*recipe, Encode(format_)), (), info, Limits(), layers=INFOS)
        return estimate_us(found, Engine())

    def test_all_of_it_costs(self):
        """To decode it, to scale it, to turn it, its shadow, its blend, and to repeat it."""
        plain = self.estimate(Resize(600))
        logo = self.estimate(Resize(600), Layer(LOGO))
        assert plain < logo < self.estimate(Resize(600), Layer(LOGO), Layer(LOGO))
        assert logo < self.estimate(Resize(600), Layer(MARK))
        for dearer in (
            {"place": Place(centidegrees=1)}, {"shadow": Shadow()}, {"blend": Blend.SOFT_LIGHT}, {"tile": True},
            {"recipe": (Blur(100),)}, {"recipe": (Layer(MARK),)}, {"width_ppm": 1_000_000},
        ):  # fmt: skip
            assert self.estimate(Resize(600), Layer(LOGO, **dearer)) > logo, dearer

    def test_once_for_all_frames(self):
        """Fifty frames do not decode it fifty times."""
        still, moving = (MediaInfo(Format.GIF, 300, 200, frames=frames) for frames in (1, 50))
        one, all_ = (
            self.estimate(Layer(MARK, width_ppm=100_000), info=info) - self.estimate(info=info)
            for info in (still, moving)
        )
        assert all_ < 10 * one

    def test_a_bomb_is_too_dear(self):
        """S20: what is named as a layer counts as if it were the picture."""
        bomb = {LOGO: MediaInfo(Format.PNG, 7000, 7000)}
        found = resolve((Layer(LOGO, width_ppm=100_000), PNG), (), PHOTO, Limits(), layers=bomb)

        with pytest.raises(LimitExceeded, match="estimated CPU"):
            check_cost(found, Engine(), Limits(cpu_s=1.0))
