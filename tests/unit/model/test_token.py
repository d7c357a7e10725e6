"""Tokens: what is kept cannot be used, what is handed out is known again, and nothing else is."""

import hashlib
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model.errors import BadOption
from imagemill.model.token import Scope, Token, known, make

NOW_S = 1_800_000_000


def fixed(byte):
    return lambda size: bytes([byte]) * size


def made(byte=1, scopes=(Scope.READ,), expires_in_s=None):
    return make(fixed(byte), "shop", "acme", scopes, NOW_S, expires_in_s)


def test_the_form():
    """The one that is documented, and the digest of its secret part alone is kept."""
    text, token = made(0xAB)

    assert re.fullmatch(r"imt_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", text)
    assert token.id == "abababab"
    assert token.sha256 == hashlib.sha256(text.removeprefix("imt_abababab_").encode()).hexdigest()
    assert text[13:] not in msgspec.json.encode(token).decode()


def test_a_token_is_known_again_among_others():
    (one, kept), (other, kept_too) = made(1), made(2)

    assert known(one, [kept, kept_too], NOW_S) == kept
    assert known(other, [kept, kept_too], NOW_S) == kept_too
    assert known(other, [kept], NOW_S) is None


def test_one_id_with_two_secrets_is_told_apart():
    """An id is no proof, also where two tokens have the same."""
    text, kept = made(1)
    twin = msgspec.structs.replace(made(2)[1], id=kept.id)

    assert known(text, [twin, kept], NOW_S) == kept
    assert known(text, [twin], NOW_S) is None


@pytest.mark.parametrize("at", range(56))
def test_every_character_counts(at):
    text, kept = made(0x5A)
    changed = text[:at] + ("b" if text[at] != "b" else "c") + text[at + 1 :]

    assert known(changed, [kept], NOW_S) is None


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + "=", lambda t: t[:-1], lambda t: " " + t, lambda t: t + "\n"]
)
def test_nothing_but_the_exact_text(change):
    text, kept = made(0x5A)

    assert known(change(text), [kept], NOW_S) is None


@given(st.text(max_size=80))
def test_no_text_is_a_token_or_an_error(text):
    assert known(text, [made()[1]], NOW_S) is None


def test_expiry_is_exclusive():
    text, kept = made(expires_in_s=60)

    assert kept.expires_s == NOW_S + 60
    assert known(text, [kept], NOW_S + 59.9) == kept
    assert known(text, [kept], NOW_S + 60) is None


def test_admin_may_everything_and_others_what_they_say():
    admin, reader = made(scopes=[Scope.ADMIN])[1], made(scopes=[Scope.READ])[1]

    assert [admin.may(scope) for scope in Scope] == [True, True, True]
    assert [reader.may(scope) for scope in (Scope.READ, Scope.SUBMIT, Scope.ADMIN)] == [True, False, False]


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "a b"}, {"tenant": "../x"}, {"tenant": "x" * 65}, {"scopes": ()}, {"sha256": "0"}]
)
def test_what_cannot_be_kept(wrong):
    """Also where it comes from a file."""
    fields = msgspec.to_builtins(made()[1]) | wrong

    with pytest.raises((BadOption, msgspec.ValidationError)):
        msgspec.convert(fields, Token)
