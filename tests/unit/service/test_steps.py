"""The steps of a job: what is stored, in which order it is told, and what a repeat does not do again."""

import asyncio
import time
from hashlib import sha256

import pytest
from msgspec.structs import replace

from imagemill.engines.base import Stages
from imagemill.jobs.base import Again, Delivered
from imagemill.model.entry import DAY_S, Entry
from imagemill.model.errors import (
    DeadlinePassed,
    DependencyDown,
    ImageCorrupt,
    NotSupported,
    SourceForbidden,
    SourceTimeout,
    StoreRefused,
    Superseded,
)
from imagemill.model.job import (
    Batch,
    Callback,
    Delivery,
    Event,
    Job,
    JobSpec,
    Result,
    ResultState,
    State,
    Timings,
    Wanted,
)
from imagemill.model.keys import etag
from imagemill.model.media import Format, Rendition
from imagemill.model.recipe import Encode, Resize
from imagemill.model.request import SourceRef
from imagemill.service.render import Fresh
from imagemill.service.rights import Rights
from imagemill.service.steps import Steps, plan_of
from imagemill.settings import Tenant
from support.store import MemoryStore
from unit.service.cluster import SOURCE
from unit.service.ordering import NOW_S

STORING, STORED = ResultState.STORING, ResultState.STORED


class Renderer:
    """Makes what tells its width; counts runs, and what each was asked for."""

    def __init__(self) -> None:
        self.runs, self.after_s = [], []
        self.error, self.wait_s, self.fail_at, self.closed, self.storable = None, 0.0, 0, 0, True

    async def render_all(self, plans, *, after_s=0.0):
        self.runs.append([plan.recipe[0].width_px for plan in plans])
        self.after_s.append(after_s)
        try:
            for n, plan in enumerate(plans):
                await asyncio.sleep(self.wait_s)
                if self.error and n >= self.fail_at:
                    raise self.error
                body = b"picture %d" % plan.recipe[0].width_px
                made = Rendition(body, Format.WEBP, etag(body), plan.recipe[0].width_px, 7)
                yield Fresh(Entry(made, NOW_S, storable=self.storable, tags=plan.tags), Stages(), 12.5)
        finally:
            self.closed += 1


def job(widths=(1, 2, 3), results=(), **terms) -> Job:
    terms = {"store": "out", "ttl_s": None, **terms}
    renditions = tuple(Wanted(f"w{w}", (Resize(w), Encode(Format.WEBP)), "{job}/{name}.{ext}") for w in widths)
    spec = JobSpec(SOURCE, renditions, **terms)
    return Job("ab" * 16, "acme", spec, State.RUNNING, Timings(NOW_S - 5, NOW_S - 2), results=results)


class World:
    def __init__(self, now_s=NOW_S, **tenants) -> None:
        self.renderer, self.store = Renderer(), MemoryStore(public="https://cdn.example.com/")
        self.told, self.warmed, self.sent = [], [], []
        self.warm_error = self.attempt_error = None
        self.steps = Steps(
            self.renderer,
            {"out": self.store},
            self.warm,
            self.body,
            self.attempt,
            rights=Rights(tenants),
            address_s=60,
            clock=lambda: now_s,
        )

    async def warm(self, plan, entry):
        self.told.append(("warm", plan.key))
        if self.warm_error:
            raise self.warm_error
        self.warmed.append((plan, entry))

    def body(self, delivery, about, found):
        return repr((delivery.id, about.id, found)).encode()

    async def attempt(self, delivery, body):
        self.sent.append((delivery, body))
        if self.attempt_error:
            raise self.attempt_error
        return Delivered(200)

    async def report(self, result):
        self.told.append((result.name, result.state, result.key in self.store.objects))

    async def make(self, job):
        return await self.steps.make(job, self.report)


async def test_what_is_stored():
    """Every rendition, in one run, with its terms; what is told of it is true."""
    world = World()

    work = await world.make(job(ttl_s=DAY_S))

    body, terms = world.store.objects[f"{'ab' * 16}/w2.webp"]
    digest = sha256(b"picture 2").hexdigest()
    assert (body, terms.media_type, terms.cache_control, terms.sha256) == (
        b"picture 2", "image/webp", "public, max-age=86400", digest,
    )  # fmt: skip
    assert work.results[1] == Result(
        "w2", STORED, "out", f"{'ab' * 16}/w2.webp", digest, 9, "image/webp", 2, 7, 1, warmed=False
    )
    assert (world.renderer.runs, len(work.results), work.fetch_ms) == ([[1, 2, 3]], 3, 12.5)
    assert work.make_ms >= 0 or work.fetch_ms > 0


