"""What a change owes, once, and what stands in a message: rows J13 and J15."""

import json
from datetime import datetime

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from imagemill.jobs.notices import batch_outcome, body, final_event, goes_again, owed, owed_of_batch, owes_final
from imagemill.model.job import (
    Batch,
    Callback,
    Delivery,
    DeliveryState,
    Event,
    Fault,
    Job,
    JobSpec,
    Result,
    ResultState,
    State,
    Timings,
    Wanted,
    delivery_id,
)
from imagemill.model.recipe import Recipe
from imagemill.model.request import SourceRef

NOW_S = 1_800_000_000.25
RECIPE: Recipe = ()
SECRET_SOURCE = "https://user-images.test/private/cat.jpg?X-Signature=s3cr3t&token=t0k3n"
ALL = tuple(Event)
WAITING = Result("small")
STORED = Result(
    "small", ResultState.STORED, "out", "a/b/small.webp", "ab" * 32, 1234, "image/webp", 320, 200, frames=1, warmed=True
)


def job(state=State.QUEUED, results=(), events=ALL, **changes) -> Job:
    spec = JobSpec(
        SourceRef("https", SECRET_SOURCE),
        (Wanted("small", RECIPE, "{job}/small.webp"), Wanted("large", RECIPE, "{job}/large.webp")),
        store="out",
        callback=Callback("https://hooks.test/in?key=1", "main", tuple(events)) if events is not None else None,
        tags=("album:cats",),
        metadata=msgspec.Raw(b'{"order":  12345678901234567890, "x": 1.0}'),
    )
    return Job("a" * 32, "acme", spec, state, Timings(NOW_S), results=tuple(results), **changes)


def told(before: Job | None, after: Job) -> list[tuple[Event, str]]:
    return [(d.event, d.rendition) for d in owed(before, after, NOW_S)]


def test_accepted_is_owed_at_submission():
    (delivery,) = owed(None, job(), NOW_S)

    assert delivery == Delivery(
        delivery_id("a" * 32, Event.ACCEPTED),
        "a" * 32,
        "acme",
        job().spec.callback,
        Event.ACCEPTED,
        NOW_S,
        due_s=NOW_S,
    )


def test_a_start_is_progress():
    assert told(job(), job(State.RUNNING)) == [(Event.PROGRESS, "0/2")]


def test_a_rendition_is_owed_when_it_is_stored_and_not_before():
    waiting, storing, stored = [
        job(State.RUNNING, [replace(STORED, state=state)]) for state in (ResultState.WAITING, ResultState.STORING, ResultState.STORED)
    ]  # fmt: skip

    assert told(waiting, storing) == []
    assert told(storing, stored) == [(Event.RENDITION, "small"), (Event.PROGRESS, "1/2")]
    assert told(stored, stored) == []


def test_several_at_once_are_owed_each():
    both = [STORED, replace(STORED, name="large")]

    assert told(job(State.RUNNING), job(State.RUNNING, both)) == [
        (Event.RENDITION, "small"), (Event.RENDITION, "large"), (Event.PROGRESS, "2/2"),
    ]  # fmt: skip


@pytest.mark.parametrize("outcome", [State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED])
@pytest.mark.parametrize("by_way_of_delivering", [True, False])
def test_an_end_is_owed_once(outcome, by_way_of_delivering):
    """When the outcome stands, and not again when its telling has ended."""
    event = Event.SUCCEEDED if outcome is State.SUCCEEDED else Event.FAILED
    ended = job(State.DELIVERING if by_way_of_delivering else outcome, outcome=outcome)

    assert told(job(State.RUNNING), ended) == [(event, "")]
    assert told(ended, job(outcome, outcome=outcome)) == []
    assert final_event(outcome) is event


def test_the_last_rendition_and_the_end_in_one_change():
    after = job(State.DELIVERING, [STORED], outcome=State.SUCCEEDED)

    assert told(job(State.RUNNING), after) == [(Event.RENDITION, "small"), (Event.SUCCEEDED, "")]


@pytest.mark.parametrize("events", [(), (Event.FAILED,), (Event.RENDITION,), (Event.FAILED, Event.SUCCEEDED)])
def test_only_what_is_asked_for(events):
    before, after = job(events=events), job(State.DELIVERING, [STORED], events, outcome=State.SUCCEEDED)
    all_of_them = {Event.ACCEPTED, Event.RENDITION, Event.SUCCEEDED}

    assert {e for e, _ in told(None, before) + told(before, after)} == all_of_them & set(events)


