"""Encode AVIF with the libaom that Pillow's wheel brings, whose search can be told what to leave out; libvips cannot.

Left out are other transforms than the DCT, and prices of symbols that are renewed on the way: a quarter of the CPU
for 2 % more bytes at the same SSIMULACRA2.

Takes    rows of eight bits, RGB or RGBA. Where Pillow was built without AVIF, or refuses, the answer is None and
         libvips has to do it.
Units    quality 1 to 100; effort as libvips counts it, 9 less libaom's speed.
Source   libaom 3.14, aom/aomcx.h: AV1E_SET_INTRA_DCT_ONLY, AV1E_SET_COEFF_COST_UPD_FREQ, _MODE_COST_ (3 = never).
"""

from typing import Any

from PIL import AvifImagePlugin, features

from imagemill.engines.pillow import written

_BANDS = frozenset({3, 4})
_SPEED_OF_NO_EFFORT = 9
_LEAN = {"use-intra-dct-only": "1", "coeff-cost-upd-freq": "3", "mode-cost-upd-freq": "3"}
_CODEC = "aom"
_AVAILABLE = bool(features.check("avif"))  # also loads what is out of a worker's reach later on


def still(rows: Any, quality: int, effort: int) -> bytes | None:
    """One picture: rows, columns, bands; colours at full size."""
    if not _AVAILABLE or rows.shape[2] not in _BANDS:
        return None
    try:
        return written(
            rows, AvifImagePlugin.AvifImageFile.format, quality=quality, speed=_SPEED_OF_NO_EFFORT - effort,
            subsampling="4:4:4", range="full", codec=_CODEC, max_threads=1, autotiling=False, advanced=_LEAN,
        )  # fmt: skip
    except (OSError, ValueError):
        return None
