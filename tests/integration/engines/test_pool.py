"""Real worker processes: deadlines, crashes, lies, recycling, confinement (threats D12, D20, D21, L05, L17, O05)."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from imagemill.engines.base import Task
from imagemill.engines.operations.lettering import _is_public
from imagemill.engines.pool import _BACKOFF_S, Pool
from imagemill.engines.process import _ENVIRONMENT, Process
from imagemill.engines.typefaces import home
from imagemill.model.errors import (
    BadOption,
    BadRequest,
    DependencyDown,
    ImageCorrupt,
    ImagemillError,
    LimitExceeded,
    Overloaded,
    ProcessingTimeout,
    SettingsError,
    SourceTooLarge,
    UnsupportedSourceType,
)
from imagemill.model.media import Format
from imagemill.model.recipe import Blur, Crop, Encode, Resize
from imagemill.settings import Engine, Limits

FAULTY = "integration.engines.faulty:main"
PNG = (Resize(8), Encode(Format.PNG))


def picture(size=(32, 24), kind="JPEG", seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


SMALL = picture()


def fault(name, seed=0):
    return picture(seed=seed) + b"#FAULT:" + name.encode()


@asynccontextmanager
async def pool(workers=2, entry=FAULTY, limits=None, **settings):
    events = []
    patient = {"deadline_s": 60.0}  # waiting for a worker counts, and a busy machine has others to start
    made = Pool(Engine(**patient | settings), limits or Limits(), workers=workers, entry=entry, observe=events.append)
    made.events = events
    await made.start()
    try:
        yield made
    finally:
        pids = made.pids()
        await made.close()
        assert not any(exists(pid) for pid in pids)


def exists(pid):
    return Path(f"/proc/{pid}").exists()


def resident_mb(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def most_mb(pid):
    """The most that a process has ever had in memory."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


async def grows_and_gives_back(kind):
    """A large job makes a worker of that *kind* grow; it gives back at least half of that, and still works."""
    source = picture((2600, 2400), "PNG", compress_level=0)
    async with pool(1, entry=f"integration.engines.faulty:{kind}") as p:
        (pid,) = p.pids()
        await run(p, SMALL)
        before = resident_mb(pid)
        await run(p, source, (Resize(2000), Blur(300), Encode(Format.AVIF)))

        grown = most_mb(pid)  # it may have given some back before anybody looks
        assert grown > before + 30
        await until(lambda: resident_mb(pid) < before + (grown - before) / 2)
        assert await outcome(p, SMALL) == 8


def counted(pool):
    return Counter(f"{e.name} {e.reason}".strip() for e in pool.events)


async def run(pool, source, *recipes):
    made = []
    async with aclosing(pool.run(source, [Task(r) for r in recipes or (PNG,)])) as results:
        async for one in results:
            made.append(one)
    return made


async def outcome(pool, source, *recipes):
    try:
        return (await run(pool, source, *recipes))[0].rendition.width_px
    except ImagemillError as e:
        return type(e)


async def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.005)


