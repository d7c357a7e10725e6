"""Who may do what with jobs, and what is refused before an engine hears of it."""

import asyncio
import itertools
import json
import re

import pytest
from msgspec.structs import replace

from imagemill.jobs.base import Query
from imagemill.model.errors import (
    BadOption,
    BadRequest,
    IdempotencyMismatch,
    JobFinished,
    JobUnfinished,
    LimitExceeded,
    NotFound,
    NotSupported,
    ScopeMissing,
    SourceForbidden,
    StoreRefused,
)
from imagemill.model.job import Callback, Event, Result, ResultState, State
from imagemill.service.admission import Places
from imagemill.service.batches import TOGETHER
from imagemill.service.jobs import Who
from imagemill.settings import Level2, Tenant
from unit.service.ordering import CALLBACK, NOW_S, ONE, SOURCE, World, body

ACME, OTHER, ADMIN, NARROW = Who("acme"), Who("other"), Who("root", admin=True), Who("narrow")


async def test_what_an_engine_is_given():
    """Whole, with an id and times; one that is due later is scheduled."""
    world = World()

    now = await world.jobs.submit(ACME, body())
    later = await world.jobs.submit(ACME, body(delay=60))

    assert world.engine.jobs == {now.id: now, later.id: later}
    assert (now.tenant, now.state, now.times.created_s, now.times.due_s) == ("acme", State.QUEUED, NOW_S, NOW_S)
    assert (later.state, later.times.due_s) == (State.SCHEDULED, NOW_S + 60)
    assert now.results == (Result("small"),)


async def test_ids_are_not_to_be_guessed():
    """128 bits of chance (J08)."""
    world = World()
    world.jobs._make_id = type(world.jobs).__init__.__kwdefaults__["make_id"]

    ids = {(await world.jobs.submit(ACME, body())).id for _ in range(100)}

    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)


@pytest.mark.parametrize(
    ("who", "changes", "error"),
    [
        (ACME, {"destination": {"store": "nope"}}, BadOption),
        (ACME, {"destination": {"store": "sample"}}, StoreRefused),
        (NARROW, {"source": "local:sample/a"}, BadOption),  # it may write nowhere else
        (NARROW, {"destination": {"store": "sample"}}, StoreRefused),
        (NARROW, {"destination": None, "warm": True, "source": "local:out/a"}, SourceForbidden),
        (ACME, {"source": "local:nope/a"}, SourceForbidden),
        (ACME, {"source": "local:sample/../a"}, BadRequest),
        (ACME, {"source": "https://forbidden.example.com/a"}, SourceForbidden),
        (ACME, {"callback": CALLBACK | {"url": "https://forbidden.example.com/"}}, SourceForbidden),
        (ACME, {"callback": CALLBACK | {"url": "nonsense"}}, BadRequest),
        (ACME, {"callback": CALLBACK | {"secret": "nope"}}, BadOption),
        (NARROW, {"destination": None, "warm": True, "callback": CALLBACK}, BadOption),
    ],
)
async def test_what_could_never_work(who, changes, error):
    """Refused at once, and the engine hears nothing of it."""
    world = World()

    with pytest.raises(error):
        await world.jobs.submit(who, body(**changes))

    assert not world.engine.jobs


async def test_what_a_tenant_may():
    """What its table names it may use; the words for the rest are those for what is not there."""
    world = World(tenants={"wide": Tenant(stores=("out", "sample"), secrets=("main",))})
    wide = Who("wide")

    job = await world.jobs.submit(wide, body(source="local:sample/a", callback=CALLBACK))
    with pytest.raises(BadOption) as other:
        await world.jobs.submit(NARROW, body())
    with pytest.raises(BadOption) as absent:
        await world.jobs.submit(NARROW, body(destination={"store": "nowhere"}))

    assert job.spec.callback == Callback("https://hooks.example.com/x", "main")
    assert str(other.value).replace("out", "nowhere") == str(absent.value)


