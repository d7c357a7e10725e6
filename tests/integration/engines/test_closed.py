"""A worker opens nothing once it is confined: what it may need of a file, it has read before (D12, V01)."""

import io
import json
from contextlib import aclosing

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from imagemill.engines.base import Task
from imagemill.engines.pool import Pool
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format
from imagemill.model.recipe import Describe, Encode, Metadata, Resize, Space, Text
from imagemill.settings import Engine, Limits
from integration.engines.closed import OPENS

ALL = Describe(metadata=True, colours=4, blurhash=True, thumbhash=True, phash=True, placeholder=True)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><text y="40" font-size="40">é</text></svg>'
ENCODINGS = {
    "utf-8": "utf-8", "utf-16": "utf-16", "iso-8859-1": "latin-1", "iso-8859-15": "iso-8859-15", "windows-1252": "cp1252",
}  # fmt: skip


@pytest.fixture
async def pool():
    made = Pool(Engine(deadline_s=60), Limits(), workers=1, entry="integration.engines.closed:main")
    await made.start()
    yield made
    await made.close()


async def made(pool, source, *recipe):
    async with aclosing(pool.run(source, [Task(recipe)])) as results:
        async for one in results:
            return one.rendition
    raise AssertionError


def photo(kind, xmp=b"", **more):
    """A picture with all that stands beside pixels."""
    out, text, exif = io.BytesIO(), PngImagePlugin.PngInfo(), Image.Exif()
    exif[0x8298] = "Ada"
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    beside = {"pnginfo": text} if kind == "PNG" else {"xmp": xmp}
    Image.effect_noise((96, 80), 60).convert("RGB").save(
        out, kind, icc_profile=profile, exif=exif.tobytes(), **beside, **more
    )
    return out.getvalue()


def packet(encoding):
    return (
        f'<?xml version="1.0" encoding="{encoding}"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:d="http://purl.org/dc/elements/1.1/" d:title="moon"/></rdf:RDF>'
    ).encode()


async def test_it_is_closed(pool):
    """Else the next tests would prove nothing."""
    with pytest.raises(ImageCorrupt, match="PermissionError"):
        await made(pool, photo("JPEG") + OPENS, Resize(20), Encode(Format.PNG))


async def test_vector_pictures_of_every_encoding(pool):
    """V04: what is not UTF-8 is read without a codec's file."""
    plain = (await made(pool, SVG.encode(), Encode(Format.PNG))).body
    for encoding, codec in ENCODINGS.items():
        source = f'<?xml version="1.0" encoding="{encoding}"?>{SVG}'.encode(codec)
        assert (await made(pool, source, Encode(Format.PNG))).body == plain, encoding


async def test_everything_is_told(pool):
    """R16: a profile's name, metadata, colours and every hash."""
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        told = json.loads((await made(pool, photo(kind, packet("utf-8")), ALL)).body)
        assert told["icc_profile"], kind
        assert all(told[name] for name in ("palette", "blurhash", "thumbhash", "phash", "placeholder")), kind


async def test_a_packet_does_not_choose_a_codec(pool):
    """R16: the encoding that XMP names opens nothing; it is UTF-8."""
    told = json.loads((await made(pool, photo("PNG", packet("cp037")), Describe(metadata=True))).body)

    assert told["metadata"]["xmp"] == {"d:title": "moon"}


async def test_every_format_is_written(pool):
    """With all that can be kept of the source."""
    for format_ in ("jpeg", "png", "webp", "avif", "gif", "tiff", "apng"):
        kept = {} if format_ == "gif" else {"metadata": Metadata.ALL, "space": Space.KEEP}
        recipe = (Resize(40), Text("moon", size_px=9), Encode(Format(format_), **kept))
        assert (await made(pool, photo("JPEG", packet("utf-8")), *recipe)).format == format_
