"""Keys of results: what a template may say, what comes of it, and that two renditions never meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.errors import BadOption
from imagemill.model.job import Wanted
from imagemill.model.keys import result_key, source_key
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Resize
from imagemill.model.request import SourceRef
from imagemill.service.keys import DEFAULT, FIELDS, Facts, check, check_apart, resolve
from imagemill.storage.base import split

SOURCE = SourceRef("https", "https://example.com/a.jpg")
FACTS = Facts(SOURCE, "ab" * 16, "acme", 1_799_999_999.0)


def wanted(key, name="small", format_=Format.WEBP, width=8):
    return Wanted(name, (Resize(width), Encode(format_)), key)


def test_every_field():
    one = wanted("{tenant}/{yyyy}/{mm}/{dd}/{job}/{index}-{name}-{digest}-{source}.{ext}")

    key = resolve(one, 3, Format.JPEG, FACTS)

    digest, source = result_key(SOURCE, one.recipe)[:32], source_key(SOURCE)[:32]
    assert key == f"acme/2027/01/15/{'ab' * 16}/3-small-{digest}-{source}.jpg"
    assert resolve(wanted(DEFAULT), 0, Format.WEBP, FACTS) == f"{'ab' * 16}/small.webp"


def test_the_digest_is_of_source_and_recipe():
    """Equal work has equal names, other work has others."""
    digests = {resolve(wanted("{digest}", width=w), 0, Format.WEBP, FACTS) for w in (8, 9)}

    assert len(digests) == 2
    assert resolve(wanted("{digest}", name="other"), 0, Format.WEBP, FACTS) in digests


@pytest.mark.parametrize(
    "template", ["{nope}", "{Job}", "{}", "{job", "job}", "{{job}}", "a\\b", "a\0b", "a\nb", "a\x7f", "\ud800"]
)
def test_what_a_template_may_not_say(template):
    with pytest.raises(BadOption, match="here"):
        check(template, "here")


@pytest.mark.parametrize("template", ["", "/a", "a/", "a//b", "../{name}", "a/./b", "x" * 256, "é" * 128, "a/" * 600])
def test_what_yields_no_key(template):
    check(template, "here")

    with pytest.raises(BadOption, match="the key of small"):
        check_apart([wanted(template)])


@given(
    st.lists(
        st.sampled_from([*("{" + field + "}" for field in FIELDS), "a", "-", "/", "..", "é", "x" * 200]), max_size=8
    )
)
def test_what_is_accepted_is_a_key(parts):
    """Whatever passes, its keys are keys of every store."""
    one = wanted("".join(parts), format_=Format.KEEP)
    try:
        check_apart([one])
    except BadOption:
        return

    for format_ in (Format.JPEG, Format.AVIF):
        assert split(resolve(one, 31, format_, FACTS))


def test_two_of_one_key_are_refused():
    with pytest.raises(BadOption, match="a and b may get the same key"):
        check_apart([wanted("x.{ext}", "a"), wanted("x.{ext}", "b")])
    with pytest.raises(BadOption, match="same key"):
        check_apart([wanted("{digest}", "a"), wanted("{digest}", "b")])
    check_apart([wanted("{digest}", "a", width=1), wanted("{digest}", "b", width=2)])
    check_apart([wanted("{index}", "a"), wanted("{index}", "b")])
    check_apart([wanted("x.{ext}", "a", Format.PNG), wanted("x.{ext}", "b")])


def test_a_format_that_is_not_known_yet_may_be_any():
    """`keep` beside `webp`: where the source is WebP, both would be one."""
    with pytest.raises(BadOption, match="same key"):
        check_apart([wanted("x.{ext}", "a", Format.KEEP), wanted("x.{ext}", "b")])
    check_apart([wanted("{name}.{ext}", "a", Format.KEEP), wanted("{name}.{ext}", "b")])


def test_none_lies_below_another():
    """A file is no folder: `x` and `x/y` cannot both be there."""
    with pytest.raises(BadOption, match="the key of b may lie below that of a"):
        check_apart([wanted("x", "a"), wanted("x/y/z", "b")])
    check_apart([wanted("x", "a"), wanted("xy/z", "b")])
