"""What settings of the connection are refused before anything is connected to."""

from pathlib import Path

import pytest

from imagemill.jobs.temporal.attributes import TYPES, command
from imagemill.jobs.temporal.connection import connect
from imagemill.model.errors import SettingsError
from imagemill.settings import Secret, Temporal


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cert_file": "a.pem"}, "both or neither"),
        ({"key_file": "a.pem"}, "both or neither"),
        ({"api_key": Secret("k")}, "in the clear"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file"),
        ({"cert_file": "/nowhere/a.pem", "key_file": "/nowhere/k.pem"}, "cert_file"),
    ],
)
async def test_settings_that_cannot_work_stop_the_start(wrong, words):
    """Named, and never with what they hold."""
    with pytest.raises(SettingsError, match=words):
        await connect(Temporal(**wrong))


def test_the_page_says_the_same_command():
    """What an operator copies registers all of them."""
    page = (Path(__file__).parents[4] / "docs" / "how-to" / "temporal.md").read_text()

    assert command("images", TYPES) in " ".join(page.replace("\\\n", " ").split())


def test_the_command_registers_what_is_missing():
    """Each with its type."""
    text = command("images", TYPES)

    assert text.startswith("temporal operator search-attribute create --namespace images ")
    assert "--name Tags --type KeywordList" in text
    assert text.count("--name ") == len(TYPES)