class TestHandover:
    async def test_several_recipes_of_one_source_come_one_by_one(self):
        """Each rendition is handed back before the next is made, in order."""
        sizes = [20, 10, 16]
        source = picture((64, 48))
        async with pool(1) as p:
            seen = []
            async with aclosing(p.run(source, [Task((Resize(n), Encode(Format.PNG))) for n in sizes])) as results:
                async for made in results:
                    assert p.states["busy"] == 1
                    seen.append(made.rendition.width_px)
                    assert Image.open(BytesIO(made.rendition.body)).width == seen[-1]

            assert seen == sizes
            assert p.states == {"idle": 1, "busy": 0, "starting": 0}

    @pytest.mark.timed
    async def test_the_first_does_not_wait_for_the_last(self):
        """A cheap rendition is in the caller's hands while a dear one is still being made."""
        source = picture((1200, 800))
        tasks = [Task(PNG), Task((Encode(Format.AVIF),))]
        async with pool(1, "imagemill.engines.worker:main", avif_effort=3, deadline_s=60) as p:
            await run(p, source)
            begun = time.monotonic()
            arrived = []
            async with aclosing(p.run(source, tasks)) as results:
                async for _ in results:
                    arrived.append(time.monotonic() - begun)

            assert arrived[0] < arrived[1] / 2

    async def test_every_recipe_is_judged_before_the_first_is_made(self):
        """One recipe that cannot be done ends the run before any pixel."""
        async with pool(1) as p:
            got = []
            with pytest.raises(BadOption):
                got += await run(p, SMALL, PNG, (Crop(1, 1, 99, 99), Encode()), PNG)
            assert got == []
            assert await outcome(p, SMALL) == 8

    async def test_large_source_and_output(self):
        """Megabytes go both ways, again and again, and pages are given back."""
        source = picture((2200, 1400), "PNG", compress_level=0)
        async with pool(1) as p:
            bodies = {(await run(p, source, (Encode(Format.PNG),)))[0].rendition.body for _ in range(3)}

            assert len(source) > 8_000_000
            assert len(bodies) == 1
            assert len(bodies.pop()) > 8_000_000
            assert await outcome(p, SMALL) == 8

    async def test_memory_comes_back(self):
        """After a large job an idle worker and its shared memory are back where they were, and it still works."""
        await grows_and_gives_back("soon_idle")

    async def test_animation_passes(self):
        """Frames are kept through a worker."""
        frames = [Image.new("RGB", (40, 30), (n * 20, 255 - n * 20, 90)) for n in range(6)]
        out = BytesIO()
        frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=70, loop=3)
        async with pool(1) as p:
            (made,) = await run(p, out.getvalue(), (Resize(20), Encode(Format.WEBP)))

            assert made.rendition.frames == Image.open(BytesIO(made.rendition.body)).n_frames == 6

    async def test_refused_before_any_worker(self):
        """A source beyond the limit, and more tasks than a packet holds, cost nobody a worker."""
        async with pool(1, limits=Limits(source_bytes=2000)) as p:
            with pytest.raises(SourceTooLarge, match="2001 > 2000"):
                await run(p, bytes(2001))
            with pytest.raises(BadRequest, match="too many"):
                await run(p, SMALL[:1500], *[(Resize(n + 1), Blur(1), Encode()) for n in range(3000)])
            assert p.states == {"idle": 1, "busy": 0, "starting": 0}
            assert not p.events

    @pytest.mark.parametrize("source", [b"", b"\0", b"not a picture", b"\xff\xd8\xff"])
    async def test_no_picture(self, source):
        """What is no picture is named so, and the worker lives on."""
        async with pool(1) as p:
            assert await outcome(p, source) in {UnsupportedSourceType, ImageCorrupt}
            assert not p.events

    async def test_output_bytes_limit(self):
        """A rendition beyond `limits.output_bytes` is refused by name, and the worker lives on."""
        async with pool(1, limits=Limits(output_bytes=10_000)) as p:
            with pytest.raises(LimitExceeded) as caught:
                await run(p, picture((300, 200)), (Encode(Format.PNG),))
            assert caught.value.limit == "output_bytes"
            assert await outcome(p, SMALL) == 8
            assert not p.events

    async def test_out_of_memory_is_a_limit(self):
        """An allocation beyond the address space ends the job, not the worker."""
        async with pool(1) as p:
            with pytest.raises(LimitExceeded) as caught:
                await run(p, fault("memory"))
            assert caught.value.limit == "memory"
            assert await outcome(p, SMALL) == 8
            assert not p.events

    async def test_unforeseen_error_says_nothing(self):
        """Whatever the engine raises, the caller hears of a corrupt picture and no more."""
        async with pool(1) as p:
            with pytest.raises(ImageCorrupt) as caught:
                await run(p, fault("raise"))
            assert "secret" not in str(caught.value)
            assert await outcome(p, SMALL) == 8


