"""Rows J11 and J12: signatures that the official library verifies, and no others."""

import time
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from imagemill.jobs.webhook import parse_secrets, sign
from imagemill.model.errors import SettingsError

BODY = b'{"type":"job.succeeded","data":{"tags":["caf\xc3\xa9"]}}'


def secret(first: int, size: int = 32) -> str:
    return "whsec_" + b64encode(bytes(range(first, first + size))).decode()


OLD, NEW, OTHER = secret(0), secret(40), secret(80)


def signed(*texts: str, body: bytes = BODY, at_s: float | None = None) -> dict[str, str]:
    secrets = parse_secrets({"main": texts})["main"]
    return sign("msg_1", int(time.time() if at_s is None else at_s), body, secrets)


def accepts(text: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(text).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


@given(st.text().map(str.encode), st.binary(min_size=24, max_size=64))
def test_the_official_library_verifies(body, key):
    text = "whsec_" + b64encode(key).decode()

    assert accepts(text, body, signed(text, body=body))


def test_each_byte_counts():
    """J11: a flipped bit anywhere in body, id, timestamp or signature is refused."""
    headers = signed(OLD)
    assert accepts(OLD, BODY, headers)

    for at in range(len(BODY)):
        assert not accepts(OLD, BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :], headers), at
    for name, text in headers.items():
        for at in range(len(text) - 2 * (name == "webhook-signature")):  # the last hold bits of no byte
            changed = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
            assert not accepts(OLD, BODY, headers | {name: changed}), (name, at)


@pytest.mark.parametrize("off_s", [-301, 301, -86_400, 86_400])
def test_replays_are_refused(off_s):
    """J11, J14: a timestamp more than five minutes off is not accepted, and cannot be written anew."""
    headers = signed(OLD, at_s=time.time() + off_s)

    assert not accepts(OLD, BODY, headers)
    assert not accepts(OLD, BODY, headers | {"webhook-timestamp": str(int(time.time()))})


@pytest.mark.parametrize("off_s", [-290, 290])
def test_some_skew_is_accepted(off_s):
    assert accepts(OLD, BODY, signed(OLD, at_s=time.time() + off_s))


def test_rotation():
    """J12: while both are set, receivers with either verify; with neither, none does."""
    headers = signed(OLD, NEW)

    assert [part.split(",")[0] for part in headers["webhook-signature"].split(" ")] == ["v1", "v1"]
    assert accepts(OLD, BODY, headers)
    assert accepts(NEW, BODY, headers)
    assert not accepts(OTHER, BODY, headers)
    assert not accepts(OLD, BODY, signed(NEW))


def test_a_new_timestamp_is_a_new_signature_under_the_same_id():
    first, second = signed(OLD, at_s=1_000), signed(OLD, at_s=1_001)

    assert first["webhook-id"] == second["webhook-id"] == "msg_1"
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("size", [24, 64])
def test_sizes_are_inclusive(size):
    assert len(parse_secrets({"main": [secret(0, size)]})["main"].keys[0]) == size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (secret(0).removeprefix("whsec_"), "whsec_"),
        ("WHSEC_" + secret(0)[6:], "whsec_"),
        ("", "whsec_"),
        ("whsec_", "0 bytes; 24 to 64"),
        (secret(0, 23), "23 bytes; 24 to 64"),
        (secret(0, 65), "65 bytes; 24 to 64"),
        ("whsec_top-secret_words", "not base64"),
        (secret(0)[:-1], "not base64"),
        (secret(0) + "\n", "not base64"),
        (secret(0) + "é", "not base64"),
    ],
)
def test_bad_secrets_stop_the_start(text, words):
    """The message names the setting, and holds nothing of the secret."""
    with pytest.raises(SettingsError, match=words) as caught:
        parse_secrets({"main": [OLD, text]})

    assert "callbacks.secrets.main[1]" in str(caught.value)
    assert text[8:] == "" or text[8:] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_name_without_secrets_stops_the_start():
    """Else its messages would go out unsigned."""
    with pytest.raises(SettingsError, match=r"callbacks\.secrets\.main"):
        parse_secrets({"main": []})


def test_keys_never_show():
    secrets = parse_secrets({"main": [OLD, NEW]})

    assert repr(secrets["main"]) == "Secrets(<2>)"
    assert repr(secrets) == "{'main': Secrets(<2>)}"
