"""Faces are found where pictures are made: in a worker that has given up its rights."""

import os
from contextlib import aclosing
from pathlib import Path

import pytest

import imagemill
from imagemill.engines import faces
from imagemill.engines.base import Task
from imagemill.engines.pool import Pool
from imagemill.model.media import Format
from imagemill.model.recipe import Crop, Detect, Encode, Position
from imagemill.settings import Engine, Limits

PORTRAIT = Path(__file__).parents[2] / "golden" / "faces" / "portrait.jpg"
SAMPLE = Path(imagemill.__file__).parent / "samples" / "dandelion.jpg"


@pytest.mark.skipif(
    not faces.AVAILABLE and not (os.environ.get("CI") == "true" and os.uname().machine == "x86_64"),
    reason="the extra faces is not installed",
)
async def test_in_a_confined_worker():
    """The model is there without a file being read; a face and none are both answered, by the same worker."""
    pool = Pool(Engine(deadline_s=60), Limits(), workers=1)
    await pool.start()
    try:
        for source in (PORTRAIT, SAMPLE):
            task = Task((Crop(100, 120, position=Position(detect=Detect.FACE)), Encode(Format.PNG)))
            async with aclosing(pool.run(source.read_bytes(), [task])) as results:
                (made,) = [made async for made in results]
            assert (made.rendition.width_px, made.rendition.height_px) == (100, 120)
        assert pool.states["idle"] == 1
    finally:
        await pool.close()
