"""L01: the gate under open load, in virtual time: real code, and every figure the same each time."""

import asyncio
import random

import pytest

from imagemill.model.errors import Overloaded
from imagemill.service.gate import Gate
from imagemill.settings import Gate as Settings
from support.virtual_time import run

SERVICE_S = 0.03


class Load:
    """Renders that come at their time, whatever became of the ones before."""

    def __init__(self, slots, seed=1, **settings):
        self.gate = Gate(Settings(**settings), slots)
        self.slots, self.draw = slots, random.Random(seed)
        self.took_s, self.refused_s, self.retry_after_s = [], [], set()
        self.service_s = SERVICE_S

    @property
    def capacity(self):
        return self.slots / SERVICE_S

    async def one(self, fetch_s=0.0):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            self.gate.check()
            await asyncio.sleep(fetch_s)
            async with self.gate.slot():
                await asyncio.sleep(self.service_s * self.draw.uniform(0.7, 1.3))
        except Overloaded as e:
            self.retry_after_s.add(e.retry_after_s)
            self.refused_s.append(loop.time() - begun)
        else:
            self.took_s.append(loop.time() - begun)

    async def step(self, times, seconds):
        """*times* the capacity for so long; how long each took that was admitted, and each that was refused."""
        self.took_s, self.refused_s = [], []
        loop, tasks = asyncio.get_running_loop(), []
        end = loop.time() + seconds
        while loop.time() < end:
            await asyncio.sleep(self.draw.expovariate(times * self.capacity))
            tasks.append(asyncio.create_task(self.one()))
        await asyncio.gather(*tasks)
        return sorted(self.took_s), sorted(self.refused_s)

    async def burst(self, count, within_s):
        tasks = []
        for _ in range(count):
            tasks.append(asyncio.create_task(self.one()))
            await asyncio.sleep(within_s / count)
        await asyncio.gather(*tasks)


def at(times, share):
    return times[int(len(times) * share)]


@pytest.mark.parametrize(("slots", "times"), [(1, 3), (1, 10), (2, 3), (8, 3)])
def test_overload(slots, times):
    """A minute, its beginning included: the p99 of the admitted at most doubled, full goodput, refusals at once."""

    async def work():
        load = Load(slots)
        alone, _ = await load.step(0.05, 100 / slots)
        flood = await load.step(times, 60)
        return at(alone, 0.99), *flood, load.capacity * 60, load.retry_after_s

    alone_p99, took, refused, most, retry_after_s = run(work())

    assert at(took, 0.99) <= 2 * alone_p99
    assert len(took) >= 0.9 * most
    assert at(refused, 0.95) == 0
    assert refused[-1] < 1.0
    assert min(retry_after_s) >= 1


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_after_the_flood(slots):
    """Just below what can be done, nearly all is done, within seconds; at half of it, all is."""

    async def work():
        load = Load(slots)
        await load.step(10, 4)
        await load.step(0.9, 5)
        later = await load.step(0.9, 30)
        least = await load.step(0.5, 30)
        return *later, *least

    took, refused, _, at_half = run(work())

    assert len(refused) <= 0.04 * len(took)
    assert at_half == []


@pytest.mark.parametrize(("count", "within_s"), [(60, 0.0), (50, 0.25), (100, 1.4)])
def test_a_burst_waits(count, within_s):
    """A page full of pictures that nobody has seen yet: each is made, also where stragglers come while it is worked off."""

    async def work():
        load = Load(2)
        await load.burst(count, within_s)
        await asyncio.gather(load.burst(60, 0.0), load.burst(8, 0.8))
        return load

    load = run(work())

    assert load.refused_s == []
    assert len(load.took_s) == count + 68


