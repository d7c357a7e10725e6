"""Settings: every table, its names, bounds and defaults. How they are read: `imagemill.configuration`.

Units    in the name: ``_bytes``, ``_s``, ``_px``.
Errors   `SettingsError` for what no single field can know.
"""

import re
from ipaddress import ip_network
from operator import attrgetter
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from imagemill.model.errors import SettingsError
from imagemill.model.signing import MIN_KEY_BYTES

MOST = 1 << 48  # more fits nowhere, and overflows in the libraries that are handed it
_DAY_S = 86_400.0  # a timeout beyond it, infinity above all, is none
Positive = Annotated[int, Meta(ge=1, le=MOST)]
Natural = Annotated[int, Meta(ge=0, le=MOST)]
Seconds = Annotated[float, Meta(gt=0, le=_DAY_S)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=_DAY_S)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Host = Annotated[str, Meta(min_length=1)]  # bind(2) takes the empty one for every interface
HeaderText = Annotated[str, Meta(pattern=r"\A[ -~]*\Z", max_length=200)]
MiB = 1024 * 1024
_MAX_KEY_ID = 32
DEFAULT_FALLBACK = "default"
FALLBACK_STATUSES = frozenset({"403", "404", "413", "415", "422", "502", "503", "504", DEFAULT_FALLBACK})


class Secret(str):
    """A string that never shows itself in `repr`, logs or the printed configuration."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Hide the content; say only whether there is one."""
        return "'***'" if self else "''"


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """``[server]``: where we listen, and how long a client may take."""

    host: Host = "127.0.0.1"
    """Address that the public port listens on."""
    port: Port = 8080
    """Public port: ``/image``, and ``/explain`` in unsigned mode. 0 = any free one."""
    reuse_port: bool = False
    """Share the public port with other nodes of this machine, each with its own admin port, L1 and workers."""
    admin_host: Host = "127.0.0.1"
    """Address that the admin port listens on. It asks nobody who they are: keep it from strangers."""
    admin_port: Port = 8081
    """Health, readiness, metrics, versions, ``/explain``. 0 = any free one."""
    max_connections: Positive = 2048
    """Open client connections; one more is answered 503 and closed."""
    max_head_bytes: Positive = 16 * 1024
    """Request line and headers together."""
    max_target_bytes: Positive = 8 * 1024
    """Path and query of one request; a longer one is answered 414."""
    header_timeout_s: Seconds = 10.0
    """From a request's first byte (or the connection's opening) to the end of its headers."""
    write_timeout_s: Seconds = 30.0
    """How long a client may read nothing while an answer waits for it."""
    unsent_bytes: Positive = 256 * MiB
    """Answers that their clients have not taken yet, each body counted once; past it, the eldest is cut off."""
    keep_alive_s: Positive = 15
    """How long a connection may be idle between two requests."""
    request_timeout_s: Seconds = 25.0
    """Longest time from a request to its answer; then 504."""
    drain_s: SecondsOrNone = 0.2
    """After a stop signal: not ready, still accepting, for so long."""
    grace_s: Positive = 30
    """After that: how long requests in flight may take to finish."""
    cross_origin_resource_policy: Literal["same-origin", "same-site", "cross-origin", ""] = "cross-origin"
    """Header of that name on pictures; empty = none."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read ``/image`` by script: ``scheme://host[:port]`` as a browser sends it, or ``*`` alone
    for all. Never with cookies. Empty = none."""
    trusted_proxies: tuple[str, ...] = ()
    """CIDR blocks of proxies that are believed: their ``X-Forwarded-For`` or ``Forwarded`` for the client's address in
    the log (neither where the two differ: have the proxy drop the one it does not write), their ``X-Request-ID`` (1 to
    64 of A-Z a-z 0-9 -) for the request's. Empty = none."""


