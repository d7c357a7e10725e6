"""Row J10 with real receivers: a dead one slows nobody else, and a message gets there when its receiver is back."""

import asyncio
import time
from base64 import b64encode

import pytest
from standardwebhooks.webhooks import Webhook

from imagemill.jobs.base import Again, Delivered, Later
from imagemill.jobs.courier import Courier
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.job import Callback, Delivery, Event
from imagemill.net.poster import Poster
from imagemill.settings import Callbacks
from support.raw import Server, drip, names, ok, until

SECRET = "whsec_" + b64encode(b"k" * 32).decode()
BODY = b'{"type":"job.failed"}'


class Clock:
    """Of breakers; it goes on where a test says so, and not while a busy machine is slow."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def courier(*servers: Server, resolver=None, monotonic=time.monotonic, **changes) -> tuple[Poster, Courier]:
    settings = Callbacks(
        allow_http=True,
        ports=tuple(s.port for s in servers),
        allow_networks=("127.0.0.0/8",),
        **{"timeout_s": 20, "total": 8, "breaker_failures": 5, "breaker_s": 0.4} | changes,
    )
    poster = Poster(settings, resolver=resolver)
    secrets = parse_secrets({"main": [SECRET]})
    return poster, Courier(poster, settings, secrets, time.time, lambda _outcome: None, monotonic=monotonic)


def delivery(url: str, number: int = 1, tenant: str = "t") -> Delivery:
    return Delivery(f"msg_{number}", "a" * 32, tenant, Callback(url, "main"), Event.FAILED, 1.0)


def slowest_s(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


async def timed(it: Courier, url: str, times: list[float]) -> None:
    begun = time.monotonic()
    outcome = await it.attempt(delivery(url), BODY)
    times.append(time.monotonic() - begun)
    assert outcome == Delivered(200)


@pytest.mark.timed
async def test_a_dead_receiver_slows_nobody_else():
    """J10: 200 messages to one that hangs; one that answers gets each of its own at once, as if it were alone."""
    async with Server(drip(b"", b"", 1)) as dead, Server(ok()) as live:
        poster, it = courier(dead, live, total=16)
        async with poster:
            await it.attempt(delivery(live.url()), BODY)
            alone, beside = [], []
            for _ in range(30):
                await timed(it, live.url(), alone)
            hung = [asyncio.create_task(it.attempt(delivery(dead.url(), n), BODY)) for n in range(200)]
            await until(lambda: dead.open == 4, within_s=30)
            for _ in range(30):
                await timed(it, live.url(), beside)
            sent_away = [task for task in hung if task.done()]
            for task in hung:
                task.cancel()
            await asyncio.gather(*hung, return_exceptions=True)

    assert len(sent_away) == 196
    assert all(isinstance(task.result(), Later) for task in sent_away)
    assert slowest_s(beside) < 2 * slowest_s(alone) + 0.05


@pytest.mark.timed
async def test_many_dead_receivers_slow_nobody_who_answers():
    """J10: as many as there are places hang at once; half of the places stay for those that answer."""
    async with Server(drip(b"", b"", 1)) as dead, Server(ok()) as live:
        poster, it = courier(dead, live)
        async with poster:
            await it.attempt(delivery(live.url()), BODY)
            hung = [
                asyncio.create_task(it.attempt(delivery(dead.url(host=f"h{n}.localhost"), tenant=f"t{n % 2}"), BODY))
                for n in range(50)
            ]
            await until(lambda: dead.open == 4, within_s=30)
            assert await it.attempt(delivery(live.url()), BODY) == Delivered(200)
            for task in hung:
                task.cancel()
            await asyncio.gather(*hung, return_exceptions=True)


async def test_a_receiver_that_comes_back():
    """J10: while it is down it is asked ever less; once it is back, one attempt finds out, and then all arrive."""
    clock = Clock()
    async with Server(ok().replace(b"200", b"503")) as server:
        poster, it = courier(server, monotonic=clock)
        async with poster:
            outcomes = [await it.attempt(delivery(server.url(), n), BODY) for n in range(20)]
            assert len(server.requests) == 5
            assert [type(o) for o in outcomes] == [Again] * 5 + [Later] * 15

            server.answer = ok()
            clock.now_s += outcomes[-1].after_s
            first = asyncio.create_task(it.attempt(delivery(server.url(), 20), BODY))
            await asyncio.sleep(0)
            assert isinstance(await it.attempt(delivery(server.url(), 21), BODY), Later)
            assert await first == Delivered(200)
            for n in range(22, 30):
                assert await it.attempt(delivery(server.url(), n), BODY) == Delivered(200)


async def test_what_arrives_verifies():
    """J11: id, timestamp and signature as the official library wants them, over the bytes on the wire."""
    async with Server(ok()) as server:
        poster, it = courier(server)
        async with poster:
            await it.attempt(delivery(server.url()), BODY)

        lines = [line.split(": ", 1) for line in server.requests[0].decode().split("\r\n")[1:-2]]
        assert Webhook(SECRET).verify(server.bodies[0], dict(lines)) == {"type": "job.failed"}


async def test_dns_that_turns_private():
    """J09: neither sent nor given up: DNS may be repaired."""
    zone = names({"n.test": [["127.0.0.1"], ["10.0.0.1"], [], ["127.0.0.1"]]})
    async with Server(ok()) as server:
        poster, it = courier(server, resolver=zone)
        async with poster:
            outcomes = [await it.attempt(delivery(server.url(host="n.test")), BODY) for _ in range(4)]

        assert [type(o) for o in outcomes] == [Delivered, Again, Again, Delivered]
        assert outcomes[1] == outcomes[2]
        assert server.accepted == 2
