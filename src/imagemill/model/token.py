"""Bearer tokens: what one may do and for whom, how one is made, and which of those that are known a text is.

Form     ``imt_<id: 8 hex digits>_<secret: 43 of A-Z a-z 0-9 - _>``; only a SHA-256 of the secret is ever kept.
         256 random bits need no slow hash: there is nothing to guess from.
Units    ``_s`` Unix seconds.
Errors   `BadOption` from ``__post_init__``, which also runs on decoding.
Source   RFC 6750 (Bearer).
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest

from msgspec import Struct

from imagemill.model.errors import BadOption

PREFIX = "imt_"
_TEXT = re.compile(r"imt_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID_BYTES, _SECRET_BYTES = 4, 32


class Scope(StrEnum):
    """What a token may do; see `Token.may`."""

    SUBMIT = "submit"
    """Make, cancel, retry and redeliver jobs, batches and schedules of its tenant."""
    READ = "read"
    """See those of its tenant."""
    ADMIN = "admin"
    """All of that for every tenant, and prune."""


class Token(Struct, frozen=True, forbid_unknown_fields=True):
    """One token as it is kept: enough to know it again, and not enough to use it."""

    id: str
    """8 hex digits; no secret."""
    name: str
    tenant: str
    scopes: tuple[Scope, ...]
    created_s: int
    sha256: str
    """Of the secret part, 64 hex digits."""
    expires_s: int | None = None
    """From then on it is none."""

    def __post_init__(self) -> None:
        """Keep to names that can stand in logs and file names, and to something it may do."""
        if not (is_name(self.name) and is_name(self.tenant)):
            raise BadOption("a token's name and tenant are 1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first")
        if not self.scopes:
            raise BadOption(f"scope: at least one of {', '.join(Scope)}")
        if not _DIGEST.fullmatch(self.sha256):
            raise BadOption("sha256: 64 hex digits")

    def may(self, scope: Scope) -> bool:
        """Whether it has *scope*; ``admin`` holds the others."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def is_name(text: str) -> bool:
    """Whether *text* may name a token or a tenant."""
    return _NAME.fullmatch(text) is not None


def make(
    random: Callable[[int], bytes],
    name: str,
    tenant: str,
    scopes: Iterable[Scope],
    now_s: float,
    expires_in_s: int | None = None,
) -> tuple[str, Token]:
    """A new token: its text, which is never seen again, and what is kept of it. *random* gives so many bytes."""
    token_id = random(_ID_BYTES).hex()
    secret = urlsafe_b64encode(random(_SECRET_BYTES)).rstrip(b"=").decode()
    expires_s = None if expires_in_s is None else int(now_s) + expires_in_s
    kept = Token(token_id, name, tenant, tuple(sorted(set(scopes))), int(now_s), _digest(secret), expires_s)
    return f"{PREFIX}{token_id}_{secret}", kept


def known(text: str, tokens: Iterable[Token], now_s: float) -> Token | None:
    """The one of *tokens* that *text* is and that has not expired at *now_s*; secrets are compared in constant time."""
    parts = _TEXT.fullmatch(text)
    if parts is None:
        return None
    digest = _digest(parts[2])
    named = [token for token in tokens if token.id == parts[1]]  # ids are no secret
    found = next((token for token in named if compare_digest(token.sha256, digest)), None)
    return None if found is None or (found.expires_s is not None and found.expires_s <= now_s) else found


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