class Signing(Struct, frozen=True, forbid_unknown_fields=True):
    """``[signing]``: who may ask. Unsigned mode must be chosen."""

    mode: Literal["required", "unsigned"] = "required"
    """``required``: only signed URLs are answered. ``unsigned``: any URL is."""
    keys: dict[str, Secret] = {}
    """Key id to key; the key is the UTF-8 bytes of the string, 32 at least."""


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """``[limits]``: checked from the header before any pixel, and again on the real thing."""

    source_bytes: Positive = 32 * MiB
    """Of a source, as downloaded or read."""
    pixels: Positive = 50_000_000
    """Of one frame."""
    side_px: Positive = 16_383
    """Width or height of a source."""
    svg_bytes: Annotated[int, Meta(ge=1, le=8 * MiB)] = 2 * MiB
    """Of an SVG, once unpacked where it was packed."""
    frames: Positive = 200
    """Of an animation."""
    total_pixels: Positive = 100_000_000
    """Frames times area."""
    decoded_bytes: Positive = 512 * MiB
    """All frames of a source, once decoded."""
    channels: Positive = 5
    """Of a source, alpha included."""
    metadata_bytes: Positive = MiB
    """EXIF, XMP, comments and the like in a source."""
    icc_bytes: Positive = MiB
    """Colour profile in a source."""
    scans: Positive = 100
    """Of a progressive JPEG."""
    output_side_px: Positive = 8_192
    """Width or height of a rendition."""
    output_pixels: Positive = 40_000_000
    """Of one frame of a rendition."""
    output_bytes: Positive = 64 * MiB
    """Of a rendition, as encoded."""
    operations: Positive = 16
    """In one recipe."""
    layers: Annotated[int, Meta(ge=0, le=64)] = 8
    """Pictures laid over one picture, those in layers' own recipes included; 0 = none may be."""
    layer_depth: Positive = 2
    """How deep layers nest: a layer of a layer's own recipe is the second."""
    layer_bytes: Positive = 8 * MiB
    """Of the sources of all layers of one request together, or of one job."""
    blur_sigma: Positive = 100
    """Largest sigma of ``blur`` and ``unsharp``."""
    sharpen_sigma: Annotated[int, Meta(ge=1, le=10)] = 10
    """Largest ``sharpen``."""
    dpr: Positive = 4
    """Largest ``dpr``."""
    widths: tuple[Positive, ...] = ()
    """The only widths that may be asked for (resize, extend; ``dpr`` multiplied in). Empty = any."""
    heights: tuple[Positive, ...] = ()
    """The only heights. Empty = any."""
    qualities: tuple[Annotated[int, Meta(ge=1, le=100)], ...] = ()
    """The only qualities. Empty = any."""
    grid_outside: Literal["refuse", "round"] = "refuse"
    """What is done with a number beside these: a 422, or the next one up (the largest, where there is none)."""
    cpu_s: Seconds = 10.0
    """Estimated CPU of one request; more is refused before any pixel."""
    ttl_s: Annotated[int, Meta(ge=1, le=259_200)] = 259_200
    """Longest lifetime a caller may ask for; three days are the most that any entry lives."""
    ttl_min_s: Annotated[int, Meta(ge=1, le=259_200)] = 86_400
    """Shortest lifetime a caller may ask for."""
    ttl_outside: Literal["refuse", "clamp"] = "refuse"
    """What is done with a lifetime outside these: a 422, or the nearest one allowed, told in ``X-TTL``."""


class Negotiation(Struct, frozen=True, forbid_unknown_fields=True):
    """``[negotiation]``: what an answer may owe to what its client says of itself."""

    formats: tuple[Literal["avif", "webp", "jxl"], ...] = ("avif", "webp")
    """What ``format=auto`` offers, best first; a client gets the first that it accepts and that is worth it."""
    client_hints: bool = False
    """Whether ``width=auto`` and ``dpr=auto`` are answered by ``Sec-CH-Width`` and ``Sec-CH-DPR``, and ``Save-Data`` is
    heard. Pages have to ask browsers for the first two (``Accept-CH``, and ``Permissions-Policy`` across origins)."""
    save_data_quality: Annotated[int, Meta(ge=0, le=100)] = 50
    """With ``client_hints``: the quality for clients that save data, where the URL names none. 0 = as for all."""


class Presets(Struct, frozen=True, forbid_unknown_fields=True):
    """``[presets]``: parameters of ``/image`` under a name, asked for by ``preset=``; a URL's own override them."""

    named: dict[str, str] = {}
    """Name to parameters, as they stand in a URL: ``thumb = "width=200&height=200&fit=cover"``."""
    only: bool = False
    """Nothing but presets may be asked for: so nobody can have more than these made of a source."""