async def test_a_secret_in_the_place_of_its_name_does_not_come_back():
    """The words of an error are answered and logged."""
    mistaken = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLKSw"

    with pytest.raises(BadOption, match=r"^callback\.secret: ") as refused:
        await World().jobs.submit(ACME, body(callback=CALLBACK | {"secret": mistaken}))

    assert mistaken[:12] not in str(refused.value)


async def test_buckets_are_stores_of_a_tenant():
    """``s3://`` names a bucket, and what a tenant may read is said by the store that it is."""
    world = World()
    warm = {"destination": None, "warm": True}

    for who in (ACME, NARROW):
        assert (await world.jobs.submit(who, body(source="s3://pictures/a", **warm))).spec.source.scheme == "s3"
    for source in ("s3://sample/a", "s3://nope/a"):
        with pytest.raises(SourceForbidden):
            await world.jobs.submit(ACME, body(source=source, **warm))
    world.admission.places = replace(world.admission.places, buckets={"pictures": "out"})
    with pytest.raises(SourceForbidden):
        await world.jobs.submit(NARROW, body(source="s3://pictures/a", **warm))


async def test_a_folder_of_a_bucket_is_a_store_of_its_own():
    """It is judged as the store that it will be read from."""
    world = World()
    world.admission.places = Places(
        frozenset({"sample", "inner"}), frozenset({"out"}), {"pictures": "sample", "pictures/inner": "inner"}
    )
    warm = {"destination": None, "warm": True}

    await world.jobs.submit(ACME, body(source="s3://pictures/inner/a", **warm))
    await world.jobs.submit(NARROW, body(source="s3://pictures/a", **warm))
    with pytest.raises(SourceForbidden):
        await world.jobs.submit(NARROW, body(source="s3://pictures/inner/a", **warm))


async def test_warm_needs_a_second_level():
    world = World()
    warm = body(warm=True)
    assert (await world.jobs.submit(ACME, warm)).spec.warm

    world.admission.settings = replace(world.settings, l2=Level2())

    with pytest.raises(NotSupported, match=r"l2\.url"):
        await world.jobs.submit(ACME, warm)


async def test_one_job_for_one_idempotency_key():
    """The same body, however it is written, is the same job; another is refused; another tenant's key is its own (J03)."""
    world = World()
    first = await world.jobs.submit(ACME, body(), "k")

    again = await world.jobs.submit(ACME, json.dumps(dict(reversed(ONE.items())), indent=4).encode(), "k")
    other = await world.jobs.submit(OTHER, body(), "k")

    assert (again.id, other.id != first.id, len(world.engine.jobs)) == (first.id, True, 2)
    with pytest.raises(IdempotencyMismatch):
        await world.jobs.submit(ACME, body(priority=1), "k")
    for key in ("", "x" * 256, "é", "a\n"):
        with pytest.raises(BadRequest, match="Idempotency-Key"):
            await world.jobs.submit(ACME, body(), key)


async def test_a_repeat_is_the_same_job_whatever_has_become_of_what_it_names():
    """What was accepted is not judged again: its deadline may have passed, its receiver's name may be gone (J03)."""
    world = World()
    late = body(deadline=world.now_s + 60)
    first = await world.jobs.submit(ACME, late, "k")

    world.now_s += 120

    assert await world.jobs.submit(ACME, late, "k") == first
    with pytest.raises(BadOption):
        await world.jobs.submit(ACME, late)


