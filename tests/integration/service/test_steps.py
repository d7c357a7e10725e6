"""Jobs on real workers: one fetch and one decode for all, and a repeat that finds what is there."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256

import pytest
from msgspec.structs import replace
from PIL import Image

from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purges
from imagemill.cache.redis import RedisCache
from imagemill.dialects.native import Native
from imagemill.engines.pool import Pool
from imagemill.jobs.base import Delivered
from imagemill.model.errors import DeadlinePassed, ProcessingTimeout, UnsupportedSourceType
from imagemill.model.job import Job, JobSpec, Result, ResultState, State, Timings, Wanted
from imagemill.model.media import Format
from imagemill.model.recipe import Blur, Encode, Resize
from imagemill.model.request import SourceRef
from imagemill.net import guard
from imagemill.service.gate import Gate
from imagemill.service.origin import Origin
from imagemill.service.render import Renderer
from imagemill.service.rights import Rights
from imagemill.service.steps import Steps
from imagemill.service.warm import Warmer
from imagemill.settings import Cache, Engine, Level2, Limits, Secret
from imagemill.settings import Gate as GateSettings
from imagemill.storage.base import Blob
from support.node import PHOTO, SourceServer, serving
from support.nodes import entered, image, renders, tier
from support.redis import Server, standalone
from support.store import MemoryStore

WIDTHS = (640, 480, 320, 240, 160, 80)


class Source:
    """One picture, and how often it was asked for."""

    def __init__(self, body: bytes = PHOTO) -> None:
        self.body, self.asked = body, 0

    async def get(self, _key, /, *, limit, known=None):
        self.asked += 1
        return Blob(self.body, "v1")


class Counted:
    """The pool, and what each run took to decode: only the first rendition of one has a time to probe."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.runs, self.probes = pool, 0, []

    async def run(self, source, tasks, layers):
        self.runs += 1
        async for made in self.pool.run(source, tasks, layers):
            self.probes.append(made.stages.probe_ms)
            yield made


class World:
    def __init__(self, pool: Pool, source: Source, warm=None, version=0) -> None:
        self.engine, self.source, self.store, self.told = Counted(pool), source, MemoryStore(), []
        self.gate = Gate(GateSettings(wait_s=60), pool.size)
        caches = [MemoryCache(100_000_000, 60, lambda _: 1) for _ in range(2)]
        origin = Origin(source, {}, {}, *caches, Purges(10), Cache(), limit=Limits().source_bytes)
        renderer = Renderer(origin, self.engine, self.gate, Cache(), lambda: version)
        self.steps = Steps(
            renderer, {"out": self.store}, warm, lambda *_: b"", self.attempt, rights=Rights(), address_s=60
        )

    async def attempt(self, _delivery, _body):
        return Delivered(200)

    async def report(self, result: Result) -> None:
        self.told.append(result)

    async def make(self, job: Job):
        return await self.steps.make(job, self.report)


def job(*recipes, **terms) -> Job:
    recipes = recipes or [(Resize(w), Encode(Format.WEBP)) for w in WIDTHS]
    renditions = tuple(Wanted(f"r{n}", recipe, "{name}.{ext}") for n, recipe in enumerate(recipes))
    spec = JobSpec(SourceRef("https", "https://example.com/a.jpg"), renditions, **{"store": "out", **terms})
    return Job("ab" * 16, "acme", spec, State.RUNNING, Timings(time.time()))


@asynccontextmanager
async def pool(**engine) -> AsyncIterator[Pool]:
    running = Pool(Engine(**{"deadline_s": 60} | engine), Limits(cpu_s=80_000), workers=1)
    await running.start()
    try:
        yield running
    finally:
        await running.close()


def noise(side: int) -> bytes:
    """A picture that is dear to encode."""
    out = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(out, "JPEG")
    return out.getvalue()


async def test_one_fetch_and_one_decode_for_six_renditions():
    """And a repeat does neither, whatever of the telling was lost."""
    async with pool() as running:
        world = World(running, Source())
        it = job()

        work = await world.make(it)

        assert (world.source.asked, world.engine.runs) == (1, 1)
        assert [probe > 0 for probe in world.engine.probes] == [True] + [False] * 5
        sizes = [Image.open(io.BytesIO(world.store.objects[f"r{n}.webp"][0])).size[0] for n in range(6)]
        assert sizes == list(WIDTHS) == [result.width_px for result in work.results]

        told = tuple(replace(r, state=ResultState.STORING) for r in work.results)
        again = await world.make(replace(it, results=told))

    assert again.results == work.results
    assert (world.source.asked, world.engine.runs, len(world.store.puts)) == (1, 1, 6)


