"""Which settings of fallbacks stop the start."""

import pytest

from imagemill.model.errors import SettingsError
from imagemill.settings import Fallback, Settings, Signing
from imagemill.wiring import check


@pytest.mark.parametrize(
    ("images", "why"),
    [
        ({"410": "local:s/a"}, "fallback.images.410: one of"), ({"404": "local:none/a"}, "of no store"),
        ({"404": "s3://none/a"}, "of no store"), ({"404": ""}, "source is missing"), ({"404": "ftp://x/a"}, "images.404"),
    ],
)  # fmt: skip
def test_wrong_settings_stop_the_start(images, why, tmp_path):
    """What can never be shown is a mistake."""
    with pytest.raises(SettingsError, match=why):
        check(
            Settings(
                signing=Signing("unsigned"),
                fallback=Fallback(images=images),
                storage={"s": {"kind": "file", "root": str(tmp_path)}},
            )
        )


def test_right_settings(tmp_path):
    check(
        Settings(
            signing=Signing("unsigned"),
            fallback=Fallback(images={"404": "local:s/a", "default": "https://example.com/a.png"}),
            storage={"s": {"kind": "file", "root": str(tmp_path)}},
        )
    )
