"""Settings: every table, its names, bounds and defaults. How they are read: `imagemill.configuration`.

Units    in the name: ``_bytes``, ``_s``, ``_px``.
Errors   `SettingsError` for what no single field can know.
"""

from imagemill.settings.answering import (
    DEFAULT_FALLBACK,
    FALLBACK_STATUSES,
    Fallback,
    Log,
    Negotiation,
    Presets,
    Server,
    Signing,
)
from imagemill.settings.bounds import Gate, Limits
from imagemill.settings.caching import Cache, Level2
from imagemill.settings.engine import Engine, Text
from imagemill.settings.fetching import Fetch, Sources
from imagemill.settings.jobs import Callbacks, Jobs, Temporal, Tenant
from imagemill.settings.kinds import MOST, MiB, Seconds, Secret
from imagemill.settings.root import Settings

__all__ = [
    "DEFAULT_FALLBACK",
    "FALLBACK_STATUSES",
    "MOST",
    "Cache",
    "Callbacks",
    "Engine",
    "Fallback",
    "Fetch",
    "Gate",
    "Jobs",
    "Level2",
    "Limits",
    "Log",
    "MiB",
    "Negotiation",
    "Presets",
    "Seconds",
    "Secret",
    "Server",
    "Settings",
    "Signing",
    "Sources",
    "Temporal",
    "Tenant",
    "Text",
]