async def test_a_job_is_its_tenants_and_admins():
    """To everybody else it is not there, and neither is what is no id (J08)."""
    world = World()
    job, batch = await world.jobs.submit(ACME, body()), await world.jobs.submit_batch(ACME, body({"items": [ONE]}))
    jobs = world.jobs
    by_id = (jobs.read, jobs.cancel, jobs.retry, jobs.redeliver, jobs.deliveries)

    for who, some_id in ((OTHER, job.id), (ACME, "f" * 32), (ACME, "../x"), (ACME, job.id.upper() + "0"), (ADMIN, "x")):
        for call in (*by_id, jobs.read_batch, jobs.cancel_batch):
            with pytest.raises(NotFound):
                await call(who, some_id)
        with pytest.raises(NotFound):
            await jobs.wait(who, some_id, 0, 1.0)
    for call in (jobs.read_batch, jobs.cancel_batch, jobs.redeliver, jobs.deliveries):
        with pytest.raises(NotFound):
            await call(OTHER, batch.id)

    assert (await jobs.read(ADMIN, job.id), await jobs.read(ACME, job.id)) == (job, job)
    assert await jobs.wait(ACME, job.id, 0, 1.0) == job
    assert await jobs.read_batch(ADMIN, batch.id) == batch
    assert (await jobs.redeliver(ACME, batch.id), await jobs.redeliver(ADMIN, job.id)) == (1, 1)
    assert world.engine.redelivered == [batch.id, job.id]


async def test_lists_are_of_ones_own():
    world = World()
    await world.jobs.submit(ACME, body())

    assert [len((await world.jobs.list(who, Query("acme"))).jobs) for who in (ACME, OTHER, ADMIN)] == [1, 0, 1]
    assert [q.tenant for q in world.engine.queries] == ["acme", "other", "acme"]


async def test_cancel_and_retry():
    """A retry is a job of its own, due now, without the deadline that may have ended the first; judged anew."""
    world = World()
    job = await world.jobs.submit(ACME, body(delay=5, deadline=NOW_S + 9, metadata={"a": 1}, tags=["t"]))
    with pytest.raises(JobUnfinished, match="scheduled"):
        await world.jobs.retry(ACME, job.id)
    cancelled = await world.jobs.cancel(ACME, job.id)
    with pytest.raises(JobFinished):
        await world.jobs.cancel(ACME, job.id)
    world.now_s += 100

    again = await world.jobs.retry(ADMIN, job.id)

    assert (cancelled.state, again.state, again.retry_of, again.tenant) == (
        State.CANCELLED,
        State.QUEUED,
        job.id,
        "acme",
    )
    assert again.spec == replace(job.spec, not_before_s=0.0, deadline_s=None)
    assert (again.times.created_s, len(world.sources)) == (NOW_S + 100, 2)


async def test_a_retry_may_be_forbidden_by_now():
    world = World()
    job = await world.jobs.submit(ACME, body())
    await world.jobs.cancel(ACME, job.id)
    world.admission.places = replace(world.admission.places, writable=frozenset())

    with pytest.raises(StoreRefused):
        await world.jobs.retry(ACME, job.id)


async def test_addresses_are_of_what_is_stored():
    world = World()
    job = await world.jobs.submit(ACME, body())
    stored = Result("a", ResultState.STORED, store="out", key="x/a.webp")
    results = (stored, replace(stored, name="b", state=ResultState.STORING), replace(stored, name="c", store="gone"))

    found = await world.jobs.addresses(replace(job, results=results))

    assert found == {"a": ("local:out/x/a.webp", "https://cdn.example.com/x/a.webp?good=3600")}
    lost = replace(job, tenant="narrow", results=(stored,))  # its store since, and now another's
    assert await world.jobs.addresses(lost) == {}


async def test_prune_is_for_admins():
    world = World()
    with pytest.raises(ScopeMissing):
        await world.jobs.prune(ACME, 1.0)

    assert (await world.jobs.prune(ADMIN, 1.0), world.engine.pruned) == (3, [1.0])


# batches


def batch(*items, **more) -> bytes:
    return json.dumps({"items": list(items), **more}).encode()


