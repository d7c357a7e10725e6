"""Layers in real workers: handed over beside the picture, held to its limits, blamed by name (S20, L17)."""

from contextlib import aclosing
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from imagemill.engines.base import Task
from imagemill.engines.on_demand import OnDemand
from imagemill.engines.pool import Pool
from imagemill.model.errors import ImageCorrupt, ImagemillError, LimitExceeded, UnsupportedSourceType
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Flip, Layer, Resize, SourceRef
from imagemill.settings import Engine, Limits
from integration.engines.test_pool import counted, fault, picture, pool

LOGO, MARK, CARD = (SourceRef("local", f"l/{name}") for name in ("logo", "mark", "card"))
WORKER = "imagemill.engines.worker:main"
PNG = Encode(Format.PNG)


def flat(colour, size=(8, 6)):
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


RED, BLUE, GREEN = flat((255, 0, 0)), flat((0, 0, 255)), flat((0, 255, 0), (4, 4))
GROUND = flat((10, 10, 10), (40, 30))


async def run(pool, source, recipes, layers):
    async with aclosing(pool.run(source, [Task(recipe) for recipe in recipes], layers)) as results:
        return [np.asarray(Image.open(BytesIO(made.rendition.body)).convert("RGB")) async for made in results]


async def fails(pool, source, recipe, layers):
    with pytest.raises(ImagemillError) as found:
        await run(pool, source, [recipe], layers)
    return type(found.value), found.value.layer


def middle(pixels):
    return tuple(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])


async def test_each_is_laid_by_its_name():
    """Several renditions of one source, each with its own of the layers that were handed over with it."""
    async with pool(1, WORKER) as p:
        made = await run(
            p, GROUND, [(Layer(LOGO), PNG), (Flip(), PNG), (Layer(MARK), PNG), (Layer(LOGO, (Layer(CARD),)), PNG)],
            {LOGO: RED, MARK: BLUE, CARD: GREEN},
        )  # fmt: skip

        assert [middle(pixels) for pixels in made] == [(255, 0, 0), (10, 10, 10), (0, 0, 255), (0, 255, 0)]
        assert [middle(pixels) for pixels in await run(p, GROUND, [(Layer(LOGO), PNG)], {LOGO: BLUE})] == [(0, 0, 255)]


async def test_on_demand_hands_them_on():
    engine = OnDemand(lambda: Pool(Engine(deadline_s=60), Limits(), workers=1))
    try:
        assert middle((await run(engine, GROUND, [(Layer(LOGO), PNG)], {LOGO: RED}))[0]) == (255, 0, 0)
    finally:
        await engine.close()


async def test_as_large_as_the_shared_memory():
    """A source and layers that both are as large as may be fit; a byte more is refused before a worker is asked."""
    limits = Limits(source_bytes=60_000, layer_bytes=40_000)
    source = picture((64, 48)) + bytes(60_000)
    async with pool(1, WORKER, limits) as p:
        layers = {LOGO: (RED + bytes(40_000))[:25_000], MARK: (BLUE + bytes(40_000))[:15_000]}
        made = await run(p, source[:60_000], [(Layer(LOGO), PNG), (Layer(MARK), PNG)], layers)
        assert [middle(pixels) for pixels in made] == [(255, 0, 0), (0, 0, 255)]

        with pytest.raises(LimitExceeded, match="40001 > 40000 bytes"):
            await run(p, source[:60_000], [(Layer(LOGO), PNG)], {**layers, MARK: layers[MARK] + b"x"})


async def test_a_fault_is_named():
    """The codes of a source, and which it is; the worker goes on."""
    async with pool(1, WORKER, Limits(pixels=2_000, total_pixels=2_000)) as p:
        recipe = (Layer(MARK), Layer(LOGO), PNG)
        for body, error in ((b"<html>", UnsupportedSourceType), (flat(0, (90, 30)), LimitExceeded),
                            (picture((30, 30), "PNG")[:-900], ImageCorrupt)):  # fmt: skip
            assert await fails(p, GROUND, recipe, {MARK: BLUE, LOGO: body}) == (error, LOGO.shown)
        assert await fails(p, b"<html>", recipe, {MARK: BLUE, LOGO: RED}) == (UnsupportedSourceType, "")
        assert counted(p) == {}


async def test_who_kills_as_a_layer_is_refused_as_anything(monkeypatch):
    """L17: two workers die while they read the logo: it is refused from then on, and nothing else is."""
    async with pool(2, "integration.engines.test_layers:deadly_layers") as p:
        bomb = fault("segv")
        for _ in range(3):
            assert await fails(p, GROUND, (Layer(MARK), Layer(LOGO), PNG), {MARK: BLUE, LOGO: bomb}) == (
                ImageCorrupt, LOGO.shown,
            )  # fmt: skip

        assert counted(p) == {"crash": 2, "restart crash": 2, "poison": 2}
        assert await fails(p, bomb, (Flip(), PNG), {}) == (ImageCorrupt, "")
        made = await run(p, GROUND, [(Layer(MARK), Resize(20), PNG)], {MARK: BLUE})
        assert made[0].shape == (15, 20, 3)


async def test_who_kills_below_a_layer_is_the_picture():
    """With a layer on it, too, it is the picture that is blamed: the logo is as good as before."""
    async with pool(2) as p:
        bomb = fault("segv")
        assert await fails(p, bomb, (Layer(LOGO), PNG), {LOGO: RED}) == (ImageCorrupt, "")

        assert counted(p) == {"crash": 2, "restart crash": 2}
        assert await fails(p, bomb, (Flip(), PNG), {}) == (ImageCorrupt, "")
        assert middle((await run(p, GROUND, [(Layer(LOGO), PNG)], {LOGO: RED}))[0]) == (255, 0, 0)


def deadly_layers(*fds):
    """A worker that dies of a layer that is marked, once it reads its header."""
    import ctypes

    from imagemill.engines import layers, worker

    probe = layers.probe

    def deadly(file):
        if bytes(file[-40:]).endswith(b"segv"):
            ctypes.string_at(8)
        return probe(file)

    layers.probe = deadly
    worker.main(*fds)