async def test_the_order_of_telling():
    """As `storing` while it is not there, as `stored` when it is; one after the other."""
    world = World()

    await world.make(job((1, 2)))

    assert world.told == [("w1", STORING, False), ("w1", STORED, True), ("w2", STORING, False), ("w2", STORED, True)]


async def test_a_repeat_finds_its_own_work():
    """Nothing is fetched, made or written again."""
    world = World()
    first = await world.make(job())
    world.store.puts.clear()

    again = await world.make(job(results=first.results))

    assert again.results == first.results
    assert (len(world.renderer.runs), world.store.puts) == (1, [])


async def test_a_repeat_makes_what_is_missing():
    """Killed after the second was written and before that was told: the third alone is made."""
    world = World()
    first = await world.make(job())
    one, two, three = first.results
    del world.store.objects[three.key]
    world.store.puts.clear()
    world.told.clear()

    again = await world.make(job(results=(one, replace(two, state=STORING), Result("w3"))))

    assert again.results == first.results
    assert (world.renderer.runs[1:], world.store.puts) == ([[3]], [three.key])
    assert world.told[0] == ("w2", STORED, True)


@pytest.mark.parametrize("spoilt", [b"other bytes", b"picture X"])
async def test_what_lies_there_must_be_what_was_told(spoilt):
    """Other bytes under the same key, even as many: made again."""
    world = World()
    first = await world.make(job((1,)))
    key = first.results[0].key
    world.store.objects[key] = (spoilt, world.store.objects[key][1])

    await world.make(job((1,), results=first.results))

    assert (world.renderer.runs, world.store.objects[key][0]) == ([[1], [1]], b"picture 1")


async def test_a_source_is_asked_for_after_the_job_was_due():
    """A picture that was replaced before the job was sent is the new one."""
    world, late = World(), job()

    await world.make(job())
    await world.make(replace(late, times=replace(late.times, due_s=NOW_S + 100)))

    assert world.renderer.after_s == [NOW_S - 2, NOW_S]


async def test_cache_control():
    world = World()
    world.renderer.storable = False
    await world.make(job((1,), ttl_s=DAY_S))

    assert [terms.cache_control for _, terms in world.store.objects.values()] == ["private, max-age=86400"]
    other = World()
    await other.make(job((1,)))
    assert [terms.cache_control for _, terms in other.store.objects.values()] == [""]


async def test_warm_comes_before_stored():
    """Under the plan that the URL has; a repeat that is not known to have warmed does so."""
    world = World()
    it = job((1,), warm=True, tags=("t",), ttl_s=DAY_S)

    first = await world.make(it)
    again = await world.make(replace(it, results=first.results))
    await world.make(replace(it, results=(replace(first.results[0], state=STORING, warmed=False),)))

    plan = plan_of(it.spec, it.spec.renditions[0])
    assert [t[0] for t in world.told[:3]] == ["w1", "warm", "w1"]
    assert [found for found, _ in world.warmed] == [plan, plan]
    assert (plan.tags, plan.ttl_s, first.results[0].warmed, again.results) == (("t",), DAY_S, True, first.results)


async def test_only_warm():
    """Without a destination nothing is stored; what was warmed is not made again."""
    world = World()

    first = await world.make(job((1,), store="", warm=True))
    await world.make(job((1,), store="", warm=True, results=first.results))

    assert (first.results[0].state, first.results[0].key, first.results[0].store) == (STORED, "", "")
    assert (len(world.warmed), len(world.renderer.runs), world.store.objects) == (1, 1, {})


async def test_what_is_not_warmed_is_not_stored():
    world = World()
    world.warm_error = DependencyDown("away")

    with pytest.raises(DependencyDown):
        await world.make(job((1,), warm=True))

    assert [t[1] for t in world.told if t[0] == "w1"] == [STORING]


@pytest.mark.parametrize("error", [DependencyDown("x"), StoreRefused("x")])
async def test_a_destination_that_fails(error):
    """Nothing is told as stored, and the engine is given up."""
    world = World()
    world.store.error = error

    with pytest.raises(type(error)):
        await world.make(job())

    assert [t[1] for t in world.told] == [STORING]
    assert world.renderer.closed == 1


async def test_what_was_stored_before_an_error_stays():
    world = World()
    world.renderer.error, world.renderer.fail_at = ImageCorrupt("x"), 2

    with pytest.raises(ImageCorrupt):
        await world.make(job())

    assert [(n, s) for n, s, _ in world.told if s is STORED] == [("w1", STORED), ("w2", STORED)]