class Engine(Struct, frozen=True, forbid_unknown_fields=True):
    """``[engine]``: the worker processes."""

    workers: Annotated[int, Meta(ge=0, le=1024)] = 0
    """0 = one for each core this process may use."""
    avif_budget_s: SecondsOrNone = 1.4
    """Estimated CPU to write an AVIF above which ``format=auto`` answers with the next best; 0 = never AVIF."""
    deadline_s: Seconds = 10.0
    """Wall time of one rendition; then its worker is killed."""
    cancel_grace_s: SecondsOrNone = 0.25
    """How long a job that nobody wants any more may go on before its worker is killed."""
    max_jobs: Positive = 10_000
    """Jobs after which a worker is replaced; a start costs about 200 ms of CPU, which small pictures would notice."""
    max_rss_bytes: Positive = 512 * MiB
    """Private memory after a job above which a worker is replaced."""
    address_space_bytes: Positive = 2048 * MiB
    """Address space of one worker; at least twice ``limits.source_bytes`` plus ``layer_bytes`` and
    ``output_bytes``."""
    poison_s: Seconds = 300.0
    """How long a source that killed workers twice is refused."""
    speed: Literal["fast", "balanced", "small"] = "balanced"
    """What encoders save where the URL names no ``speed``: CPU, both, or bytes."""
    avif_effort: Annotated[int, Meta(ge=0, le=9)] | None = None
    """CPU for fewer bytes: 0 is fastest. A number holds whatever the speed, also one that a URL names; none = as the
    speed says. So do the next three."""
    webp_effort: Annotated[int, Meta(ge=0, le=6)] | None = None
    """CPU for fewer bytes: 0 is fastest."""
    png_compression: Annotated[int, Meta(ge=0, le=9)] | None = None
    """CPU for fewer bytes: 0 is fastest."""
    jpeg_optimize: bool | None = None
    """A second pass for the best Huffman tables: 2 to 3 % fewer bytes for 0.2 to 0.5 ms more CPU a picture."""
    never_larger: bool = False
    """Where nothing was asked that changes a pixel, and the rendition in the source's own format has more bytes than
    the source: answer with the source, written anew without metadata and whatever else is not its picture."""
    quality_auto: bool = False
    """Whether ``quality=auto`` is offered: a worker then holds 30 MB more. Needs the extra ``quality``."""
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 80
    """Where the URL names no ``quality``."""
    webp_quality: Annotated[int, Meta(ge=1, le=100)] = 79
    """Where the URL names no ``quality``."""
    avif_quality: Annotated[int, Meta(ge=1, le=100)] = 63
    """Where the URL names no ``quality``."""
    jxl_quality: Annotated[int, Meta(ge=1, le=100)] = 75
    """Where the URL names no ``quality``."""


class Text(Struct, frozen=True, forbid_unknown_fields=True):
    """``[text]``: what texts on pictures are written in. No font of the system is used unless it is named here."""

    fonts: tuple[str, ...] = ()
    """Folders with fonts, or single files, as absolute paths. The user that workers run as (``nobody`` where the
    service is started as root) must be able to read them. DejaVu Sans ships with imagemill."""
    missing: Literal["error", "box"] = "error"
    """What becomes of a character that no font has: ``error`` refuses the request, ``box`` draws a box."""


class Gate(Struct, frozen=True, forbid_unknown_fields=True):
    """``[gate]``: how much work may wait."""

    queue: Natural = 64
    """Distinct renders waiting for a worker; one more is refused."""
    waiting_bytes: Positive = 256 * MiB
    """Bytes of sources that wait for a worker or are at one; more is refused."""
    wait_s: Seconds = 5.0
    """Longest wait for a worker; also refused at once when the queue is known to be slower."""
    burst_s: SecondsOrNone = 0.3
    """How long renders may queue while clearly more are asked for than are done; then only as many wait as there are
    workers, and the rest is refused at once, so that what is admitted is quick. 0 = no such end."""


class Fetch(Struct, frozen=True, forbid_unknown_fields=True):
    """``[fetch]``: the one client for addresses that callers supply."""

    connect_s: Seconds = 2.0
    """To connect, TLS included."""
    first_byte_s: Seconds = 5.0
    """From there to the answer's head."""
    total_s: Seconds = 15.0
    """For the whole download, redirects included."""
    resolve_s: Seconds = 2.0
    """To look one host's name up."""
    min_bytes_per_s: Natural = 8 * 1024
    """Average since the body began, enforced after `slow_start_s`."""
    slow_start_s: Seconds = 2.0
    """How long a body may be slower than `min_bytes_per_s` at its beginning."""
    redirects: Natural = 5
    """Followed for one source; each is judged like the first address."""
    per_host: Positive = 16
    """Fetches from one host at a time."""
    per_host_queue: Natural = 64
    """More waiting than this for one host are refused."""
    total: Positive = 256
    """Fetches at a time from all hosts together."""
    inflight_bytes: Positive = 256 * MiB
    """Bytes of unfinished downloads together; more is refused."""
    breaker_failures: Positive = 5
    """Consecutive failures after which a host is not asked for `breaker_s`."""
    breaker_s: Seconds = 5.0
    """How long such a host is left alone; then one fetch tries it again."""