async def test_a_batch_is_one_record():
    """Items over defaults, field by field; its own callback, tags and metadata."""
    world = World()
    whom = {"url": "https://hooks.example.com/", "secret": "main"}

    made = await world.jobs.submit_batch(
        ACME,
        batch(
            {"source": "local:sample/1"}, {"source": "https://example.com/2", "priority": 7, "not_before": NOW_S + 9},
            job={"renditions": ONE["renditions"], "destination": ONE["destination"], "priority": 2, "delay": 5},
            callback=whom, tags=["set"], metadata=[1],
        ),
    )  # fmt: skip

    assert (made.total, made.tags, bytes(made.metadata), made.tenant) == (2, ("set",), b"[1]", "acme")
    assert made.callback == Callback(whom["url"], "main", (Event.FINISHED,))
    assert re.fullmatch("[0-9a-f]{64}", made.seed)
    specs = world.engine.specs[made.id]
    assert [(s.source.address, s.priority, s.not_before_s) for s in specs] == [
        ("sample/1", 2, NOW_S + 5),
        ("https://example.com/2", 7, NOW_S + 9),
    ]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"priority": 11}, r"items\[17\]: priority"),
        ({"sorce": "x"}, r"items\[17\].sorce: unknown field; did you mean source"),
        ({"source": "https://forbidden.example.com/"}, r"items\[17\]: the source address is not allowed"),
        (
            {"callback": CALLBACK | {"url": "https://forbidden.example.com/"}},
            r"items\[17\]: callback.url: this address may not be called",
        ),
        ({"destination": {"store": "nope"}}, r"items\[17\]: destination.store"),
        (5, r"items\[17\]"),
    ],
)
async def test_a_batch_is_accepted_whole_or_not_at_all(bad, words):
    """The error names the item."""
    world = World()
    items = [ONE] * 17 + [ONE | bad if isinstance(bad, dict) else bad] + [ONE] * 5

    with pytest.raises((BadRequest, SourceForbidden), match=words):
        await world.jobs.submit_batch(ACME, batch(*items))

    assert not world.engine.batches


async def test_what_a_batch_costs_is_bounded():
    """J16: few bytes may ask for much, as what is given once is made for each; a schedule is held to it as well."""
    world = World(batch_renditions=6, max_renditions=4)
    defaults = {
        "renditions": [{"name": f"r{n}", "params": "format=png"} for n in range(4)],
        "destination": {"store": "out"},
    }
    narrow = {"source": SOURCE, "renditions": defaults["renditions"][:2]}

    accepted = await world.jobs.submit_batch(ACME, batch({"source": SOURCE}, narrow, job=defaults))
    with pytest.raises(LimitExceeded) as caught:
        await world.jobs.submit_batch(ACME, batch({"source": SOURCE}, {"source": SOURCE}, job=defaults))
    with pytest.raises(LimitExceeded):
        await world.jobs.put_schedule(ACME, "a", schedule(job=None, jobs=[{"source": SOURCE, **defaults}] * 2))

    assert (accepted.total, caught.value.limit) == (2, "batch_renditions")
    assert list(world.engine.batches) == [accepted.id]


async def test_batches_are_bounded():
    """J16; and what is no batch is none."""
    world = World(max_batch=3)

    with pytest.raises(LimitExceeded) as caught:
        await world.jobs.submit_batch(ACME, batch(*[ONE] * 4))
    for text in (
        batch(),
        b"{}",
        b'{"items": {}}',
        batch(ONE, job={"x": 1}),
        batch(ONE, callback=CALLBACK | {"events": ["failed"]}),
        batch(ONE, name="x"),
    ):
        with pytest.raises(BadRequest):
            await world.jobs.submit_batch(ACME, text)

    assert caught.value.limit == "batch"
    assert not world.engine.batches


async def test_one_batch_for_one_idempotency_key():
    world = World()
    first = await world.jobs.submit_batch(ACME, batch(ONE, ONE, tags=["a"]), "k")

    again = await world.jobs.submit_batch(
        ACME, json.dumps({"tags": ["a"], "items": [ONE, ONE]}, indent=1).encode(), "k"
    )

    assert again.id == first.id
    for other in (
        batch(ONE, tags=["a"]),
        batch(ONE, ONE, tags=["b"]),
        batch(ONE, ONE),
        batch(ONE, ONE | {"priority": 1}, tags=["a"]),
    ):
        with pytest.raises(IdempotencyMismatch):
            await world.jobs.submit_batch(ACME, other, "k")