def test_nobody_to_tell():
    assert told(None, job(events=None)) == []
    assert told(job(State.RUNNING, events=None), job(State.FAILED, events=None)) == []


@pytest.mark.parametrize(
    ("events", "outcome", "owes"),
    [
        ((Event.SUCCEEDED,), State.SUCCEEDED, True),
        ((Event.SUCCEEDED,), State.CANCELLED, False),
        ((Event.FAILED,), State.EXPIRED, True),
        ((Event.RENDITION,), State.SUCCEEDED, False),
        (None, State.FAILED, False),
    ],
)
def test_whether_there_is_delivering(events, outcome, owes):
    """Exactly where `owed` says that something final is owed."""
    after = job(State.DELIVERING, events=events, outcome=outcome)

    assert owes_final(after.spec.callback, outcome) is owes
    assert any(d.event in {Event.SUCCEEDED, Event.FAILED} for d in owed(job(events=events), after, NOW_S)) is owes


def test_a_repeat_owes_the_same_ids():
    """J13: whoever works out the same change later says it under the same id, and each event has its own."""
    changes = [(None, job()), (job(), job(State.RUNNING)), (job(State.RUNNING), job(State.DELIVERING, [STORED], outcome=State.FAILED))]  # fmt: skip
    first = [d.id for before, after in changes for d in owed(before, after, NOW_S)]
    again = [d.id for before, after in changes for d in owed(before, after, NOW_S + 99)]

    assert first == again
    assert len(set(first)) == len(first) == 4


class TRendition(Struct, forbid_unknown_fields=True):
    name: str
    address: str
    media_type: str
    bytes: int
    width_px: int
    height_px: int
    sha256: str
    url: str = ""


class TProgress(Struct, forbid_unknown_fields=True):
    done: int
    total: int


class TError(Struct, forbid_unknown_fields=True):
    code: str
    message: str


class TData(Struct, forbid_unknown_fields=True):
    id: str
    state: State
    renditions: list[TRendition] = []
    progress: TProgress | None = None
    error: TError | None = None
    tags: list[str] = []
    batch: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"")
    total: int = 0
    counts: dict[str, int] = {}


class TMessage(Struct, forbid_unknown_fields=True):
    """All that a message may hold."""

    type: str
    timestamp: datetime
    data: TData


HELD = {"small": ("s3://bucket/a/b/small.webp", None), "large": ("local:out/a/large.webp", None)}


def sent(about: Job | Batch, event: Event, rendition="", addresses=HELD) -> tuple[TMessage, str]:
    delivery = Delivery("msg_1", about.id, about.tenant, Callback("https://h.test/", "main"), event, NOW_S, rendition)
    text = body(delivery, about, addresses).decode()
    return msgspec.json.decode(text, type=TMessage), text


EVERY = [
    (job(), Event.ACCEPTED, ""),
    (job(State.RUNNING, [STORED]), Event.PROGRESS, "1/2"),
    (job(State.RUNNING, [STORED]), Event.RENDITION, "small"),
    (job(State.DELIVERING, [STORED], outcome=State.SUCCEEDED), Event.SUCCEEDED, ""),
    (
        job(
            State.DELIVERING,
            [STORED, WAITING],
            outcome=State.FAILED,
            fault=Fault("source_timeout", f"{SECRET_SOURCE}: too slow"),
            batch="b" * 32,
            retry_of="c" * 32,
            schedule="nightly",
            attempts=3,
        ),
        Event.FAILED,
        "",
    ),
]


@pytest.mark.parametrize(("about", "event", "rendition"), EVERY, ids=[e for _, e, _ in EVERY])
def test_nothing_leaks(about, event, rendition):
    """J15: only the members above, and nowhere the source, the receiver's address, the tenant or a template."""
    message, text = sent(about, event, rendition)

    assert message.type == f"job.{event}"
    assert message.timestamp.timestamp() == NOW_S
    assert message.data.id == about.id
    for hidden in ("s3cr3t", "t0k3n", "user-images", "hooks.test", "acme", "{job}", "main", "nightly", "null"):
        assert hidden not in text, hidden


