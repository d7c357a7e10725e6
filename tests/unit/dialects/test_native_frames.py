"""Native parameters that say how a file is read."""

import pytest

from imagemill.dialects.native import Native
from imagemill.model.errors import BadOption
from imagemill.model.recipe import AutoOrient, Density, Encode, Flip, Resize
from imagemill.settings import Limits


def recipe(query):
    return list(Native(Limits(), str).parse(f"source=local:a/b&{query}".encode()).recipe)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("density=1", [Density(1), AutoOrient()]), ("density=2400&width=9", [Density(2400), AutoOrient(), Resize(9)]),
        ("density=300&ops=flip", [Density(300), AutoOrient(), Flip()]), ("flip=1", [AutoOrient(), Flip()]),
    ],
)  # fmt: skip
def test_density(query, wanted):
    """Read before all else, beside ``ops`` as well."""
    assert recipe(query) == [*wanted, Encode()]


@pytest.mark.parametrize("value", ["0", "2401", "", "-1", "96.5", "1e2"])
def test_density_out_of_range(value):
    """R04: a whole number of 1 to 2400."""
    with pytest.raises(BadOption, match="density"):
        recipe(f"density={value}")


def test_density_is_no_operation_of_ops():
    """It says how a file is read, and pixels are not read again."""
    with pytest.raises(BadOption, match="ops: 'density'"):
        recipe("ops=flip/density:300")
