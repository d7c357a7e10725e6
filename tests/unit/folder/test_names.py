"""What files are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.folder.names import Naming, promised
from imagemill.model.errors import SettingsError
from imagemill.model.media import SOURCE_TYPES, Format


@pytest.mark.parametrize(
    ("template", "source", "is_a", "made", "name"),
    [
        ("{stem}.{ext}", "a.png", Format.PNG, Format.WEBP, "a.webp"),
        ("{stem}.{ext}", "a.b.JPG", Format.JPEG, Format.JPEG, "a.b.JPG"),
        ("{stem}.{ext}", "a.jpeg", Format.JPEG, Format.JPEG, "a.jpeg"),
        ("{stem}.{ext}", "a.png", Format.JPEG, Format.JPEG, "a.jpg"),  # its name lies
        ("{stem}.{ext}", "photo", Format.AVIF, Format.AVIF, "photo.avif"),
        ("{name}.{ext}", "a.png", Format.PNG, Format.JPEG, "a.png.jpg"),
        ("w512-{stem}.{ext}", "{ext}.gif", Format.GIF, Format.GIF, "w512-{ext}.gif"),
    ],
)
def test_names(template, source, is_a, made, name):
    """By the template and the format; a format that stays keeps its suffix; a name is never a template."""
    assert Naming(template).of(source, is_a, made) == name


@pytest.mark.parametrize(
    "template", ["", "{stem}", "{ext}", "x.{ext}", "{stem}.{ext}/x", "{stem}.{ext}{", "{stem!r}.{ext}", ".{stem}.{ext}", "{a}{stem}.{ext}"]
)  # fmt: skip
def test_templates_that_cannot_be_meant(template):
    """All would be one file, or hidden, or elsewhere."""
    with pytest.raises(SettingsError, match="--name"):
        Naming(template)


def test_every_format_that_is_read_has_a_name():
    """A broken file that is named like a picture counts as one that failed, and not as something else."""
    told = {
        name: promised(name)
        for name in ("a.SVG", "a.svgz", "a.apng", "a.heif", "a.cur", "a.jpg", "a.jxl", "a.txt", "svg")
    }

    assert told["a.SVG"] is told["a.svgz"] is Format.SVG
    assert {promised(f"a.{format_}") for format_ in SOURCE_TYPES} == set(SOURCE_TYPES)
    assert (told["a.apng"], told["a.heif"], told["a.cur"], told["a.jxl"]) == (
        Format.APNG,
        Format.HEIC,
        Format.ICO,
        Format.JXL,
    )
    assert told["a.txt"] is told["svg"] is None


@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1).filter(lambda n: n[0] != "."))
def test_a_name_stays_in_its_folder_and_is_not_hidden(source):
    name = Naming().of(source, Format.PNG, Format.WEBP)

    assert name.endswith(".webp")
    assert "/" not in name
    assert not name.startswith(".")
