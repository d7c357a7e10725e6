"""Make and verify URL signatures.

Form     ``<raw target>&signature=<key-id>.<base64url, no padding>`` and nothing after it.
Covers   every byte of the raw target before ``&signature=``, as received, before any decoding.
Source   HMAC-SHA256: RFC 2104; base64url: RFC 4648 section 5.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256

from imagemill.model.errors import SignatureInvalid

MIN_KEY_BYTES = 32
MARK = b"&signature="
_TAG_CHARS = 43  # base64url of 32 bytes, without padding


def sign(target: bytes, key_id: str, key: bytes) -> bytes:
    """The signed target: *target* (path and query, no signature yet) with its signature last."""
    return b"%b%b%b.%b" % (target, MARK, key_id.encode(), _tag(target, key))


def verify(signed: bytes, keys: Mapping[str, bytes]) -> bytes:
    """The part of a raw target that its signature covers, or `SignatureInvalid`.

    Every failure costs one HMAC and ends in the same words.
    """
    target, mark, signature = signed.rpartition(MARK)
    key_id, _, tag = signature.partition(b".")
    known = keys.get(key_id.decode("latin-1"))
    good = hmac.compare_digest(_tag(target, known or b"\0" * MIN_KEY_BYTES), tag.ljust(_TAG_CHARS)[:_TAG_CHARS])
    if not (good and known and mark and len(tag) == _TAG_CHARS):
        raise SignatureInvalid
    return target


def _tag(target: bytes, key: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(key, target, sha256)).rstrip(b"=")