class Sources(Struct, frozen=True, forbid_unknown_fields=True):
    """``[sources]``: what may be fetched. Default: public addresses on ports 80 and 443, no store."""

    schemes: tuple[Literal["http", "https"], ...] = ("http", "https")
    """Of URLs that may be fetched."""
    ports: tuple[Port, ...] = (80, 443)
    """That may be connected to."""
    allow: tuple[str, ...] = ()
    """``host`` or ``host/path/prefix/``; a leading ``*.`` matches subdomains. Empty = any host."""
    allow_private_networks: bool = False
    """RFC 1918, CGNAT and unique local addresses. Loopback and link-local need `allow_networks`."""
    allow_metadata: bool = False
    """Cloud metadata addresses: apart from every other switch."""
    allow_networks: tuple[str, ...] = ()
    """CIDR blocks reachable beside public addresses."""
    user_agent: HeaderText = ""
    """Empty = ``imagemill/<version>``."""


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


class Tenant(Struct, frozen=True, forbid_unknown_fields=True):
    """``[jobs.tenants.<name>]``: what one tenant may use; without a table it may use all."""

    stores: tuple[str, ...] | None = None
    """Destinations it may write to, and stores it may read from in jobs; None = all."""
    secrets: tuple[str, ...] | None = None
    """Names of `callbacks.secrets` it may have callbacks signed with; None = all."""
    max_waiting: Positive | None = None
    """In place of `jobs.max_waiting`."""


class Jobs(Struct, frozen=True, forbid_unknown_fields=True):
    """``[jobs]``: work that is called back about. On where a store is writable, or where `engine` is named."""

    engine: Literal["", "embedded", "temporal", "off"] = ""
    """``embedded``: durable in a file of this machine. ``temporal``: in a Temporal service, see ``[temporal]``. Empty =
    ``embedded`` where any ``[storage.<name>]`` has ``write = true``, else ``off``."""
    data: str = ""
    """Directory of the embedded engine and of the tokens; empty = ``$XDG_STATE_HOME/imagemill`` or
    ``~/.local/state/imagemill``."""
    tokens: str = ""
    """File of the bearer tokens; empty = ``tokens.json`` in `data`."""
    concurrency: Annotated[int, Meta(ge=2, le=1024)] = 8
    """Jobs running at a time in one process; one place is kept for priorities 7 to 9."""
    workers: Annotated[int, Meta(ge=0, le=1024)] = 0
    """Engine workers of a job process, apart from those that answer requests; 0 = one for each core."""
    rendition_s: Seconds = 120.0
    """Wall time of one rendition of a job, in place of `engine.deadline_s`: nobody waits for it, and it gives way to
    requests. `limits.cpu_s` bounds its work all the same."""
    nice: Annotated[int, Meta(ge=0, le=19)] = 5
    """How far a job process that ``serve`` starts steps back behind requests."""
    retries: Annotated[int, Meta(ge=0, le=20)] = 3
    """Further attempts where the job names no number."""
    crashes: Annotated[int, Meta(ge=1, le=100)] = 10
    """How often the process may die over one job before it is failed."""
    keep_s: Annotated[int, Meta(ge=86_400, le=MOST)] = 7 * 86_400
    """How long the record of what is over stays; an ``Idempotency-Key`` as long, one day at least."""
    max_waiting: Positive = 100_000
    """Jobs of one tenant that wait; one more is refused with 429."""
    max_waiting_all: Positive = 1_000_000
    """Of all tenants together."""
    max_renditions: Annotated[int, Meta(ge=1, le=64)] = 32
    """In one job."""
    max_batch: Annotated[int, Meta(ge=1, le=10_000)] = 10_000
    """Jobs in one batch."""
    batch_renditions: Positive = 100_000
    """Of all jobs in one batch, or in one schedule, together."""
    max_schedules: Positive = 100
    """Of one tenant."""
    body_bytes: Annotated[int, Meta(ge=1024, le=64 * MiB)] = 256 * 1024
    """Of one submission."""
    batch_bytes: Annotated[int, Meta(ge=1024, le=64 * MiB)] = 16 * MiB
    """Of one batch."""
    metadata_bytes: Positive = 4096
    """Of ``metadata``, as it came."""
    max_ahead_s: Positive = 366 * 86_400
    """How far ahead a job may be asked for."""
    watchers: Positive = 256
    """Event streams at a time."""
    tenant_watchers: Positive = 128
    """Of one tenant; never more than `watchers`."""
    address_s: Annotated[int, Meta(ge=1, le=604_800)] = 3600
    """How long a presigned address of a result is good for."""
    admin_port: Port = 8082
    """Of ``imagemill worker``: health and metrics, on `server.admin_host`. 0 = any free one."""
    grace_s: Seconds = 20.0
    """After a stop signal: how long running jobs may take to finish; then they go back to the queue."""
    tenants: dict[str, Tenant] = {}
    """``[jobs.tenants.<name>]``: ``stores``, ``secrets`` and ``max_waiting`` of one tenant."""


