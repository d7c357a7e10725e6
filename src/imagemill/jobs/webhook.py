"""Sign messages as Standard Webhooks does: pure, with the time given.

Keys     a secret is ``whsec_`` and base64 of 24 to 64 bytes; the bytes are the key.
Units    Unix seconds.
Errors   `SettingsError`, which names the setting and never shows the secret.
Source   Standard Webhooks 1.0.0, "Webhook metadata" and "Signature scheme": HMAC-SHA256 of ``id.timestamp.body``, in
         base64 after ``v1,``; while a secret is changed, several signatures stand side by side with a space between.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256

from msgspec import Struct

from imagemill.model.errors import SettingsError

PREFIX = "whsec_"
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64


class Secrets(Struct, frozen=True):
    """The keys of one name; all of them sign, so their order says nothing."""

    keys: tuple[bytes, ...]

    def __repr__(self) -> str:
        """Hide the keys; say only how many there are."""
        return f"Secrets(<{len(self.keys)}>)"


def parse_secrets(named: Mapping[str, Sequence[str]]) -> dict[str, Secrets]:
    """Read ``callbacks.secrets``, or raise `SettingsError`."""
    for name, texts in named.items():
        if not texts:
            raise SettingsError(f"callbacks.secrets.{name}: at least one secret is needed")
    return {
        name: Secrets(tuple(_key(text, f"callbacks.secrets.{name}[{index}]") for index, text in enumerate(texts)))
        for name, texts in named.items()
    }


def sign(message_id: str, timestamp_s: int, body: bytes, secrets: Secrets) -> dict[str, str]:
    """The three headers of one attempt; *message_id* has no dot in it."""
    signed = b"%b.%d.%b" % (message_id.encode("ascii"), timestamp_s, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(_signature(key, signed) for key in secrets.keys),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + b64encode(hmac.digest(key, signed, sha256)).decode("ascii")


def _key(text: str, setting: str) -> bytes:
    if not text.startswith(PREFIX):
        raise SettingsError(f"{setting}: a secret is {PREFIX} and base64 of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes")
    try:
        key = b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        # the cause would show the secret
        raise SettingsError(f"{setting}: what follows {PREFIX} is not base64") from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise SettingsError(f"{setting}: {len(key)} bytes; {MIN_KEY_BYTES} to {MAX_KEY_BYTES} are needed")
    return key
