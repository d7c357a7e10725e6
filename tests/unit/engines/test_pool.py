"""What the front makes of a worker's words."""

import pytest

from imagemill.engines import wire
from imagemill.engines.pool import _ours
from imagemill.model.errors import ImageCorrupt, LimitExceeded, NotSupported, UnsupportedSourceType


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unsupported_source_type", UnsupportedSourceType), ("not_supported", NotSupported), ("image_corrupt", ImageCorrupt), ("internal", ImageCorrupt),
        ("signature_invalid", ImageCorrupt), ("__class__", ImageCorrupt), ("", ImageCorrupt), ("limit_exceeded", LimitExceeded),
    ],
)  # fmt: skip
def test_a_worker_speaks_of_pictures_only(code, kind):
    """D12: a code that no worker of ours would say is a corrupt picture, never an error of ours or a refusal of access."""
    error = _ours(wire.Failed(code, "words", "x" * 99))

    assert type(error) is kind
    assert len(getattr(error, "limit", "")) <= 40
