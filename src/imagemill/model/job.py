"""What a job is: the order, what has come of it so far, and the messages that it owes.

Units    ``_s`` seconds or Unix seconds; times are the store's, told by whoever writes.
Errors   `BadOption` from ``__post_init__``, which also runs on decoding.
"""

from enum import StrEnum
from hashlib import sha256

import msgspec
from msgspec import Struct

from imagemill.model.errors import BadOption
from imagemill.model.media import Format
from imagemill.model.recipe import Recipe, sources
from imagemill.model.request import SourceRef

MAX_PRIORITY = 9
URGENT = 7
"""Priorities from here on have a place to themselves."""
_ID_CHARS = 32
_HEX = frozenset("0123456789abcdef")
NO_METADATA = msgspec.Raw(b"null")


class State(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    """Due, and waiting for its turn."""
    SCHEDULED = "scheduled"
    """Not due yet: asked for later, or waiting to be tried again."""
    RUNNING = "running"
    DELIVERING = "delivering"
    """Its outcome stands, and its last callback has not arrived yet."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """Its deadline passed before it was done."""


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED})
"""States that are never left."""
OVER = TERMINAL | {State.DELIVERING}
"""States in which nothing is made any more."""


class Event(StrEnum):
    """What a callback may tell."""

    ACCEPTED = "accepted"
    PROGRESS = "progress"
    """Told once and never again: the next one says more."""
    RENDITION = "rendition"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Also of what was cancelled or has expired; the body carries the state."""
    FINISHED = "finished"
    """Of a batch: all its jobs are over."""


FINAL = frozenset({Event.SUCCEEDED, Event.FAILED, Event.FINISHED})


class Callback(Struct, frozen=True):
    """Whom to tell, of what, signed with which secret."""

    url: str
    """Canonical."""
    secret: str
    """Name of a secret in the settings; never the secret itself."""
    events: tuple[Event, ...] = (Event.FAILED, Event.SUCCEEDED)


class Wanted(Struct, frozen=True):
    """One rendition of a job."""

    name: str
    recipe: Recipe
    key: str
    """Template of the key in the destination, prefix included; see `service.keys`."""
    candidates: tuple[Format, ...] = ()
    """As in `model.request.Plan`."""


class JobSpec(Struct, frozen=True):
    """One order as it was accepted: valid, complete, and the same for every attempt."""

    source: SourceRef
    renditions: tuple[Wanted, ...]
    store: str = ""
    """Name of the destination; empty = none, the job only warms the cache."""
    warm: bool = False
    callback: Callback | None = None
    priority: int = 0
    not_before_s: float = 0.0
    deadline_s: float | None = None
    """Unix time after which nothing is begun or finished any more."""
    retries: int = 3
    ttl_s: int | None = None
    tags: tuple[str, ...] = ()
    metadata: msgspec.Raw = NO_METADATA
    """JSON that is handed back as it came."""

    def __post_init__(self) -> None:
        """Keep to what an engine can order by, and to something to do."""
        if not 0 <= self.priority <= MAX_PRIORITY:
            raise BadOption(f"priority: 0 to {MAX_PRIORITY}")
        if not self.renditions:
            raise BadOption("renditions: at least one")
        if not (self.store or self.warm):
            raise BadOption("destination: missing, and warm is not asked for")

    @property
    def sources(self) -> tuple[SourceRef, ...]:
        """All that it reads, each once: its own first, then those of layers."""
        layers = (source for wanted in self.renditions for source in sources(wanted.recipe))
        return tuple(dict.fromkeys((self.source, *layers)))


class ResultState(StrEnum):
    """How far one rendition is."""

    WAITING = "waiting"
    STORING = "storing"
    """Made; it may or may not lie in the destination already."""
    STORED = "stored"


class Result(Struct, frozen=True):
    """One rendition, as far as it is there."""

    name: str
    state: ResultState = ResultState.WAITING
    store: str = ""
    key: str = ""
    sha256: str = ""
    """Of the body, 64 hex digits."""
    body_bytes: int = 0
    media_type: str = ""
    width_px: int = 0
    height_px: int = 0
    frames: int = 0
    warmed: bool = False


class Fault(Struct, frozen=True):
    """Why a job is not, or not yet, done."""

    code: str
    """Of `model.errors`."""
    message: str
    retryable: bool = False


class Timings(Struct, frozen=True):
    """When what happened last, in Unix seconds; 0 = not yet."""

    created_s: float
    due_s: float = 0.0
    started_s: float = 0.0
    finished_s: float = 0.0
    """The outcome stood."""
    fetch_ms: float = 0.0
    make_ms: float = 0.0
    """From the source being there to the last rendition stored."""


class Job(Struct, frozen=True):
    """One job at one moment."""

    id: str
    tenant: str
    spec: JobSpec
    state: State
    times: Timings
    outcome: State | None = None
    """The terminal state that stands, also while `DELIVERING`."""
    version: int = 0
    """Grows with every change."""
    attempts: int = 0
    results: tuple[Result, ...] = ()
    fault: Fault | None = None
    """Of the last attempt that failed."""
    callback_state: str = ""
    """Of the last callback: empty = none is owed, else `DeliveryState`."""
    retry_of: str = ""
    batch: str = ""
    schedule: str = ""


class Batch(Struct, frozen=True):
    """Many jobs accepted as one record."""

    id: str
    tenant: str
    seed: str
    """From which the ids of its jobs follow; 64 hex digits, never shown."""
    total: int
    created_s: float
    callback: Callback | None = None
    tags: tuple[str, ...] = ()
    metadata: msgspec.Raw = NO_METADATA
    made: int = 0
    """Jobs made of it so far."""
    counts: dict[str, int] = {}
    """State to number of its jobs."""
    state: State = State.RUNNING
    """`RUNNING`, `DELIVERING`, then `SUCCEEDED` where all did, `CANCELLED` where it was, else `FAILED`."""
    version: int = 0
    finished_s: float = 0.0


class Schedule(Struct, frozen=True):
    """Jobs made again and again, by the clock."""

    name: str
    tenant: str
    cron: str
    """Five fields, UTC unless `timezone` says otherwise."""
    specs: tuple[JobSpec, ...]
    timezone: str = "UTC"
    paused: bool = False
    created_s: float = 0.0
    next_s: float | None = None
    """The next time; None while paused."""
    last_s: float = 0.0


class DeliveryState(StrEnum):
    """How far one callback is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up: the schedule is at its end, or the receiver said 410. It can be redelivered."""


class Delivery(Struct, frozen=True):
    """One message that is owed."""

    id: str
    """The ``webhook-id``: the same at every attempt."""
    job: str
    """Of a job, or of a batch where `event` is `Event.FINISHED`."""
    tenant: str
    callback: Callback
    event: Event
    made_s: float
    rendition: str = ""
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    due_s: float = 0.0
    status: int = 0
    """HTTP status of the last answer; 0 = none."""
    reason: str = ""


def is_id(text: str) -> bool:
    """Whether *text* looks like an id of a job or a batch."""
    return len(text) == _ID_CHARS and set(text) <= _HEX


def delivery_id(job: str, event: Event, rendition: str = "") -> str:
    """The one ``webhook-id`` of an event, whoever computes it and however often."""
    return "msg_" + sha256(f"{job}\n{event}\n{rendition}".encode()).hexdigest()[:_ID_CHARS]