class TestDeadline:
    @pytest.mark.timed
    async def test_killed_at_the_deadline(self):
        """D21: the answer comes within 250 ms of the deadline, and the slot is full again within 1 s."""
        source = picture((3000, 2000), quality=95)
        heavy = (Encode(Format.AVIF),)
        real = "imagemill.engines.worker:main"
        async with pool(1, real, Limits(cpu_s=1000), deadline_s=0.4, avif_effort=3) as p:
            (pid,) = p.pids()
            begun = time.monotonic()
            with pytest.raises(ProcessingTimeout):
                await run(p, source, heavy)
            answered = time.monotonic()
            await until(lambda: p.states["idle"] == 1, 1.0)

            assert 0.35 < answered - begun < 0.65
            assert not exists(pid)
            assert counted(p) == {"restart deadline": 1}
            assert await outcome(p, SMALL) == 8

    @pytest.mark.timed
    @pytest.mark.parametrize("kind", ["sleep", "spin"])
    async def test_a_worker_that_hangs(self, kind):
        """Sleeping or spinning: the deadline ends both."""
        async with pool(1, deadline_s=0.3) as p:
            begun = time.monotonic()
            assert await outcome(p, fault(kind)) is ProcessingTimeout
            assert time.monotonic() - begun < 0.55
            await until(lambda: p.states["idle"] == 1, 1.0)

    async def test_work_that_spins_is_not_tried_for_ever(self, monkeypatch):
        """L17: the same work that used its whole time twice is refused at once; other work of that source is not."""
        # on a busy machine not every deadline is spent computing
        monkeypatch.setattr(Process, "job_cpu_s", lambda _process: 0.3)
        async with pool(1, deadline_s=0.3) as p:
            for _ in range(50):
                assert await outcome(p, fault("spin")) is ProcessingTimeout
                await until(lambda: p.states["idle"] == 1)

            assert counted(p) == {"restart deadline": 2, "poison": 48}
            assert await outcome(p, fault("spin"), (Resize(9), Encode())) is ProcessingTimeout
            assert counted(p)["restart deadline"] == 3

    @pytest.mark.parametrize(("kind", "computes"), [("spin", True), ("sleep", False)])
    async def test_what_a_job_computes_is_told(self, kind, computes):
        """Of its worker, since it was offered; waiting counts for nothing."""
        async with pool(1, deadline_s=60) as p:
            assert await outcome(p, SMALL) == 8
            (process,) = p._idle
            begun = process._cpu_s()
            job = asyncio.create_task(outcome(p, fault(kind)))
            await until(lambda: not p.states["idle"] and process.taken)

            if computes:
                await until(lambda: process.job_cpu_s() > 1.0, 60)
                assert process.job_cpu_s() <= process._cpu_s() - begun
            else:
                await asyncio.sleep(0.5)
                assert process.job_cpu_s() < 0.25
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    async def test_work_that_waited_is_tried_again(self):
        """A deadline that passed without computing says nothing against the source."""
        async with pool(1, deadline_s=0.2) as p:
            for _ in range(3):
                assert await outcome(p, fault("sleep")) is ProcessingTimeout
                await until(lambda: p.states["idle"] == 1)
            assert counted(p) == {"restart deadline": 3}

    @pytest.mark.timed  # the last picture has 0.2 s
    async def test_no_worker_free_in_time(self):
        """Waiting for a worker counts; who waits too long hears of the crowd, which says nothing against the work."""
        async with pool(1, deadline_s=0.2) as p:
            holder = await p._take(time.monotonic() + 1)
            assert await outcome(p, SMALL) is Overloaded
            p._settle(holder)

            assert await outcome(p, SMALL) == 8
            assert counted(p) == {}

    @pytest.mark.timed
    async def test_cpu_limit(self):
        """RLIMIT_CPU ends what the wall clock does not, and counts as time, not as a crash."""
        async with pool(1, deadline_s=10, limits=Limits(cpu_s=0.1)) as p:
            begun = time.monotonic()
            assert await outcome(p, fault("spin")) is ProcessingTimeout
            assert time.monotonic() - begun < 6
            assert counted(p)["crash"] == 0


