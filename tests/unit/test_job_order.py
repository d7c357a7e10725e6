"""What is typed at a shell becomes the body of a submission, or is refused before anything is sent."""

import pytest
from msgspec import Raw

from imagemill.job_order import callback, destination, from_json, is_batch, order, rendition
from imagemill.model.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("a:width=512", "width=512"),
        ("a:width=512,format=webp", "width=512&format=webp"),
        ("a:w=512, f=webp", "w=512&f=webp"),
        ("a:crop=1,2,3,4,width=5", "crop=1,2,3,4&width=5"),
        ("a:focus=0.5,0.25", "focus=0.5,0.25"),
        ("a:background=#fff&x", "background=%23fff%26x"),
    ],
)
def test_a_rendition(text, params):
    """A value may hold commas; nothing in it can become another parameter."""
    assert rendition(text) == {"name": "a", "params": params}


@pytest.mark.parametrize("text", ["width=512", "a:", "a:512", ":width=5", "a b:width=5", "a:,width=5", ""])
def test_what_is_no_rendition(text):
    with pytest.raises(SettingsError, match=r"-r .*wanted NAME"):
        rendition(text)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("out", {"store": "out"}),
        ("out/", {"store": "out"}),
        ("out/a/b", {"store": "out", "prefix": "a/b/"}),
        ("out/a/b/", {"store": "out", "prefix": "a/b/"}),
    ],
)
def test_a_destination(text, body):
    assert destination(text) == body


def test_an_order_says_what_was_said_and_no_more():
    """What was not given is the service's to decide; zero is given."""
    small = order("local:a/b.jpg", ["s:w=1"], warm=False, priority=0, retries=0, delay=None, tags=[])
    full = order(
        "local:a/b.jpg", ["s:w=1"], to="out/x", template="{name}.{ext}", metadata='{"n": 1}', warm=True,
        callback=callback("https://h/x", "s1", ["failed"]), tags=["t"],
    )  # fmt: skip

    assert small == {
        "source": "local:a/b.jpg", "renditions": [{"name": "s", "params": "w=1"}], "priority": 0, "retries": 0,
    }  # fmt: skip
    assert full == {
        "source": "local:a/b.jpg", "renditions": [{"name": "s", "params": "w=1", "key": "{name}.{ext}"}],
        "destination": {"store": "out", "prefix": "x/"}, "metadata": Raw(b'{"n": 1}'), "warm": True, "tags": ["t"],
        "callback": {"url": "https://h/x", "secret": "s1", "events": ["failed"]},
    }  # fmt: skip


def test_half_a_callback_is_none():
    assert callback(None, None, []) is None
    for given in ((None, "s", []), (None, None, ["failed"]), ("https://h/", None, [])):
        with pytest.raises(SettingsError, match="--callback"):
            callback(*given)


@pytest.mark.parametrize(
    ("text", "batch"), [('{"items": []}', True), ('{"source": "a"}', False), ('["items"]', False), ('"items"', False)]
)
def test_what_is_a_batch(text, batch):
    assert is_batch(from_json(text, "x")) is batch


def test_json_is_sent_as_it_was_given():
    """Digits that Python's numbers have no room for, and names that it would drop, are the service's to judge."""
    text = '{"order":  1.10, "n": 12345678901234567.8901, "n": 2}'

    assert bytes(order("s", ["a:w=1"], metadata=text)["metadata"]) == text.encode()
    assert bytes(from_json(text, "--file x")) == text.encode()


def test_metadata_is_json():
    with pytest.raises(SettingsError, match="--metadata: no JSON"):
        order("s", ["a:w=1"], metadata="{")