async def test_a_half_done_job_goes_on():
    """Two of six are there, one was told of and never written: four are made, of one decode.

    Of a smaller one, as the largest are there: that may change bytes, so what is told is told anew.
    """
    async with pool() as running:
        world = World(running, Source())
        it = job()
        done = (await world.make(it)).results
        for result in done[2:]:
            del world.store.objects[result.key]
        told = (done[0], replace(done[1], state=ResultState.STORING), replace(done[2], state=ResultState.STORING))

        again = await world.make(replace(it, results=told))

    assert (again.results[:2], [r.width_px for r in again.results]) == (done[:2], list(WIDTHS))
    assert (world.engine.runs, len(world.engine.probes), len(world.store.puts)) == (2, 10, 10)
    assert all(sha256(world.store.objects[r.key][0]).hexdigest() == r.sha256 for r in again.results)


async def test_a_deadline_is_still_kept():
    async with pool(deadline_s=0.3, avif_effort=9) as running:
        with pytest.raises(ProcessingTimeout):
            await World(running, Source(noise(2_000))).make(job((Encode(Format.AVIF),)))


async def until_busy(running: Pool) -> None:
    async with asyncio.timeout(10):
        while not running.states["busy"]:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)


async def free(running: Pool) -> float:
    """How long it takes until nothing is done any more."""
    begun = time.monotonic()
    async with asyncio.timeout(10):
        while running.states["busy"]:
            await asyncio.sleep(0.005)
    return time.monotonic() - begun


@pytest.mark.timed
async def test_cancelling_stops_work_within_a_second():
    """Also work that libvips would not stop doing (J07)."""
    async with pool(avif_effort=9) as running:
        world = World(running, Source(noise(3_000)))
        making = asyncio.create_task(world.make(job((Blur(9_000), Encode(Format.AVIF)))))
        await until_busy(running)

        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

        assert await free(running) < 1.0
        assert (world.told, world.gate._free) == ([], 1)


@pytest.mark.timed
async def test_a_deadline_stops_work_within_a_second():
    async with pool(avif_effort=9) as running:
        world = World(running, Source(noise(3_000)))
        begun = time.time()

        with pytest.raises(DeadlinePassed):
            await world.make(job((Blur(9_000), Encode(Format.AVIF)), deadline_s=begun + 0.5))

        assert time.time() - begun < 1.5
        assert await free(running) < 1.0


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 500,
        b"\x1a\x45\xdf\xa3" + b"\0" * 500,
        b"RIFF\0\0\0\0AVI " + b"\0" * 99,
    ],
)
async def test_video_is_known_by_its_first_bytes(body):
    async with pool() as running:
        with pytest.raises(UnsupportedSourceType):
            await World(running, Source(body)).make(job())


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with standalone(tmp_path_factory.mktemp("redis")) as server:
        yield server


async def test_what_is_warmed_is_a_hit_of_the_second_level(tmp_path, redis: Server, source: SourceServer):
    """A node that has never seen the picture answers from L2: it renders nothing, and asks the source nothing."""
    source.bodies["/warm.jpg"] = PHOTO
    l2 = Level2(url=Secret(redis.url), timeout_s=1.0)
    parsed = Native(Limits(), lambda url: guard.parse(url).url).parse(b"source=http://x/&width=40&format=webp")
    wanted = Wanted("a", parsed.recipe, "")
    spec = JobSpec(SourceRef("http", source.url("/warm.jpg")), (wanted,), warm=True, tags=("set",))
    node_here = serving(tmp_path, sources=source.allowed(), l2={"url": redis.url, "timeout_s": 1.0})

    async with entered(node_here) as node, pool() as running:
        shared = RedisCache(l2, stale_s=3_600, negative_s=10)
        await shared.start()
        try:
            warmer = Warmer(shared, Purges(10), Cache(), shared_bytes=l2.max_bytes, wait_s=5)
            world = World(running, Source(), warmer.warm, version=100_000_000)
            warmed = await world.make(replace(job(), spec=spec))
        finally:
            await shared.close()
        first, second = [await asyncio.to_thread(node.get, image(source, "/warm.jpg")) for _ in range(2)]
        rendered = await asyncio.to_thread(renders, [node])

    assert (tier(first), tier(second), rendered, source.asked("/warm.jpg")) == ("L2", "L1", 0, 0)
    assert warmed.results[0].warmed
    assert sha256(first.body).hexdigest() == warmed.results[0].sha256
