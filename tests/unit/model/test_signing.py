"""R01, R02, R03, R06: what is signed is what is served, byte for byte, and nothing else is."""

import hmac
import string
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model import signing
from imagemill.model.errors import SignatureInvalid
from imagemill.model.signing import sign, verify

KEYS = {"k1": b"one" * 12, "k2": b"two" * 12}
TARGET = b"/image?source=https%3A%2F%2Fexample.com%2Fa%20b.jpg&width=512&format=webp&expires=1999999999"
SIGNED = sign(TARGET, "k1", KEYS["k1"])
TAG = SIGNED.rpartition(b".")[2]


def refused(signed, keys=KEYS):
    try:
        verify(signed, keys)
    except SignatureInvalid as e:
        return str(e) == "the URL is not validly signed"
    return False


def test_form():
    """As documented: HMAC-SHA256 of the raw target, base64url without padding, key id before it."""
    tag = urlsafe_b64encode(hmac.new(KEYS["k1"], TARGET, sha256).digest()).rstrip(b"=")
    assert SIGNED == TARGET + b"&signature=k1." + tag
    assert verify(SIGNED, KEYS) == TARGET


@pytest.mark.parametrize(
    "signed",
    [
        TARGET, TARGET + b"&signature=", TARGET + b"&signature=k1", TARGET + b"&signature=k1.", b"", b"&signature=",
        SIGNED[:-1], SIGNED[:-22], SIGNED + b"=", SIGNED + b"A", SIGNED + b"&width=5", SIGNED + b" ", SIGNED + b"\n",
        TARGET + b"&signature=." + TAG, TARGET + b"&signature=" + TAG, TARGET + b"&signature=k2." + TAG,
        TARGET + b"&signature=K1." + TAG, TARGET + b"&signature=k3." + TAG, TARGET + b"&signature=k1.." + TAG,
        TARGET + b"&signature=k1 ." + TAG, TARGET + b"&signature=%6B1." + TAG, TARGET + b"&Signature=k1." + TAG,
        TARGET + b"?signature=k1." + TAG, TARGET + b"&signature==k1." + TAG, TARGET + b"&&signature=k1." + TAG,
        SIGNED.replace(b"/image", b"/Image"), SIGNED.replace(b"%3A", b"%3a"), SIGNED.replace(b"%20", b"+"),
        SIGNED.replace(b"/image", b"//image"), SIGNED.replace(b"/image", b"/./image"), SIGNED + SIGNED[len(TARGET):],
        TARGET + b"&signature=k1." + TAG.swapcase(), TARGET + b"&signature=k1." + b"A" * 43,
        TARGET + b"&signature=k1." + b"\xff" * 43, TARGET + "&signature=k\u00b9.".encode() + TAG,
        TARGET + b"&signature=k\xe91." + TAG, TARGET + b"&signature=\xff\xfe." + TAG, b"\0" + SIGNED, b"\xff" * 200,
    ],
)  # fmt: skip
def test_refused_in_the_same_words(signed):
    """R01: missing, truncated, other key, padded, moved, re-encoded: one answer for all."""
    assert refused(signed)


def test_last_character_is_canonical():
    """The last base64 character carries four spare bits: only the one spelling is accepted."""
    spellings = [c for c in (string.ascii_letters + string.digits + "-_").encode() if c != SIGNED[-1]]
    assert all(refused(SIGNED[:-1] + bytes([c])) for c in spellings)


@pytest.mark.parametrize("keys", [{}, {"k1": b""}, {"k1": b"\0" * 32}])
def test_no_key_accepts_nothing_of_ours(keys):
    """Without keys, with an empty one, or with the one that stands in for unknown ones: refused."""
    assert refused(SIGNED, keys)
    stand_in = sign(TARGET, "k9", b"\0" * 32)
    assert refused(stand_in, KEYS)
    assert refused(sign(TARGET, "k1", b""), {"k1": b""}), "an empty key signs nothing"


def test_rotation():
    """R06: two keys at once; the one taken away is refused at once."""
    second = sign(TARGET, "k2", KEYS["k2"])
    assert verify(SIGNED, KEYS) == verify(second, KEYS) == TARGET
    assert refused(SIGNED, {"k2": KEYS["k2"]})
    assert verify(second, {"k2": KEYS["k2"]}) == TARGET


def test_compared_in_constant_time(monkeypatch):
    """R02: every refusal and every acceptance goes through one comparison of equal lengths."""
    seen = []

    def compare(a, b, compare=hmac.compare_digest):
        seen.append((len(a), len(b)))
        return compare(a, b)

    monkeypatch.setattr(signing.hmac, "compare_digest", compare)
    for signed in (SIGNED, SIGNED[:-9], TARGET, TARGET + b"&signature=k9." + TAG, SIGNED + b"A" * 500):
        refused(signed)
    assert seen == [(43, 43)] * 5


def test_every_mutation_is_refused():
    """R03: thousands of byte changes of a valid target, none of them served."""
    mutants = set()
    for n in range(len(SIGNED)):
        mutants.update(SIGNED[:n] + bytes([SIGNED[n] ^ bit]) + SIGNED[n + 1 :] for bit in (1, 2, 4, 8, 16, 32, 64, 128))
        mutants.add(SIGNED[:n] + SIGNED[n + 1 :])
        mutants.update(
            SIGNED[:n] + extra + SIGNED[n:] for extra in (b"/", b"%", b"\0", b"&", b";", b"+", b"\\", b"%2e")
        )
    mutants.discard(SIGNED)
    assert len(mutants) >= 2000
    assert all(refused(m) for m in mutants)


@given(st.binary(max_size=300), st.sampled_from(sorted(KEYS)))
def test_whatever_is_signed_is_verified(target, key_id):
    """Sign and verify are inverse for any bytes, even ones that look like a signature."""
    assert verify(sign(target, key_id, KEYS[key_id]), KEYS) == target


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    """Whatever arrives, the answer is the one refusal."""
    assert refused(noise)
    assert refused(TARGET + b"&signature=" + noise)