class Callbacks(Struct, frozen=True, forbid_unknown_fields=True):
    """``[callbacks]``: who may be called back, and how. Default: public addresses, https, port 443."""

    allow_http: bool = False
    """Also ``http://``."""
    ports: tuple[Port, ...] = (443,)
    """That may be connected to; port 80 comes with `allow_http`."""
    allow: tuple[str, ...] = ()
    """As ``sources.allow``. Empty = any host."""
    allow_private_networks: bool = False
    """As ``sources.allow_private_networks``."""
    allow_networks: tuple[str, ...] = ()
    """CIDR blocks reachable beside public addresses."""
    timeout_s: Seconds = 10.0
    """One attempt, from looking the name up to the answer's head."""
    per_endpoint: Positive = 4
    """Attempts at a time at one scheme, host and port, for one tenant."""
    total: Positive = 64
    """Attempts at a time in one process; half of them are kept for receivers that answered last time."""
    breaker_failures: Positive = 5
    """Consecutive failures after which an endpoint is left alone for `breaker_s`."""
    breaker_s: Seconds = 30.0
    """How long; then one attempt tries it again."""
    secrets: dict[str, tuple[Secret, ...]] = {}
    """Name to secrets, ``whsec_`` and base64 of 24 to 64 bytes each; messages are signed with every one of them."""


class Temporal(Struct, frozen=True, forbid_unknown_fields=True):
    """``[temporal]``: where ``jobs.engine = "temporal"`` keeps its jobs."""

    address: Host = "127.0.0.1:7233"
    """Host and port of its frontend."""
    namespace: Host = "default"
    """In which retention and search attributes are set up."""
    task_queue: Host = "imagemill"
    """Prefix of the task queues."""
    api_key: Secret = Secret()
    """For services that want one."""
    tls: bool = False
    """Speak TLS; also where a certificate is named."""
    ca_file: str = ""
    """Certificates to trust; empty = the system's."""
    cert_file: str = ""
    """Our own, for mutual TLS."""
    key_file: str = ""
    """Its key."""
    heartbeat_s: Annotated[float, Meta(ge=1, le=300)] = 10.0
    """A worker that is silent for so long has died; its work goes elsewhere."""
    large_pixels: Positive = 8_000_000
    """Jobs whose renditions together may have more go to the task queue for large work."""


class Fallback(Struct, frozen=True, forbid_unknown_fields=True):
    """``[fallback]``: a picture in place of an error; see docs/how-to/fallback.md."""

    images: dict[str, str] = {}
    """``[fallback.images]``: status to source, as a URL names it. Statuses: 403 (of a source, never of a signature),
    404, 413, 415, 422, 502, 503 (a failing source, not an overloaded node), 504; ``default`` for the rest of these."""
    as_success: bool = False
    """Answer with it as 200; else with the status of the error."""
    max_age_s: Annotated[int, Meta(ge=0, le=86_400)] = 60
    """How long clients and caches between may keep it."""

    def __post_init__(self) -> None:
        """Refuse statuses that have none."""
        if wrong := sorted(self.images.keys() - FALLBACK_STATUSES):
            raise SettingsError(f"fallback.images.{wrong[0]}: one of {', '.join(sorted(FALLBACK_STATUSES))}")


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """``[log]``: one line a request, to standard error."""

    format: Literal["auto", "json", "pretty"] = "auto"
    """auto = pretty on a terminal, else JSON."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written; requests are ``info``."""


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
