"""The sources of the other tests are what they say: without any operation, their true pixels come out."""

import numpy as np

from golden import reference, sources


@sources.everywhere
def test_pixels_and_sizes(source):
    """Whatever the kind of file, upright, in eight bits of sRGB."""
    assert all(frame.shape == (sources.HEIGHT, sources.WIDTH, 4) for frame in source.frames)
    source.check(lambda pixels: pixels, 1.0)


def test_profiles_are_not_to_be_missed():
    """A decoder that ignores a profile, or an orientation, is far off."""
    plain, swapped = sources.source("cmyk"), sources.source("cmyk-profile")
    assert reference.difference(plain.pixels, swapped.pixels) > 20
    assert reference.difference(sources.source("opaque").pixels, sources.source("rgb-profile").pixels) > 20
    assert sources.frames_of(sources.source("rotated").body)[0].shape[:2] == (sources.WIDTH, sources.HEIGHT)


def test_frames_differ_and_some_have_holes():
    """Frames are told from each other, and transparency is tested where there are several."""
    for name in ("animated-gif", "animated-webp"):
        first, second, third = sources.source(name).frames
        assert min(reference.difference(first, second), reference.difference(second, third)) > 20
    assert (sources.source("animated-gif").pixels[..., 3] == 0).any()
    assert len(np.unique(sources.source("alpha").pixels[..., 3])) > 100
