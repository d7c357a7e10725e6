"""Texts in whatever encoding, in confined workers: Python itself looks for most encodings in files, which they cannot read."""

import json
from contextlib import aclosing

import pytest

from golden import pictures
from imagemill.engines.base import Task
from imagemill.engines.pool import Pool
from imagemill.model.media import Format
from imagemill.model.recipe import Describe, Encode
from imagemill.settings import Engine, Limits

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="7"><desc>\N{POUND SIGN}</desc><rect width="9" height="7"/></svg>'


@pytest.fixture
async def confined():
    pool = Pool(Engine(), Limits(), workers=1)
    await pool.start()
    yield pool
    await pool.close()


async def made(pool, source, *recipe):
    async with aclosing(pool.run(source, [Task(recipe)])) as results:
        return (await anext(results)).rendition


async def test_name_of_a_profile(confined):
    """ICC writes names in UTF-16."""
    profile = pictures.swapped_profile()
    body = pictures.encoded(pictures.corners(), "PNG", icc_profile=profile)

    told = json.loads((await made(confined, body, Describe(metadata=True))).body)

    assert profile.find(b"mluc") > 0
    assert told["icc_profile"]


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ""),
        ("utf-16", ""),
        ("utf-16-be", ""),
        ("utf-16-le", ""),
        ("iso-8859-1", "iso-8859-1"),
        ("iso-8859-15", "iso-8859-15"),
        ("windows-1252", "windows-1252"),
    ],
)
async def test_vector_pictures(confined, encoding, declared):
    """All encodings that are read."""
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    drawn = await made(confined, (head + SVG).encode(encoding), Encode(Format.PNG))
    assert (drawn.width_px, drawn.height_px) == (9, 7)