class TestCrash:
    @pytest.mark.parametrize("kind", ["segv", "abort", "exit", "nonsense", "early", "lie-length", "lie-nothing",
                                      "lie-format", "lie-etag", "lie-time", "lie-negative", "lie-type"])  # fmt: skip
    async def test_only_the_bad_one_is_lost(self, kind):
        """D12: with 50 others in flight, the source that kills (or makes its worker lie) is ImageCorrupt, 0 are lost."""
        others = [picture((16 + n, 16), seed=n) for n in range(50)]
        async with pool(2) as p:
            jobs = [asyncio.create_task(outcome(p, o)) for o in others[:25]]
            bad = asyncio.create_task(outcome(p, fault(kind)))
            jobs += [asyncio.create_task(outcome(p, o)) for o in others[25:]]
            async with asyncio.timeout(100):
                assert await bad is ImageCorrupt
                assert await asyncio.gather(*jobs) == [8] * 50

            await until(lambda: p.states["idle"] == 2)
            assert counted(p) == {"crash": 2, "restart crash": 2}

    @pytest.mark.timed
    async def test_a_bomb_is_decoded_at_most_twice(self):
        """L17: a thousand asks, two decodes; refusals cost next to nothing and need no worker."""
        bomb = fault("segv")
        async with pool(2) as p:
            begun = time.monotonic()
            assert [await outcome(p, bomb) for _ in range(1000)] == [ImageCorrupt] * 1000

            assert time.monotonic() - begun < 3
            assert counted(p) == {"crash": 2, "restart crash": 2, "poison": 999}
            assert await outcome(p, bomb[:-4] + b"none") == 8, "same length, other bytes"

    async def test_poison_is_refused_without_a_worker(self):
        """L17: a source known to kill is refused at once, even while every worker is busy."""
        bomb = fault("segv")
        async with pool(1) as p:
            assert await outcome(p, bomb) is ImageCorrupt
            await until(lambda: p.states["idle"] == 1)
            holder = asyncio.create_task(outcome(p, fault("sleep")))
            await until(lambda: p.states["busy"] == 1)
            assert await outcome(p, bomb) is ImageCorrupt

            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)

    async def test_a_bomb_asked_for_at_once(self):
        """L17: those who waited while it went off twice are refused, too."""
        bomb = fault("segv")
        async with pool(1) as p:
            async with asyncio.timeout(100):
                assert await asyncio.gather(*(outcome(p, bomb) for _ in range(100))) == [ImageCorrupt] * 100

            assert counted(p) == {"crash": 2, "restart crash": 2, "poison": 99}

    async def test_a_large_bomb_does_not_hold_the_loop(self):
        """L17, L19: telling a large bomb by its hash is left to a thread; the loop goes on meanwhile."""
        bomb = SMALL + bytes(30 << 20) + b"#FAULT:segv"
        async with pool(1) as p:
            assert await outcome(p, bomb) is ImageCorrupt
            turns = 0

            async def count():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            counting = asyncio.create_task(count())
            await asyncio.sleep(0)
            begun = turns
            assert await outcome(p, bomb) is ImageCorrupt
            counting.cancel()

            assert counted(p)["poison"] == 1
            assert turns - begun > 20

    async def test_poison_wears_off(self, monkeypatch):
        """After `engine.poison_s` the source is tried again."""
        now = 0.0
        monkeypatch.setattr("imagemill.engines.poison.time", SimpleNamespace(monotonic=lambda: now))
        async with pool(1, poison_s=4) as p:
            await outcome(p, fault("exit"))
            now = 3.9
            assert await outcome(p, fault("exit")) is ImageCorrupt
            assert counted(p)["poison"] == 1
            now = 4.1
            await outcome(p, fault("exit"))
            assert counted(p)["crash"] == 4

    async def test_idle_workers_killed_from_outside(self):
        """kill -9 of idle workers loses nothing and is repaired at once."""
        async with pool(4) as p:
            before = p.pids()
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            assert await asyncio.gather(*(outcome(p, SMALL) for _ in range(10))) == [8] * 10
            await until(lambda: p.states["idle"] == 4)

            assert not set(before) & set(p.pids())
            assert counted(p) == {"crash": 4, "restart crash": 4}

    @pytest.mark.timed  # the kill has to come while the job is under way
    async def test_busy_worker_killed_from_outside(self):
        """kill -9 of a busy worker: its job is done by another, and the source is not held guilty."""
        async with pool(2) as p:
            job = asyncio.create_task(outcome(p, fault("slow")))
            await until(lambda: p.states["busy"] == 1)
            idle = {process.pid for process in p._idle}
            (busy,) = set(p.pids()) - idle
            await asyncio.sleep(0.05)
            os.kill(busy, signal.SIGKILL)

            assert await job == 8
            assert await outcome(p, fault("slow")) == 8
            assert counted(p) == {"crash": 1, "restart crash": 1}

    @pytest.mark.timed  # the kill has to come while the job is under way
    async def test_a_first_kill_from_outside_is_nobodys_guilt(self):
        """Of two SIGKILLs under one job only the second is held against its source: the job is still done."""
        async with pool(1) as p:
            job = asyncio.create_task(outcome(p, fault("slow")))
            for _ in range(2):
                await until(lambda: p.states["busy"] == 1)
                (busy,) = p.pids()
                await asyncio.sleep(0.05)
                os.kill(busy, signal.SIGKILL)
                await until(lambda: busy not in p.pids())  # noqa: B023

            assert await job == 8

    async def test_rest_of_a_run_goes_to_another_worker(self):
        """A worker that dies between two renditions: the first is not made again, the second comes from another."""
        source = picture((64, 48))
        async with pool(2) as p:
            widths = []
            async with aclosing(
                p.run(source, [Task((Resize(n), Encode(Format.PNG))) for n in (30, 20, 10)])
            ) as results:
                async for made in results:
                    widths.append(made.rendition.width_px)
                    if len(widths) == 1:
                        (busy,) = set(p.pids()) - {process.pid for process in p._idle}
                        os.kill(busy, signal.SIGKILL)
                        await until(lambda: not running(busy))  # noqa: B023
            assert widths == [30, 20, 10]


