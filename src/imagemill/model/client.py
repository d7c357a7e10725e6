"""What matters of whoever asks: brought down to a few classes, so that it may be part of a key."""

from msgspec import Struct

from imagemill.model.media import Format


class Client(Struct, frozen=True):
    """One class of clients."""

    formats: tuple[Format, ...] = ()
    """Of those on offer, what it accepts, best first."""
    dpr_centi: int = 0
    """Device pixels a CSS pixel, in hundredths; 0 = it does not say."""
    width_px: int = 0
    """How wide the picture will be shown, in device pixels; 0 = it does not say."""
    saves_data: bool = False


ANYONE = Client()
"""Says nothing of itself."""