async def test_what_is_configured_no_more():
    """A store, or the second level, that is gone since: said, and no other is used."""
    with pytest.raises(StoreRefused, match="'gone'"):
        await World().make(job(store="gone"))
    world = World()
    world.steps._warm = None
    with pytest.raises(NotSupported):
        await world.make(job(warm=True))


async def test_whoever_lost_the_job_stops():
    world = World()

    async def report(_):
        raise Superseded("another has it")

    with pytest.raises(Superseded):
        await world.steps.make(job(), report)

    assert (world.store.objects, world.renderer.closed) == ({}, 1)


async def test_a_deadline_that_is_over():
    """Nothing is begun."""
    world = World()

    with pytest.raises(DeadlinePassed, match="0 of 3"):
        await world.make(job(deadline_s=NOW_S))

    assert world.renderer.runs == []


async def test_a_deadline_that_comes():
    """Work stops there, and what it waits for as well."""
    world = World()
    world.renderer.wait_s = 50.0
    begun = time.monotonic()

    with pytest.raises(DeadlinePassed):
        await world.make(job(deadline_s=NOW_S + 0.05))

    assert time.monotonic() - begun < 30
    assert world.renderer.closed == 1


async def test_a_timeout_that_is_not_the_deadlines():
    world = World()
    world.renderer.error = TimeoutError("a bug elsewhere")

    with pytest.raises(TimeoutError, match="a bug elsewhere"):
        await world.make(job(deadline_s=NOW_S + 50))


async def test_cancelling_stops_the_work():
    world = World()
    world.renderer.wait_s = 5.0
    making = asyncio.create_task(world.make(job()))
    await asyncio.sleep(0.02)

    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making

    assert world.renderer.closed == 1


@pytest.mark.parametrize(("unreachable", "kind"), [(True, SourceTimeout), (False, SourceForbidden)])
async def test_nobody_there_passes_and_forbidden_does_not(unreachable, kind):
    """A job can wait for a source that is down; it need not for one that policy refuses."""
    world = World()
    world.renderer.error = SourceForbidden("refused", unreachable=unreachable)

    with pytest.raises(kind) as caught:
        await world.make(job())

    assert caught.value.retryable is unreachable


# callbacks


async def test_a_store_that_is_another_tenants_by_now():
    """J08: a schedule, or what waits since, is held to what settings say when its turn comes, and not before."""
    world = World(acme=Tenant(stores=("sample",)))
    asked = job()

    with pytest.raises(StoreRefused):
        await world.make(asked)

    assert (world.renderer.runs, world.told, world.store.objects) == ([], [], {})
    await World(other=Tenant(stores=("sample",))).make(asked)


async def test_a_source_that_is_another_tenants_by_now():
    """Its store was this one's when the job was accepted."""
    world = World(acme=Tenant(stores=("out",)))
    asked = job()

    with pytest.raises(SourceForbidden):
        await world.make(replace(asked, spec=replace(asked.spec, source=SourceRef("local", "sample/a.jpg"))))

    assert world.renderer.runs == []


async def test_a_secret_that_is_another_tenants_by_now():
    """Nothing is signed with it; what is owed waits, as settings may be mended."""
    world = World(acme=Tenant(secrets=("other",)))

    outcome = await world.steps.deliver(DELIVERY, job())

    assert isinstance(outcome, Again)
    assert world.sent == []


DELIVERY = Delivery("msg_1", "ab" * 16, "acme", Callback("https://x.example.com/", "main"), Event.SUCCEEDED, NOW_S)


async def test_what_is_delivered():
    """The body of the event, with addresses of what is stored; of a batch, with none."""
    world = World()
    done = replace(job((1,)), results=(await world.make(job((1,)))).results)
    batch = Batch("cd" * 16, "acme", "", 1, NOW_S)

    outcomes = [await world.steps.deliver(DELIVERY, about) for about in (done, batch)]

    key = done.results[0].key
    urls = {"w1": (f"local:out/{key}", f"https://cdn.example.com/{key}?good=60")}
    assert outcomes == [Delivered(200)] * 2
    assert [body for _, body in world.sent] == [
        repr(("msg_1", "ab" * 16, urls)).encode(),
        repr(("msg_1", "cd" * 16, {})).encode(),
    ]


async def test_a_delivery_never_raises():
    world = World()
    world.attempt_error = DependencyDown("x")

    assert await world.steps.deliver(DELIVERY, job()) == Again("dependency_down")