def running(pid):
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    return False


class TestRecycling:
    async def test_after_max_jobs(self):
        """A worker is replaced after `max_jobs`, between jobs."""
        async with pool(1, max_jobs=3) as p:
            seen = []
            for _ in range(7):
                await until(lambda: p.states["idle"] == 1)
                seen += p.pids()
                assert await outcome(p, SMALL) == 8
            assert len(set(seen)) == 3
            assert counted(p) == {"restart recycled": 2}

    async def test_above_the_rss_bound(self):
        """A worker that kept too much memory is replaced after its job."""
        async with pool(1, max_rss_bytes=60 * 2**20) as p:
            assert await outcome(p, SMALL) == 8
            assert not p.events
            assert await outcome(p, fault("grow")) == 8
            assert counted(p) == {"restart recycled": 1}
            await until(lambda: p.states["idle"] == 1)


class TestCancellation:
    @pytest.mark.timed
    async def test_unwanted_work_is_ended(self):
        """L05: what nobody wants any more is gone within 500 ms, and the slot is full again."""
        async with pool(1) as p:
            (pid,) = p.pids()
            job = asyncio.create_task(run(p, fault("sleep")))
            await until(lambda: p.states["busy"] == 1)
            await asyncio.sleep(0.05)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            begun = time.monotonic()
            await until(lambda: not exists(pid), 0.5)

            assert time.monotonic() - begun < 0.5
            await until(lambda: p.states["idle"] == 1, 1.0)
            assert counted(p) == {"restart cancelled": 1}

    async def test_unwanted_work_that_ends_soon_keeps_its_worker(self):
        """Within the grace a worker finishes and is used again: killing costs more than finishing."""
        async with pool(1, cancel_grace_s=30) as p:
            before = p.pids()
            job = asyncio.create_task(run(p, fault("slow")))
            await until(lambda: p.states["busy"] == 1)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            assert await outcome(p, SMALL) == 8

            assert p.pids() == before
            assert not p.events

    async def test_leaving_between_two_renditions(self):
        """A caller that leaves after the first of many: the rest is not made."""
        async with pool(1) as p:
            async with aclosing(p.run(SMALL, [Task(PNG)] * 3)) as results:
                async for _ in results:
                    break
            assert await outcome(p, SMALL) == 8
            await until(lambda: p.states["idle"] == 1)

    async def test_leaving_the_queue(self):
        """Who leaves while waiting takes no worker with him, at whatever moment."""
        async with pool(1, cancel_grace_s=30) as p:
            for delay in (0.0, 0.05, 0.12, 0.15, 0.16, 0.2):
                holder = asyncio.create_task(outcome(p, fault("slow")))
                await asyncio.sleep(0)
                waiter = asyncio.create_task(outcome(p, SMALL))
                await asyncio.sleep(delay)
                waiter.cancel()
                await asyncio.gather(waiter, return_exceptions=True)
                assert await holder == 8
                await until(lambda: p.states["idle"] == 1)
            assert not p.events

    async def test_called_while_an_exception_is_handled(self):
        """A worker that was waited for inside an ``except`` block is not given to two callers."""
        async with pool(1) as p:

            async def inside():
                try:
                    raise KeyError
                except KeyError:
                    return await outcome(p, fault("slow"))

            assert await asyncio.gather(*(inside() for _ in range(4))) == [8] * 4
            assert p.states == {"idle": 1, "busy": 0, "starting": 0}


