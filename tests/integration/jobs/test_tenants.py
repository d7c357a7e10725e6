"""Row J06: one tenant does all that it may, at once, and another's jobs and messages come through all the same."""

import asyncio
import time

import pytest

from imagemill.jobs.base import Work
from imagemill.jobs.courier import Courier
from imagemill.jobs.embedded.engine import EmbeddedEngine
from imagemill.jobs.embedded.runner import Runner
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.errors import QuotaExceeded, SourceTimeout
from imagemill.model.job import State
from imagemill.net.guard import parse
from imagemill.settings import Callbacks, Jobs, Tenant
from support.jobs import NoteTaking, Unobserved, batch, callback, eventually, job, opened, spec, until

SECRET = "whsec_" + "c2VjcmV0" * 5
HANGS_S = 30.0


class Receivers:
    """Those below ``hangs.example`` never answer, all others do at once."""

    def __init__(self):
        self.hanging = 0

    def check(self, url):
        return parse(url)

    async def post(self, url, _body, _headers, _timeout_s):
        if "hangs.example" in url:
            self.hanging += 1
            await asyncio.sleep(HANGS_S)
            raise SourceTimeout("no answer")
        return 204


@pytest.mark.timed
async def test_a_flood_of_one_tenant_holds_up_no_other(tmp_path):
    """Its quota is its own, and its queue, full of urgent work, is one turn of two."""
    settings = Jobs(concurrency=4, max_waiting=500, grace_s=0.5, tenants={"loud": Tenant(max_waiting=300)})
    engine = EmbeddedEngine(settings, tmp_path)

    async def slow(job, _report):
        await asyncio.sleep(0.05)
        return Work(())

    steps = NoteTaking(work=slow)
    async with opened(engine):
        await engine.submit_batch(batch(200, "loud"), [spec(priority=9)] * 200)
        for _ in range(100):
            await engine.submit(job("loud", priority=9))
        with pytest.raises(QuotaExceeded):
            await engine.submit(job("loud"))
        stop = asyncio.Event()
        running = asyncio.create_task(Runner(settings, tmp_path, steps, Unobserved()).run(stop))
        await eventually(lambda: _true(len(steps.made) > 8))

        waited_s = []
        for _ in range(10):
            begun = time.monotonic()
            accepted = await engine.submit(job("quiet"))
            await until(engine, accepted.id, State.SUCCEEDED)
            waited_s.append(time.monotonic() - begun)
        flood_left = sum(n for (state, _), n in (await engine.counts()).items() if state == "queued")
        stop.set()
        await running

    assert flood_left > 50
    assert sorted(waited_s)[8] < 1.0


@pytest.mark.timed
async def test_one_tenants_receivers_that_hang_hold_up_no_other(tmp_path):
    """A host name costs nothing: each of its messages is for another receiver, that takes the connection and is silent."""
    callbacks = Callbacks(total=16, per_endpoint=4)
    settings = Jobs(grace_s=0.1)
    receivers = Receivers()
    courier = Courier(
        receivers, callbacks, parse_secrets({"main": [SECRET]}), time.time, lambda _: None, monotonic=time.monotonic
    )
    steps = NoteTaking()
    steps.deliver = lambda delivery, _about: courier.attempt(delivery, b"{}")
    engine = EmbeddedEngine(settings, tmp_path)
    async with opened(engine):
        stop = asyncio.Event()
        runner = Runner(settings, tmp_path, steps, Unobserved(), callbacks=callbacks)
        running = asyncio.create_task(runner.run(stop))
        for n in range(60):
            await engine.submit(job("loud", callback=callback(f"h{n}.hangs.example")))
        await eventually(lambda: _true(receivers.hanging >= 4))
        await asyncio.sleep(0.2)

        begun = time.monotonic()
        accepted = await engine.submit(job("quiet", callback=callback("new.example")))
        await until(engine, accepted.id, State.SUCCEEDED)
        waited_s = time.monotonic() - begun
        stop.set()
        await running

    assert waited_s < 2.0
    assert receivers.hanging == 4


async def _true(it):
    return it
