"""Values that whatever is laid over a picture has in common: where it lies, and its shadow."""

from msgspec.structs import replace

from imagemill.dialects.native.lengths import lengthened
from imagemill.dialects.native.reading import Given, choice, colour, integer, scaled, signed
from imagemill.model.errors import BadOption
from imagemill.model.recipe import Gravity, Place, Position, Shadow

_MOST_OFFSET = 16_383
_MOST_TURN_CENTI = 35_999
_MOST_SIGMA_CENTI = 10_000


def place(given: Given, prefix: str, ratio: int) -> Place:
    """Where something is laid, by the parameters whose names begin with *prefix*: ``wm_x`` and so on.

    Lengths are multiplied by *ratio* hundredths; so are those of `shadow`.
    """
    x, y = (
        signed(given, name, -_MOST_OFFSET, _MOST_OFFSET) if name in given else 0
        for name in (f"{prefix}_x", f"{prefix}_y")
    )
    turn, opacity = f"{prefix}_rotate", f"{prefix}_opacity"
    return Place(
        Position.of(choice(given, f"{prefix}_gravity", Gravity, Gravity.CENTER)),
        lengthened(x, ratio),
        lengthened(y, ratio),
        centidegrees(turn, given[turn]) if turn in given else 0,
        integer(given, opacity, 1, 100) if opacity in given else 100,
    )


def shadow(name: str, text: str, ratio: int) -> Shadow:
    """``x,y``, then maybe how soft and in which colour."""
    parts = text.split(",", 4)
    if not 2 <= len(parts) <= 4:  # noqa: PLR2004
        raise BadOption(f"{name}: x,y or x,y,sigma or x,y,sigma,RRGGBBAA")
    found = Shadow(*(lengthened(signed({name: part}, name, -1000, 1000), ratio) for part in parts[:2]))
    if len(parts) > 2:  # noqa: PLR2004
        sigma = scaled(name, parts[2], 2)
        if sigma > _MOST_SIGMA_CENTI:
            raise BadOption(f"{name}: sigma {parts[2][:12]} is not within 0 to 100")
        found = replace(found, sigma_centi=lengthened(sigma, ratio))
    return replace(found, rgba=colour(name, parts[3])) if len(parts) > 3 else found  # noqa: PLR2004


def centidegrees(name: str, text: str) -> int:
    """Less than a turn clockwise, or the other way round where negative."""
    value = scaled(name, text.removeprefix("-"), 2)
    if value > _MOST_TURN_CENTI:
        raise BadOption(f"{name}: {text[:12]} is not within -359.99 to 359.99")
    return -value if text.startswith("-") else value
