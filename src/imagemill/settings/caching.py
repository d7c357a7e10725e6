"""What is kept: `Cache`, `Level2`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from imagemill.settings.kinds import MiB, Natural, Positive, Seconds, Secret


class Cache(Struct, frozen=True, forbid_unknown_fields=True):
    """``[cache]``: the first level, the source cache, and what is remembered of failures."""

    policy: Literal["tiny_lfu", "lru", "fifo"] = "tiny_lfu"
    """What stays in L1 and the source cache: ``tiny_lfu`` what is asked for often, ``lru`` what was asked for last,
    ``fifo`` what came last."""
    l1_bytes: Natural = 0
    """0 = the lesser of a quarter of the memory this container may use and 512 MiB; never above half of it."""
    l1_ttl_s: Annotated[float, Meta(gt=0, le=300)] = 300.0
    """Longest life of a rendition in L1."""
    l1_unread_s: Annotated[float, Meta(ge=0, le=300)] = 45.0
    """How long a rendition stays in L1 that nobody asks for again, in an eighth of its room; 0 = as all others do."""
    source_bytes: Positive = 24 * MiB
    """Of the source cache."""
    source_ttl_s: Annotated[float, Meta(gt=0, le=60)] = 45.0
    """Longest life of a source in its cache; it is not revalidated meanwhile."""
    negative_ttl_s: Annotated[float, Meta(gt=0, le=30)] = 10.0
    """How long a failure is remembered."""
    default_ttl_s: Natural = 0
    """``Cache-Control: max-age`` where the request names no ttl; 0 = as the source says, else one day."""
    store_private: bool = False
    """Keep what its source calls ``private`` or ``no-store``."""
    stale_s: Natural = 300
    """For so long after its end an entry is still answered with while it is made anew behind; 0 = never."""
    stale_if_error_s: Natural = 3_600
    """For so long after its end an entry is still answered with where it cannot be made anew; 0 = never."""
    early_refresh: Annotated[float, Meta(ge=0, le=10)] = 1.0
    """How eagerly entries are made anew shortly before their end, by chance and by their cost; 0 = never."""


class Level2(Struct, frozen=True, forbid_unknown_fields=True):
    """``[l2]``: the second cache level, in a Redis or Valkey that nodes share. Off until `url` is set."""

    url: Secret = Secret()
    """``redis://`` or ``rediss://[user:password@]host[:port][/db]``, ``redis+sentinel://…host:port,host:port/service[/db]``,
    ``redis+cluster://…host:port,host:port``; ``rediss+sentinel`` and ``rediss+cluster`` for TLS. Empty = off."""
    sentinel_password: Secret = Secret()
    """Where the Sentinels themselves want one."""
    ca_file: str = ""
    """Certificates to trust for TLS; empty = the system's."""
    secret: Secret = Secret()
    """Keys the checksum of every value, the same on all nodes: whoever can write into Redis but does not know it can
    put nothing in front of your users. Empty = an unkeyed checksum, against damage only."""
    prefix: str = "imagemill"
    """Of every key and channel."""
    idle_s: Positive = 21_600
    """An entry that nobody reads for so long is gone."""
    max_bytes: Positive = MiB
    """Of a body, the same on all nodes; larger ones stay in the node that made them."""
    timeout_s: Seconds = 0.05
    """What one request may lose to a Redis that does not answer, in all."""
    failures: Positive = 3
    """So many calls in a row that fail, and Redis is left alone until it answers again."""
    probe_s: Seconds = 1.0
    """How often a Redis that was left alone is asked whether it is back."""
    lease_s: Annotated[float, Meta(ge=0.3)] = 2.0
    """How long the others wait for a node that has died while it made something; a living one renews in time."""
    wait_s: Seconds = 10.0
    """How long a node waits for another's result before it makes its own."""
    write_bytes: Positive = 32 * MiB
    """Of values on their way to Redis; more are not stored."""
    blind_s: Seconds = 60.0
    """For so long after purges could last be heard of, cached entries from before are still used."""
    purges: Positive = 100_000
    """Purges remembered; entries older than what was forgotten are not used."""