class TestConfinement:
    async def test_as_the_kernel_sees_it(self):
        """O05: environment, privileges, limits and descriptors of an idle worker."""
        async with pool(1) as p:
            await run(p, SMALL)
            (pid,) = p.pids()
            proc = Path(f"/proc/{pid}")
            environment = {e.split(b"=")[0].decode() for e in (proc / "environ").read_bytes().split(b"\0") if e}
            status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
            limits = {line[:26].strip(): line[26:].split()[:2] for line in (proc / "limits").read_text().splitlines()}

            assert environment == set(_ENVIRONMENT)
            assert status["NoNewPrivs"].strip() == "1"
            assert status["Threads"].strip() == "1" or int(status["Threads"]) < 8
            assert limits["Max core file size"] == ["0", "0"]
            assert limits["Max address space"] == [str(2 << 30)] * 2
            assert limits["Max open files"] == ["64", "64"]
            assert limits["Max file size"] == [str(64 << 20)] * 2
            assert limits["Max cpu time"][0] != "unlimited"
            assert (proc / "cwd").readlink() == Path("/")
            assert os.getsid(pid) == pid

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    async def test_not_root(self):
        """A service started as root has workers that are nobody, in no group."""
        async with pool(1) as p:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{p.pids()[0]}/status").read_text().splitlines())
            assert status["Uid"].split() == ["65534"] * 4
            assert status["Gid"].split() == ["65534"] * 4
            assert status["Groups"].split() == []
            assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0

    async def test_no_descriptor_of_ours(self):
        """Only standard streams, the socket, the two (sealed) memories and /proc/self/statm; fonts of ours that are private."""
        with Path("/dev/zero").open("rb") as secret:
            os.set_inheritable(secret.fileno(), True)
            async with pool(2) as p:
                for pid in p.pids():
                    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
                    assert sum(link.startswith("socket:") for link in links) == 1
                    rest = {link.split(" ")[0] for link in links if not link.startswith(("socket:", "anon_inode:"))}
                    ours = {"/memfd:stderr", "/memfd:source", "/memfd:output"}
                    fonts = {str(path) for path in home().glob("*.ttf") if not _is_public(path)}
                    assert rest <= {"/dev/null", f"/proc/{pid}/statm"} | ours | fonts

    async def test_dies_with_its_parent(self):
        """A front that is killed leaves no worker behind, not even a busy one."""
        program = (
            "import asyncio, sys\n"
            f"sys.path[:0] = {sys.path!r}\n"
            "from integration.engines.test_pool import FAULTY, Engine, Limits, Pool, fault, run\n"
            "async def main():\n"
            "    p = Pool(Engine(), Limits(), workers=2, entry=FAULTY)\n"
            "    await p.start()\n"
            "    print(*p.pids(), flush=True)\n"
            "    await run(p, fault('sleep'))\n"
            "asyncio.run(main())\n"
        )
        front = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
        pids = [int(n) for n in (await front.stdout.readline()).split()]
        assert len(pids) == 2
        await asyncio.sleep(0.2)
        assert all(running(pid) for pid in pids)
        front.kill()
        await front.wait()
        await until(lambda: not any(running(pid) for pid in pids))