@pytest.mark.parametrize("clients", [3, 6, 20, 60])
def test_clients_that_wait_for_their_answers(clients):
    """However long their queue stands, as many come as are done: nobody is refused."""

    async def work():
        load = Load(2)

        async def client():
            for _ in range(1000 // clients):
                await load.one()

        await asyncio.gather(*(client() for _ in range(clients)))
        return load

    assert run(work()).refused_s == []


@pytest.mark.parametrize("service_s", [0.03, 0.1])
@pytest.mark.parametrize(("browsers", "connections", "every_s"), [(2, 6, 0.5), (4, 6, 0.5), (2, 12, 0.4), (2, 30, 0.4)])
def test_galleries_that_are_opened_one_after_the_other(service_s, browsers, connections, every_s):
    """Each browser asks for its next pictures as it gets the last: another one that begins meanwhile is no flood."""

    async def work():
        load = Load(2)
        load.service_s = service_s

        async def browser(n):
            await asyncio.sleep(n * every_s)
            pictures = iter(range(60))

            async def connection():
                for _ in pictures:
                    await load.one(load.draw.uniform(0.001, 0.02))

            await asyncio.gather(*(connection() for _ in range(connections)))

        await asyncio.gather(*(browser(n) for n in range(browsers)))
        return load

    assert run(work()).refused_s == []


@pytest.mark.parametrize("service_s", [0.03, 0.1])
def test_a_page_whose_sources_come_slowly(service_s):
    """60 are asked for at once, and fetched 16 at a time: when they come to the gate says nothing of the load."""

    async def work():
        load = Load(2)
        load.service_s = service_s
        await asyncio.gather(*(load.one(0.2 * (n // 16 + 1) * load.draw.uniform(0.9, 1.1)) for n in range(60)))
        return load

    assert run(work()).refused_s == []


@pytest.mark.parametrize("slow_s", [1.0, 10.0])
@pytest.mark.parametrize("service_s", [0.03, 0.1])
def test_one_slow_render_says_little_of_the_next(slow_s, service_s):
    """A page that comes just after a long animation waits as long as ever: there is room, and nobody is refused."""

    async def work():
        load = Load(2)
        load.service_s = service_s
        for _ in range(30):
            await load.one()
        load.service_s = slow_s
        await load.one()
        load.service_s = service_s
        await load.burst(60, 0.0)
        return load

    assert run(work()).refused_s == []


def test_all_slow_ones_say_it():
    """L03: where renders take 2 s, whoever would wait longer than is allowed is told at once, after a few."""

    async def work():
        load = Load(2)
        load.service_s = 2.0
        await asyncio.gather(load.burst(12, 0.0), load.burst(12, 24.0))
        load.refused_s = []
        await load.burst(20, 0.0)
        return load.refused_s

    assert run(work()).count(0.0) >= 12


def test_without_an_end_of_bursts():
    """burst_s = 0: the queue and the wait alone decide."""

    async def work():
        load = Load(1, burst_s=0.0)
        took, refused = await load.step(3, 20)
        return at(took, 0.5), at(refused, 0.5)

    half, refused = run(work())

    assert half > 1.0
    assert refused == 0


def test_a_shed_render_gives_no_slot_away():
    """Those who are told not to wait any more leave all slots as they were."""

    async def work():
        load = Load(2)
        await load.step(5, 5)
        gate = load.gate
        return gate._free, len(gate), gate._held_bytes

    assert run(work()) == (2, 0, 0)


async def test_who_leaves_just_when_it_is_refused_gives_no_slot_back():
    """It has none: one more would run than there are slots."""
    gate, go = Gate(Settings(), 1), asyncio.Event()

    async def hold():
        async with gate.slot():
            await go.wait()

    tasks = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate._answer(gate._waiting.popleft(), has_slot=False)
    tasks[1].cancel()
    await asyncio.wait(tasks[1:2])
    assert gate._free == 0
    assert not tasks[2].done()
    assert len(gate) == 1
    go.set()
    await asyncio.gather(tasks[0], tasks[2])
    assert gate._free == 1