def test_a_success():
    message, text = sent(
        EVERY[3][0],
        Event.SUCCEEDED,
        addresses={"small": ("s3://bucket/a/b/small.webp", "https://out.test/small.webp?sig=1")},
    )

    assert message.data.state is State.SUCCEEDED
    assert json.loads(text)["data"]["renditions"] == [
        {
            "name": "small", "address": "s3://bucket/a/b/small.webp", "url": "https://out.test/small.webp?sig=1",
            "media_type": "image/webp", "bytes": 1234, "width_px": 320, "height_px": 200, "sha256": "ab" * 32,
        }
    ]  # fmt: skip


def test_a_failure():
    """Its state is the outcome, what was stored nevertheless is there, and the error says no address."""
    message, _ = sent(EVERY[4][0], Event.FAILED)

    assert message.data.state is State.FAILED
    assert [r.name for r in message.data.renditions] == ["small"]
    assert message.data.error == TError("source_timeout", "… too slow")
    assert message.data.batch == "b" * 32


def test_a_success_has_no_error_of_an_earlier_attempt():
    message, _ = sent(job(State.DELIVERING, outcome=State.SUCCEEDED, fault=Fault("x", "y")), Event.SUCCEEDED)

    assert message.data.error is None


def test_a_url_is_absent_where_there_is_none():
    _, text = sent(EVERY[3][0], Event.SUCCEEDED)

    assert '"url"' not in text


def test_a_rendition_is_told_alone():
    both = job(State.RUNNING, [STORED, replace(STORED, name="large", key="a/large.webp")])
    message, _ = sent(both, Event.RENDITION, "large")

    assert [r.address for r in message.data.renditions] == ["local:out/a/large.webp"]
    assert message.data.progress is None


def test_progress():
    message, _ = sent(job(State.RUNNING, [STORED]), Event.PROGRESS, "1/2")

    assert message.data.progress == TProgress(1, 2)
    assert message.data.renditions == []


def test_metadata_is_untouched():
    """Byte for byte: large numbers, floats and blanks as they came."""
    _, text = sent(job(), Event.ACCEPTED)

    assert '"metadata":{"order":  12345678901234567890, "x": 1.0}' in text


@pytest.mark.parametrize(
    ("event", "state", "again"),
    [
        (Event.ACCEPTED, DeliveryState.DEAD, True),
        (Event.RENDITION, DeliveryState.DEAD, True),
        (Event.PROGRESS, DeliveryState.DEAD, False),
        (Event.SUCCEEDED, DeliveryState.DEAD, True),
        (Event.SUCCEEDED, DeliveryState.DELIVERED, True),
        (Event.FINISHED, DeliveryState.DELIVERED, True),
        (Event.RENDITION, DeliveryState.DELIVERED, False),
        (Event.SUCCEEDED, DeliveryState.PENDING, False),
    ],
)
def test_what_goes_again(event, state, again):
    """Every dead letter but progress, and the last word; never what is on its way."""
    assert goes_again(Delivery("m", "j", "t", Callback("u", "s"), event, NOW_S, state=state)) is again


def batch(**counts: int) -> Batch:
    return Batch(
        "b" * 32, "acme", "5eed" * 16, 4, NOW_S, Callback("https://h.test/", "main"), ("nightly",),
        msgspec.Raw(b"[1]"), made=4, counts=counts, state=State.DELIVERING,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ({"succeeded": 4}, State.SUCCEEDED),
        ({"succeeded": 3, "failed": 1}, State.FAILED),
        ({"succeeded": 3, "expired": 1}, State.FAILED),
        ({"succeeded": 3, "cancelled": 1}, State.CANCELLED),
        ({"failed": 1, "cancelled": 3}, State.FAILED),
    ],
)
def test_a_batch(counts, outcome):
    """One message, whatever events its callback names, with how many jobs ended how; never the seed of their ids."""
    about = batch(**counts, running=0)
    delivery = owed_of_batch(about, NOW_S)
    message, text = sent(about, Event.FINISHED)

    assert delivery is not None
    assert (delivery.event, delivery.id) == (Event.FINISHED, delivery_id("b" * 32, Event.FINISHED))
    assert message.type == "batch.finished"
    assert batch_outcome(about) is message.data.state is outcome
    assert (message.data.total, message.data.counts) == (4, counts)
    assert '"metadata":[1]' in text
    assert "5eed" not in text
    assert "acme" not in text


def test_a_batch_that_tells_nobody():
    assert owed_of_batch(replace(batch(), callback=None), NOW_S) is None