class TestLife:
    async def test_failed_start_says_why(self):
        """A worker that cannot start: the pool does not, and says its last words; nothing is left."""
        p = Pool(Engine(), Limits(), workers=2, entry="integration.engines.faulty:stillborn")
        with pytest.raises(SettingsError, match="no library anywhere"):
            await p.start()
        assert p.pids() == []

    async def test_crash_loop_backs_off(self, monkeypatch):
        """L17: workers that die before their first job are replaced more and more patiently."""
        monkeypatch.setattr("imagemill.engines.pool._BACKOFF_S", (0.0, 0.0, 60.0))
        events = []
        p = Pool(Engine(), Limits(), workers=1, entry="integration.engines.faulty:short_lived", observe=events.append)
        p.events = events
        await p.start()
        await until(lambda: counted(p)["crash"] == 2)
        await asyncio.sleep(1.5)

        assert counted(p)["crash"] == 2
        assert (p.alive, p.states["starting"]) == (False, 1)
        await p.close()

    async def test_backing_off_grows_and_ends_with_a_job(self):
        """Each wait is at least as long as the one before; a worker that lived to do a job starts anew at none."""
        assert list(_BACKOFF_S) == sorted(_BACKOFF_S)
        assert (_BACKOFF_S[0], _BACKOFF_S[-1]) == (0.0, 5.0)
        async with pool(1) as p:
            p._short_lives = 3
            assert await outcome(p, SMALL) == 8
            assert p._short_lives == 0

    @pytest.mark.timed
    async def test_close_while_busy_and_waiting(self):
        """Closing answers everyone at once with `DependencyDown` and leaves no process, not even a zombie."""
        events = []
        p = Pool(Engine(), Limits(), workers=2, entry=FAULTY, observe=events.append)
        await p.start()
        pids = p.pids()
        jobs = [asyncio.create_task(outcome(p, fault("sleep", seed=n))) for n in range(6)]
        await until(lambda: p.states["busy"] == 2)
        begun = time.monotonic()
        await p.close()

        async with asyncio.timeout(1):
            assert await asyncio.gather(*jobs) == [DependencyDown] * 6
        assert time.monotonic() - begun < 1
        assert not any(exists(pid) for pid in pids)
        assert await outcome(p, SMALL) is DependencyDown
        assert not events

    async def test_no_descriptors_left(self):
        """Opening, killing, recycling and closing leak no descriptor in the front."""
        await self._life()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            await self._life()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before

    async def _life(self):
        async with pool(1, max_jobs=2) as p:
            for source in (SMALL, SMALL, SMALL, fault("exit")):
                await outcome(p, source)

    async def test_versions(self):
        """O07: what is in force is told at start."""
        async with pool(1, entry="imagemill.engines.worker:main") as p:
            assert tuple(map(int, p.versions["libvips"].split("."))) >= (8, 18, 3)
            assert all(number[0].isdigit() for number in p.versions.values())
            assert {"dlib", "ssimulacra2", "pi-heif", "pillow-jxl-plugin"} <= p.versions.keys()


@pytest.mark.timed  # each rendition has 0.6 s to spare
async def test_each_rendition_of_a_run_has_a_deadline_of_its_own():
    """Several that are in time are, however long they take together; so is what their reader does in between."""
    async with pool(1, deadline_s=1.0) as p:
        made = []
        async for one in p.run(fault("each-sleeps"), [Task(PNG)] * 4):
            made.append(one)
            await asyncio.sleep(0.1)

        assert len(made) == 4
        assert not p.events


async def test_each_rendition_of_a_run_has_a_budget_of_its_own():
    async with pool(1, deadline_s=30.0, limits=Limits(cpu_s=1.0)) as p:
        made = [one async for one in p.run(fault("each-burns"), [Task(PNG)] * 6)]

        assert len(made) == 6
        assert not p.events
