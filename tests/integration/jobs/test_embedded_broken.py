"""What nobody foresaw goes wrong within the job process: it is told of, tried again later, and holds up nothing else."""

import asyncio

from imagemill.jobs.embedded import outbox, upkeep
from imagemill.model.job import Event, State
from support.jobs import Embedded, NoteTaking, batch, callback, eventually, job, opened, spec, until


async def test_upkeep_that_breaks_lets_jobs_go_on(tmp_path, monkeypatch):
    """A page that cannot be made, time and again; the page is made as soon as it can be."""
    make_page, broken = upkeep.make_page, True

    def may_break(db, *, epoch, now_s):
        if broken:
            raise RuntimeError("broken")
        return make_page(db, epoch=epoch, now_s=now_s)

    monkeypatch.setattr(upkeep, "make_page", may_break)
    kit = Embedded(tmp_path / "data")
    async with opened(kit.engine) as engine, kit.run(NoteTaking()):
        order = await engine.submit_batch(batch(1), [spec()])
        for _ in range(2):
            await until(engine, (await engine.submit(job())).id, State.SUCCEEDED)
        broken = False

        assert await eventually(lambda: _is(engine, order.id, State.SUCCEEDED))


async def test_a_message_that_breaks_is_not_sent_again_and_again(tmp_path, monkeypatch):
    """And another receiver's messages arrive."""
    settle = outbox.settle

    def may_break(db, *, epoch, after, now_s):
        if "bad" in after.callback.url:
            raise RuntimeError("broken")
        settle(db, epoch=epoch, after=after, now_s=now_s)

    monkeypatch.setattr(outbox, "settle", may_break)
    steps, kit = NoteTaking(), Embedded(tmp_path / "data")
    async with opened(kit.engine) as engine, kit.run(steps):
        bad = [await engine.submit(job(callback=callback("bad.example"))) for _ in range(3)]
        await until(engine, bad[-1].id, State.DELIVERING)
        good = [await engine.submit(job(callback=callback("good.example"))) for _ in range(3)]
        for one in good:
            await until(engine, one.id, State.SUCCEEDED)
        await asyncio.sleep(0.3)

        told = [delivery.job for delivery, _ in steps.told]
        assert max(told.count(one.id) for one in bad) <= 1


async def test_a_receiver_whose_messages_cannot_be_read_keeps_no_other_waiting(tmp_path, monkeypatch):
    """Theirs wait."""
    due = outbox.due

    def may_break(db, *, endpoint, most, now_s):
        if "bad" in endpoint:
            raise RuntimeError("broken")
        return due(db, endpoint=endpoint, most=most, now_s=now_s)

    monkeypatch.setattr(outbox, "due", may_break)
    steps, kit = NoteTaking(), Embedded(tmp_path / "data")
    async with opened(kit.engine) as engine, kit.run(steps):
        bad = await engine.submit(job(callback=callback("bad.example")))
        await until(engine, bad.id, State.DELIVERING)
        good = await engine.submit(job(callback=callback("good.example")))
        await until(engine, good.id, State.SUCCEEDED)

        assert [d.event for d in await engine.deliveries(bad.id) if d.state == "pending"] == [Event.SUCCEEDED]


async def _is(engine, batch_id, state):
    return (await engine.read_batch(batch_id)).state is state
