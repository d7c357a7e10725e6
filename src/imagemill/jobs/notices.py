"""Say which messages a change of a job owes, and what stands in them: pure.

Keys     one event has one id (`model.job.delivery_id`), so whoever works out twice what is owed owes it once.
Units    Unix seconds; RFC 3339 in UTC on the wire.
Errors   none.

A message holds what its receiver needs to find the results, and nothing of how they were made: no source address, no
tenant, no address of ours. An address that a fault's words may hold is taken out.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from imagemill.model.job import (
    FINAL,
    NO_METADATA,
    OVER,
    TERMINAL,
    Batch,
    Callback,
    Delivery,
    DeliveryState,
    Event,
    Fault,
    Job,
    Result,
    ResultState,
    State,
    delivery_id,
)

Addresses = Mapping[str, tuple[str, str | None]]
"""Rendition to its address, and to a presigned one, if there is one."""
NOWHERE = ("", None)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def final_event(outcome: State) -> Event:
    """What is told of a job that ended as *outcome*."""
    return Event.SUCCEEDED if outcome is State.SUCCEEDED else Event.FAILED


def owes_final(callback: Callback | None, outcome: State) -> bool:
    """Whether a job that ends as *outcome* has to tell it: then it is `State.DELIVERING` first."""
    return callback is not None and final_event(outcome) in callback.events


def owed(before: Job | None, after: Job, now_s: float) -> tuple[Delivery, ...]:
    """What the change from *before* to *after* owes, in the order of its happening; *before* None = just accepted."""
    callback = after.spec.callback
    if callback is None:
        return ()
    return tuple(
        Delivery(
            id=delivery_id(after.id, event, about),
            job=after.id,
            tenant=after.tenant,
            callback=callback,
            event=event,
            made_s=now_s,
            rendition=about,
            due_s=now_s,
        )
        for event, about in _events(before, after)
        if event in callback.events
    )


def owed_of_batch(batch: Batch, now_s: float) -> Delivery | None:
    """What a batch owes when its last job is over: one message, if it names whom to tell, whatever events it names."""
    if batch.callback is None:
        return None
    return Delivery(
        id=delivery_id(batch.id, Event.FINISHED),
        job=batch.id,
        tenant=batch.tenant,
        callback=batch.callback,
        event=Event.FINISHED,
        made_s=now_s,
        due_s=now_s,
    )


def goes_again(delivery: Delivery) -> bool:
    """Whether a redelivery begins *delivery* anew: what was given up, and the last word, also where it has arrived."""
    if delivery.state is DeliveryState.DEAD:
        return delivery.event is not Event.PROGRESS
    return delivery.state is DeliveryState.DELIVERED and delivery.event in FINAL


def _events(before: Job | None, after: Job) -> list[tuple[Event, str]]:
    events = [(Event.ACCEPTED, "")] if before is None else []
    had, has = _stored(before), _stored(after)
    events += [(Event.RENDITION, name) for name in has if name not in had]
    if after.state is State.RUNNING and (len(has) > len(had) or before is None or before.state is not State.RUNNING):
        # how far it is, is part of the id: each step is an event of its own
        events.append((Event.PROGRESS, f"{len(has)}/{len(after.spec.renditions)}"))
    if after.state in OVER and (before is None or before.state not in OVER):
        events.append((final_event(after.outcome or after.state), ""))
    return events


def _stored(job: Job | None) -> list[str]:
    return [r.name for r in job.results if r.state is ResultState.STORED] if job else []


class Rendition(Struct, frozen=True, omit_defaults=True):
    """One result, as it is told: what of it is told, under the names that it has in the job."""

    name: str
    address: str = ""
    """As its store has it, the same as in the job; absent where there is only a cache that was warmed."""
    url: str = ""
    """Presigned and short-lived; absent where the store has none to give."""
    media_type: str = ""
    bytes: int = 0
    width_px: int = 0
    height_px: int = 0
    sha256: str = ""


class Error(Struct, frozen=True):
    """Why a job is not done."""

    code: str
    message: str


class Progress(Struct, frozen=True):
    """How many renditions are stored."""

    done: int
    total: int


class About(Struct, frozen=True, omit_defaults=True):
    """``data`` of a message about a job; what has nothing to say is absent."""

    id: str
    state: State
    """When the message is sent, which may be later than what it tells of; the outcome, once it stands."""
    renditions: tuple[Rendition, ...] = ()
    progress: Progress | None = None
    error: Error | None = None
    tags: tuple[str, ...] = ()
    batch: str = ""
    metadata: msgspec.Raw | None = None


class AboutBatch(Struct, frozen=True, omit_defaults=True):
    """``data`` of a message about a batch."""

    id: str
    state: State
    total: int
    counts: dict[str, int]
    tags: tuple[str, ...] = ()
    metadata: msgspec.Raw | None = None


class Message(Struct, frozen=True):
    """The body of a callback."""

    type: str
    timestamp: str
    """When it happened."""
    data: About | AboutBatch


def body(delivery: Delivery, about: Job | Batch, addresses: Addresses) -> bytes:
    """The JSON of *delivery*; *addresses* has those of each rendition that is stored."""
    kind = "batch" if isinstance(about, Batch) else "job"
    data = _about_batch(about) if isinstance(about, Batch) else _about(delivery, about, addresses)
    return msgspec.json.encode(Message(f"{kind}.{delivery.event}", _rfc3339(delivery.made_s), data))


def _about(delivery: Delivery, job: Job, addresses: Addresses) -> About:
    final = delivery.event in {Event.SUCCEEDED, Event.FAILED}
    told = [r for r in job.results if r.state is ResultState.STORED and (final or _is_of(delivery, r))]
    return About(
        id=job.id,
        state=job.outcome or job.state,
        renditions=tuple(_rendition(r, *addresses.get(r.name, NOWHERE)) for r in told),
        progress=_progress(delivery),
        error=_error(job.fault) if delivery.event is Event.FAILED and job.fault else None,
        tags=job.spec.tags,
        batch=job.batch,
        metadata=_metadata(job.spec.metadata),
    )


def _is_of(delivery: Delivery, result: Result) -> bool:
    return delivery.event is Event.RENDITION and delivery.rendition == result.name


def _progress(delivery: Delivery) -> Progress | None:
    if delivery.event is not Event.PROGRESS:
        return None
    done, _, total = delivery.rendition.partition("/")
    return Progress(int(done), int(total))


def _rendition(result: Result, address: str, url: str | None) -> Rendition:
    return Rendition(
        name=result.name,
        address=address,
        url=url or "",
        media_type=result.media_type,
        bytes=result.body_bytes,
        width_px=result.width_px,
        height_px=result.height_px,
        sha256=result.sha256,
    )


def _error(fault: Fault) -> Error:
    return Error(fault.code, _ADDRESS.sub("\N{HORIZONTAL ELLIPSIS}", fault.message))


def _about_batch(batch: Batch) -> AboutBatch:
    return AboutBatch(
        id=batch.id,
        state=batch.state if batch.state in TERMINAL else batch_outcome(batch),
        total=batch.total,
        counts={state: number for state, number in sorted(batch.counts.items()) if number},
        tags=batch.tags,
        metadata=_metadata(batch.metadata),
    )


def batch_outcome(batch: Batch) -> State:
    """As what a batch ends whose jobs have ended as its counts say."""
    if batch.counts.get(State.SUCCEEDED, 0) == batch.total:
        return State.SUCCEEDED
    failed = batch.counts.get(State.FAILED, 0) + batch.counts.get(State.EXPIRED, 0)
    return State.FAILED if failed or not batch.counts.get(State.CANCELLED, 0) else State.CANCELLED


def _metadata(raw: msgspec.Raw) -> msgspec.Raw | None:
    return raw if bytes(raw) != bytes(NO_METADATA) else None


def _rfc3339(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
