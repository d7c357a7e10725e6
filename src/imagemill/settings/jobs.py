"""Durable jobs, their callbacks, and the service that may keep them: `Jobs`, `Callbacks`, `Temporal`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from imagemill.settings.kinds import MOST, Host, MiB, Port, Positive, Seconds, Secret


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
