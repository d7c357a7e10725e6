"""R13: two keys are equal exactly when source, recipe and negotiated class are."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.keys import canonical, etag, result_key, source_key
from imagemill.model.media import Format
from imagemill.model.recipe import (
    AutoOrient,
    Background,
    Blur,
    Crop,
    Encode,
    Fit,
    Flip,
    Flop,
    Gravity,
    Position,
    Resize,
    Rotate,
    Sharpen,
    Speed,
)
from imagemill.model.request import SourceRef

side = st.integers(0, 300)
ppm = st.sampled_from([0, 1, 10, 500_000, 1_000_000])
positions = st.builds(Position, ppm, ppm, st.booleans()) | st.sampled_from(Gravity).map(Position.of)
operations = st.one_of(
    st.just(AutoOrient()),
    st.builds(Crop, side.map(lambda n: n + 1), side.map(lambda n: n + 1), position=positions),
    st.builds(Crop, side.map(lambda n: n + 1), side.map(lambda n: n + 1), side, side),
    st.builds(Rotate, st.integers(1, 3)),
    st.just(Flip()),
    st.just(Flop()),
    st.builds(Resize, side.map(lambda n: n + 1), side, st.sampled_from(Fit), st.booleans(), positions),
    st.builds(Blur, st.integers(1, 30)),
    st.builds(Sharpen, st.integers(1, 30)),
    st.builds(Background, st.integers(0, 0xFFFFFFFF)),
    st.builds(
        Encode,
        st.sampled_from([f for f in Format if f is not Format.JSON]),
        st.integers(0, 100),
        st.none() | st.sampled_from(Speed),
    ),
)
recipes = st.lists(operations, max_size=5).map(tuple)
text = st.text(st.sampled_from("ab1:/=&?|\0é日"), max_size=6)
sources = st.builds(SourceRef, st.sampled_from(["http", "https", "local"]) | text, text)
candidates = st.lists(st.sampled_from([Format.AVIF, Format.WEBP]), unique=True, max_size=2).map(tuple)


@given(sources, recipes, candidates, sources, recipes, candidates)
def test_equal_keys_are_equal_requests(source, recipe, accepted, other_source, other_recipe, other_accepted):
    """Keys agree exactly when everything that makes the bytes does."""
    same = (source, recipe, accepted) == (other_source, other_recipe, other_accepted)
    assert (result_key(source, recipe, accepted) == result_key(other_source, other_recipe, other_accepted)) == same
    assert (canonical(recipe) == canonical(other_recipe)) == (recipe == other_recipe)
    assert (source_key(source) == source_key(other_source)) == (source == other_source)


@given(recipes, recipes)
def test_operations_do_not_run_into_one_another(left, right):
    """The form of a whole is that of its parts, one after the other, and can be cut in one way only."""
    assert canonical(left + right) == canonical(left) + canonical(right)


def test_delimiters_in_an_address_make_no_other_source():
    """R13: whatever separators an address holds, it is that address and no other."""
    tricks = [("https", "a|b"), ("https|a", "b"), ("https", "5:a"), ("http", "sa"), ("https", "a"), ("https", "a\0"),
              ("https", "é"), ("https", "e\u0301"), ("", "httpsa"), ("httpsa", "")]  # fmt: skip
    keys = {source_key(SourceRef(*t)) for t in tricks}
    assert len(keys) == len(tricks)
    recipe = (Encode(),)
    assert len({result_key(SourceRef(*t), recipe) for t in tricks}) == len(tricks)
    assert not keys & {result_key(SourceRef(*t), ()) for t in tricks}


def test_fields_do_not_run_into_one_another():
    """The same digits in other fields are another operation."""
    assert canonical((Resize(1, 23),)) != canonical((Resize(12, 3),))
    assert canonical((Blur(5),)) != canonical((Sharpen(5),))
    assert canonical((Resize(5, 0),)) != canonical((Resize(0, 5),))
    assert canonical((Flip(), Flop())) != canonical((Flop(), Flip()))


def test_a_default_written_out_is_the_default():
    """A field at its default has the key it had before the field existed."""
    assert canonical((Encode(Format.KEEP, 0),)) == canonical((Encode(),)) == b"8:6:Encode"


def test_known_keys():
    """Keys do not change by accident: that would empty every cache. Raise `KEY_VERSION` where it is meant."""
    wanted = b"13:10:AutoOrient23:6:Resize8:width_px3:51235:6:Encode6:format4:webp7:quality2:80"
    assert canonical((AutoOrient(), Resize(512, 0), Encode(Format.WEBP, 80))) == wanted
    assert (
        source_key(SourceRef("https", "https://example.com/a.jpg"))
        == sha256(b"imagemill2" + b"6:source" + b"5:https" + b"25:https://example.com/a.jpg").hexdigest()
    )


def test_etag_is_of_the_body():
    """Equal bodies, equal tags; forty hex digits."""
    assert etag(b"a") == etag(b"a") != etag(b"b")
    assert len(etag(b"")) == 40
