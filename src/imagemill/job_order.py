"""The words of ``imagemill jobs submit`` as the body of a submission: pure.

Keys     a rendition is ``name:width=512,format=webp``, by the names of ``/image``; a comma within a value is part of
         it, for a value's next piece holds no ``=``.
Errors   `SettingsError` names the option.
"""

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Raw

from imagemill.model.errors import SettingsError

_NAME = re.compile(r"[A-Za-z0-9._-]+")
Order = dict[str, Any]


def rendition(text: str) -> dict[str, str]:
    """One rendition from one ``-r``."""
    name, colon, rest = text.partition(":")
    if not (colon and rest and _NAME.fullmatch(name)):
        raise SettingsError(f"-r {text}: wanted NAME:width=512,format=webp")
    pairs: list[tuple[str, str]] = []
    for piece in rest.split(","):
        key, equals, value = piece.partition("=")
        if equals:
            pairs.append((key.strip(), value))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{piece}")
        else:
            raise SettingsError(f"-r {text}: {piece} has no value; wanted NAME:width=512,format=webp")
    return {"name": name, "params": "&".join(f"{key}={quote(value, safe=',:')}" for key, value in pairs)}


def destination(text: str) -> dict[str, str]:
    """A store and a prefix from ``--to``."""
    store, _, prefix = text.partition("/")
    if not store:
        raise SettingsError(f"--to {text}: wanted STORE or STORE/PREFIX")
    return {"store": store, "prefix": f"{prefix.rstrip('/')}/"} if prefix.strip("/") else {"store": store}


def order(
    source: str,
    renditions: Sequence[str],
    *,
    to: str | None = None,
    template: str | None = None,
    callback: dict[str, Any] | None = None,
    metadata: str | None = None,
    **more: Any,
) -> Order:
    """The body of ``POST /jobs``; what is None or empty in *more* is left to the service."""
    wanted = [rendition(text) for text in renditions]
    body: Order = {"source": source, "renditions": [w | {"key": template} for w in wanted] if template else wanted}
    if to is not None:
        body["destination"] = destination(to)
    if callback:
        body["callback"] = callback
    if metadata is not None:
        body["metadata"] = from_json(metadata, "--metadata")
    return body | {name: value for name, value in more.items() if not (value is None or value is False or value == [])}


def callback(url: str | None, secret: str | None, events: Sequence[str]) -> dict[str, Any] | None:
    """Whom to call back; None where nobody is named."""
    if url is None:
        if secret or events:
            raise SettingsError("--secret and --event say how to call back; --callback URL says whom")
        return None
    if secret is None:
        raise SettingsError("--callback needs --secret NAME, one of callbacks.secrets of the service")
    return {"url": url, "secret": secret} | ({"events": list(events)} if events else {})


def from_json(text: str, name: str) -> Raw:
    """JSON as it was given: read to see that it is some, and sent byte for byte, so that every digit arrives."""
    try:
        json.loads(text)
        return Raw(text.encode())
    except (ValueError, RecursionError) as e:
        raise SettingsError(f"{name}: no JSON: {e}") from e


def is_batch(body: object) -> bool:
    """Whether *body*, as `order` or `from_json` gave it, is many jobs."""
    value = json.loads(bytes(body)) if isinstance(body, Raw) else body
    return isinstance(value, dict) and "items" in value
