"""What `doctor` says of fonts."""

from imagemill.doctor import _fonts
from imagemill.settings import Settings, Signing, Text


def settings(**text):
    return Settings(signing=Signing(mode="unsigned"), text=Text(**text))


def test_ours():
    """Their names, and what becomes of a character that none has."""
    found = _fonts(settings())

    assert (found.check, found.state) == ("fonts", "ok")
    assert found.detail == "DejaVu Sans Bold, DejaVu Sans; a character that none has is refused"
    assert _fonts(settings(missing="box")).detail.endswith("is drawn as a box")


def test_none_where_they_should_be(tmp_path):
    """A failure, with the setting and the place."""
    found = _fonts(settings(fonts=(str(tmp_path),)))

    assert (found.state, found.detail) == ("fail", f"text.fonts: {tmp_path}: no font in it")
