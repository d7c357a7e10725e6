"""Several renditions of one source in one run, and questions to its pixels that are asked again: each is its own."""

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from golden import inputs, pictures, reference
from golden.mill import mill
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Encode, Fit, Frames, Resize
from imagemill.settings import Engine, Limits

FRAMES = 4


def moving(kind):
    """Few colours, different in each frame."""
    frames = [pictures.corners(30, 20).rotate(90 * n, expand=False) for n in range(FRAMES)]
    more = {"lossless": True} if kind == "WEBP" else {}
    return pictures.encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, loop=3, **more)


def run(body, *recipes):
    return list(Vips(Limits(), Engine()).run(memoryview(body), probe(body), [Task(recipe) for recipe in recipes]))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("to", [Format.GIF, Format.WEBP, Format.APNG, Format.AVIF])
def test_each_has_its_own_number_of_frames(kind, to):
    """All, some, one of the same animation: the bytes are those of a run of its own."""
    body = moving(kind)
    scale = Resize(60, 40, Fit.FILL, enlarge=True)  # to a multiple of a frame's height
    recipes = [(Frames(most=most), AutoOrient(), scale, Encode(to)) for most in (2, 4, 1, 3)]

    made = run(body, *recipes)

    assert [one.frames for one in made] == [2, 4, 1, 3]
    for recipe, one in zip(recipes, made, strict=True):
        (alone,) = run(body, recipe)
        assert one.body == alone.body
        found = [frame.size for frame in ImageSequence.Iterator(Image.open(io.BytesIO(one.body)))]
        assert found == [(60, 40)] * one.frames


@pytest.mark.parametrize("bits", ["10", "16"])
def test_a_still_of_more_bits_beside_an_animation(bits):
    """What is cut out of a strip of frames is one picture of its own height."""
    body, to = moving("GIF"), Format.AVIF if bits == "10" else Format.TIFF
    still = (AutoOrient(), Resize(60, 40, Fit.FILL, enlarge=True), Encode(to, bits=int(bits)))

    _, made = run(body, (AutoOrient(), Encode(Format.GIF)), (Frames(most=1), *still))

    picture = Image.open(io.BytesIO(made.body))
    assert (picture.size, getattr(picture, "n_frames", 1)) == ((60, 40), 1)


def test_a_second_trim_looks_anew():
    """Also where it meets a picture of the size that the first one met, and found no border in."""
    body = pictures.encoded(pictures.photo(60, 40), "PNG")
    ops = "trim:0/crop:10,5,40,30/pad:5,10/trim:0"

    made = mill(body, format="png", ops=ops)

    wanted = np.asarray(pictures.photo(60, 40).convert("RGBA"))[5:35, 10:50]
    assert (made.width_px, made.height_px) == (40, 30)
    assert reference.difference(inputs.read(made.body), wanted) == 0


def test_what_was_cut_out_after_the_ground_was_laid():
    """A ground fills no hole that is made later: what may be chosen then holds transparency."""
    body = pictures.encoded(pictures.photo(60, 40), "JPEG")
    assert mill(body, format="auto", ops="background:fff/round:20").format is Format.PNG
    assert mill(body, format="auto", ops="round:20/background:fff").format is Format.JPEG
