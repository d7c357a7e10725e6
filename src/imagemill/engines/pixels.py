"""What every operation needs of libvips: colours brought to sRGB, alpha multiplied in and taken out, bands added."""

from imagemill.engines.decoded import PROFILE, Image, pyvips

_RGB_SPACES = frozenset({"srgb", "rgb", "b-w", "multiband"})
RGB, RGBA, GREY_ALPHA = 3, 4, 2
OPAQUE = 0xFF


def ready(image: Image) -> Image:
    """Eight bits a sample in a space that scales well: RGB or grey; others are converted before."""
    if image.interpretation not in _RGB_SPACES or image.format != "uchar":
        return srgb(image)
    return image


def srgb(image: Image) -> Image:
    """To sRGB (or grey) of eight bits, through the picture's own profile where it has a valid one."""
    if image.get_typeof(PROFILE):
        image = _through_profile(image)
    space = "b-w" if image.interpretation in {"b-w", "grey16"} else "srgb"
    if image.interpretation != space:
        image = image.colourspace(space)
    return image if image.format == "uchar" else image.cast("uchar")


def _through_profile(image: Image) -> Image:
    try:
        made = image.icc_transform("srgb", embedded=True, intent="perceptual", black_point_compensation=True)
    except pyvips.Error:  # a profile that does not fit its picture is as good as none
        made = image
    made = made.copy()
    made.remove(PROFILE)
    return made


def premultiplied(image: Image) -> Image:
    """Colours as dense as their alpha: what may be mixed with its neighbours."""
    return image.premultiply().rint().cast("uchar")


def straight(image: Image) -> Image:
    """Colours whatever their alpha, as files hold them."""
    return image.unpremultiply().rint().cast("uchar")


def with_bands(image: Image, bands: int) -> Image:
    """Grey to RGB and opaque to alpha, as far as *bands* asks."""
    if image.bands < RGB and bands >= RGB:
        image = image.colourspace("srgb")
    return image.addalpha().cast("uchar") if bands in {GREY_ALPHA, RGBA} and not image.hasalpha() else image
