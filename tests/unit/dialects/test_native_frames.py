"""What a URL says of how a file is read: pages, frames and density."""

import pytest

from imagemill.dialects.native import Native
from imagemill.model.errors import BadOption
from imagemill.model.media import ANIMATED, MEDIA_TYPES, Format
from imagemill.model.recipe import AutoOrient, Blur, Density, Encode, Flip, Frames, Resize
from imagemill.plan.prepare import prepare
from imagemill.settings import Limits

DIALECT = Native(Limits(), lambda url: url)
STILL = sorted(MEDIA_TYPES.keys() - ANIMATED)


def parse(query):
    return DIALECT.parse(f"source=local:a/b&{query}".encode())


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("page=0", Frames(0)), ("page=65535", Frames(65_535)), ("pg=3", Frames(3)), ("frames=1", Frames(most=1)),
        ("frames=65535", Frames(most=65_535)), ("loop=0", Frames(loops=0)), ("loop=65535", Frames(loops=65_535)),
        ("delay=1", Frames(delay_ms=1)), ("delay=655350", Frames(delay_ms=655_350)),
        ("delay=20&loop=2&frames=5&page=1", Frames(1, 5, 2, 20)),
    ],
)  # fmt: skip
def test_parameter(query, wanted):
    """They make one operation, the first of all: also beside ``ops``."""
    assert parse(query).recipe == (wanted, AutoOrient(), Encode())
    assert parse(f"{query}&ops=blur:5").recipe == (wanted, AutoOrient(), Blur(500), Encode())
    assert parse(f"{query}&orient=0").recipe == (wanted, Encode())


@pytest.mark.parametrize(
    "query",
    ["page=", "page=-1", "page=65536", "page=1.5", "page=one", "frames=0", "frames=65536", "frames=-1", "loop=-1", "loop=65536", "loop=x",
     "delay=0", "delay=655351", "delay=-5", "ops=page:1", "ops=frames:2", "page=1&pg=1"],
)  # fmt: skip
def test_ill_formed(query):
    """400; reading is no step, so it is not said in ``ops``."""
    with pytest.raises(BadOption):
        parse(query)


@pytest.mark.parametrize("format_", [*STILL, "jpg"])
@pytest.mark.parametrize("given", ["frames=2", "loop=0", "delay=50"])
def test_nothing_to_play(format_, given):
    """400 before the source is read: the format holds one frame."""
    with pytest.raises(BadOption, match=f"{given.split('=')[0]}: (jpeg|{format_}) holds one frame"):
        parse(f"format={format_}&{given}")
    assert parse(f"format={format_}&page=2").recipe[0] == Frames(2)


@pytest.mark.parametrize("format_", [*sorted(ANIMATED), "keep", "auto"])
def test_something_may_be_played(format_):
    assert parse(f"format={format_}&frames=2").recipe == (Frames(most=2), AutoOrient(), Encode(Format(format_)))


def test_keys():
    """What changes the bytes changes the key; what is not said changes nothing."""
    queries = ["width=5", "page=0", "page=1", "frames=1", "loop=0", "loop=1", "delay=1", "delay=2"]
    keys = [prepare(parse(query), Limits()).key for query in queries]
    assert len(set(keys)) == len(keys)


def test_nothing_said():
    """An operation that says nothing is a mistake of who wrote it."""
    with pytest.raises(BadOption, match="nothing is said"):
        Frames()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("density=1", [Density(1), AutoOrient()]), ("density=2400&width=9", [Density(2400), AutoOrient(), Resize(9)]),
        ("density=300&ops=flip", [Density(300), AutoOrient(), Flip()]), ("flip=1", [AutoOrient(), Flip()]),
    ],
)  # fmt: skip
def test_density(query, wanted):
    """Read before all else, beside ``ops`` as well."""
    assert list(parse(query).recipe) == [*wanted, Encode()]


@pytest.mark.parametrize("value", ["0", "2401", "", "-1", "96.5", "1e2"])
def test_density_out_of_range(value):
    """R04: a whole number of 1 to 2400."""
    with pytest.raises(BadOption, match="density"):
        parse(f"density={value}")


def test_density_is_no_operation_of_ops():
    """It says how a file is read, and pixels are not read again."""
    with pytest.raises(BadOption, match="ops: 'density'"):
        parse("ops=flip/density:300")
