"""``width=auto`` and ``dpr=auto``: numbers that the client says.

Width    ``auto`` or ``auto:640``: as wide as the client will show it; where it does not say, the number after the
         colon, or no width at all. It is in device pixels already: ``dpr`` does not go with it.
Dpr      where the client does not say, 1.
Limits   whoever says more gets the most there is: the URL is not to blame for it.
Errors   `BadOption`, also where client hints are not heard.
"""

from msgspec.structs import replace

from imagemill.dialects.native.reading import MAX_DIGITS, Given, integer
from imagemill.model.client import Client
from imagemill.model.errors import BadOption
from imagemill.settings import Limits

WIDTH, DPR = "Sec-CH-Width", "Sec-CH-DPR"
_AUTO = "auto"


def followed(given: Given, client: Client, *, enabled: bool) -> tuple[Given, tuple[str, ...]]:
    """*given* with what *client* says in place of ``auto``, and the header fields that were asked for it."""
    width, colon, otherwise = given.get("width", "").partition(":")
    is_width, is_dpr = width == _AUTO, given.get("dpr") == _AUTO
    if not (is_width or is_dpr):
        return given, ()
    if not enabled:
        raise BadOption(f"{'width' if is_width else 'dpr'}: auto goes by client hints, which are not heard here")
    made = dict(given)
    if is_width:
        _follow_width(made, client, otherwise if colon else None)
    if is_dpr:
        made["dpr"] = f"{client.dpr_centi or 100:03d}"[:-2] + f".{(client.dpr_centi or 100) % 100:02d}"
    return made, (*((DPR,) if is_dpr else ()), *((WIDTH,) if is_width else ()))


def within(client: Client, limits: Limits) -> Client:
    """*client*, asking for no more than *limits* allow."""
    most_px = limits.output_side_px
    return replace(client, dpr_centi=min(client.dpr_centi, limits.dpr * 100), width_px=min(client.width_px, most_px))


def _follow_width(made: dict[str, str], client: Client, otherwise: str | None) -> None:
    if "dpr" in made:
        raise BadOption("dpr: width=auto is in device pixels already")
    if otherwise is not None:
        made["width"] = str(integer({"width": otherwise}, "width", 1, 10**MAX_DIGITS))
    else:
        del made["width"]
    if client.width_px:
        made["width"] = str(client.width_px)
