"""JPEG XL is there with its extra, and says so without."""

import numpy as np
import pytest

from imagemill.engines import jxl
from imagemill.engines.extras import NONE
from imagemill.model.errors import NotSupported


def test_without_the_extra(monkeypatch):
    """The error names what is to be installed."""
    monkeypatch.setattr(jxl, "AVAILABLE", False)
    with pytest.raises(NotSupported, match=r"imagemill\[jxl\]"):
        jxl.require()
    with pytest.raises(NotSupported, match="format: jxl"):
        jxl.still(np.zeros((2, 2, 3), np.uint8), 75, 3, NONE, lossless=False)
