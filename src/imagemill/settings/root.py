"""The root table, and what no single field can know.

Errors   `SettingsError`.
"""

import re
from ipaddress import ip_network
from operator import attrgetter
from typing import Any

from msgspec import Struct, field

from imagemill.model.errors import SettingsError
from imagemill.model.signing import MIN_KEY_BYTES
from imagemill.settings.answering import Fallback, Log, Negotiation, Presets, Server, Signing
from imagemill.settings.bounds import Gate, Limits
from imagemill.settings.caching import Cache, Level2
from imagemill.settings.engine import Engine, Text
from imagemill.settings.fetching import Fetch, Sources
from imagemill.settings.jobs import Callbacks, Jobs, Temporal

_MAX_KEY_ID = 32


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The root table."""

    server: Server = Server()
    signing: Signing = Signing()
    limits: Limits = Limits()
    negotiation: Negotiation = Negotiation()
    presets: Presets = Presets()
    engine: Engine = Engine()
    text: Text = Text()
    gate: Gate = Gate()
    fetch: Fetch = Fetch()
    sources: Sources = Sources()
    cache: Cache = Cache()
    l2: Level2 = Level2()
    jobs: Jobs = Jobs()
    callbacks: Callbacks = Callbacks()
    temporal: Temporal = Temporal()
    fallback: Fallback = Fallback()
    log: Log = Log()
    storage: dict[str, dict[str, Any]] = field(default_factory=dict)
    """``[storage.<name>]`` with ``kind``: read by the module of that kind."""

    def __post_init__(self) -> None:
        """Check what no single field can know."""
        _check_signing(self.signing)
        _check_networks("sources.allow_networks", self.sources.allow_networks)
        _check_networks("callbacks.allow_networks", self.callbacks.allow_networks)
        _check_networks("server.trusted_proxies", self.server.trusted_proxies)
        _check_origins(self.server.cors_origins)
        if self.server.port and self.server.port == self.server.admin_port:
            raise SettingsError("server.admin_port must differ from server.port")
        for name, most in _ORDERED:
            if attrgetter(name)(self) > attrgetter(most)(self):
                raise SettingsError(f"{name} must not exceed {most}")
        shared = self.limits.output_bytes + self.limits.source_bytes + self.limits.layer_bytes
        if shared > self.engine.address_space_bytes // 2:
            raise SettingsError(
                "limits.source_bytes, layer_bytes and output_bytes together exceed half of engine.address_space_bytes"
            )


_ORDERED = (
    ("engine.deadline_s", "server.request_timeout_s"),
    ("server.max_target_bytes", "server.max_head_bytes"),
    ("limits.pixels", "limits.total_pixels"),
)
"""What could never take effect is a mistake."""


def _check_signing(signing: Signing) -> None:
    for name, key in signing.keys.items():
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= _MAX_KEY_ID):
            raise SettingsError(f"signing.keys.{name}: a key id is 1 to 32 of a-z A-Z 0-9 - _")
        if len(key.encode()) < MIN_KEY_BYTES:
            raise SettingsError(f"signing.keys.{name}: {len(key.encode())} bytes; at least {MIN_KEY_BYTES} are needed")
    if signing.mode == "required" and not signing.keys:
        raise SettingsError(
            'signing.mode is "required" and signing.keys is empty; add a key, or choose mode = "unsigned"'
        )


def _check_networks(name: str, networks: tuple[str, ...]) -> None:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as e:
            raise SettingsError(f"{name}: {e}") from e


_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_MAX_PORT = 65_535


def _check_origins(origins: tuple[str, ...]) -> None:
    """Keep to what browsers send (RFC 6454 section 6.2): any other spelling would never be met."""
    for origin in origins:
        found = _ORIGIN.fullmatch(origin)
        if origin == "*" and len(origins) > 1:
            raise SettingsError('server.cors_origins: "*" stands alone')
        if origin != "*" and (not found or int(found[2] or 1) > _MAX_PORT):
            raise SettingsError(
                f"server.cors_origins: {origin}: scheme://host[:port] in lower case, without a path, or *"
            )
        if found and found[2] and _DEFAULT_PORTS.get(found[1]) == found[2]:
            raise SettingsError(f"server.cors_origins: {origin}: browsers leave this port out")