async def test_a_large_batch_lets_others_have_their_turn():
    """Whoever asks for a picture meanwhile does not wait for all of it; what repeats is judged once."""
    world = World()
    items = [{"source": f"https://example.com/{n % 500}"} for n in range(2_000)]
    text = batch(*items, job={"renditions": ONE["renditions"], "destination": ONE["destination"], "callback": CALLBACK})
    judged, done = [0], False

    async def turns():
        while not done:
            await asyncio.sleep(0)
            judged.append(len(world.sources))

    others = asyncio.create_task(turns())
    made = await world.jobs.submit_batch(ACME, text)
    done = True
    await others

    assert (made.total, len(set(world.sources))) == (2_000, 500)
    assert len(judged) >= 2_000 / TOGETHER
    assert max(after - before for before, after in itertools.pairwise(judged)) <= TOGETHER
    assert len(world.receivers) <= 16


# schedules


def schedule(**changes) -> bytes:
    return body({"cron": "*/5 * * * *", "job": ONE}, **changes)


async def test_a_schedule():
    """Kept with its next time; in place of what had its name; seen by its tenant and by admins."""
    world = World()

    made = await world.jobs.put_schedule(ACME, "warm.set-1", schedule(timezone="Europe/Zurich"))
    two = await world.jobs.put_schedule(ACME, "warm.set-1", schedule(job=None, jobs=[ONE, ONE], paused=True))

    assert (made.next_s, made.timezone, len(made.specs), made.paused) == (NOW_S + 300, "Europe/Zurich", 1, False)
    assert (two.next_s, len(two.specs), two.paused) == (None, 2, True)
    assert await world.jobs.read_schedule(ACME, "warm.set-1") == two
    assert [await world.jobs.schedules(who) for who in (ACME, OTHER, ADMIN)] == [(two,), (), (two,)]
    for call in (world.jobs.read_schedule, world.jobs.drop_schedule):
        with pytest.raises(NotFound, match="no such schedule"):
            await call(OTHER, "warm.set-1")
    await world.jobs.drop_schedule(ACME, "warm.set-1")
    assert await world.jobs.schedules(ADMIN) == ()


async def test_a_schedule_rests_and_goes_on():
    world = World()
    await world.jobs.put_schedule(ACME, "s", schedule())
    world.now_s += 1_000

    paused = await world.jobs.pause_schedule(ACME, "s", paused=True)
    going = await world.jobs.pause_schedule(ACME, "s", paused=False)

    assert (paused.paused, paused.next_s, going.paused, going.next_s) == (True, None, False, NOW_S + 1_200)
    with pytest.raises(NotFound):
        await world.jobs.pause_schedule(OTHER, "s", paused=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cron": None}, "cron: missing"), ({"cron": "* * * *"}, "five fields"), ({"cron": "* * * * * *"}, "five fields"),
        ({"cron": "61 * * * *"}, "cron"), ({"cron": "0 0 31 2 *"}, "cron"), ({"cron": "1," * 101 + "1 * * * *"}, "five fields"),
        ({"timezone": "Mars/Olympus"}, "timezone"), ({"timezone": "../../etc/passwd"}, "timezone"), ({"timezone": ""}, "timezone"),
        ({"job": None}, "either"), ({"jobs": [ONE]}, "either"), ({"job": None, "jobs": []}, "at least one"),
        ({"paused": 1}, "paused"), ({"every": 5}, "every: unknown field"),
        ({"job": ONE | {"delay": 1}}, "job: delay: a schedule has its own times"),
        ({"job": None, "jobs": [ONE, {"source": SOURCE}]}, r"jobs\[1\]: renditions: missing"),
    ],
)  # fmt: skip
async def test_what_is_no_schedule(changes, words):
    world = World()

    with pytest.raises(BadOption, match=words):
        await world.jobs.put_schedule(ACME, "s", schedule(**changes))

    assert not world.engine.planned


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a/b", "ä", "a\n"])
async def test_what_no_schedule_is_called(name):
    with pytest.raises(BadOption, match="name"):
        await World().jobs.put_schedule(ACME, name, schedule())
