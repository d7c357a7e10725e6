"""Record what workflows did, for the test that replays it: ``PYTHONPATH=tests python -m support.temporal_histories``.

Histories stay when workflows change: jobs of the old kind are still under way then. New ones are added under the
version that made them; none is recorded anew but with a change that was found to be safe otherwise.
"""

import asyncio
import gzip
import json
import re
import sys
import tempfile
import time
from pathlib import Path

from msgspec.structs import replace
from temporalio.client import Client

from imagemill import __version__
from imagemill.jobs.base import Again, Delivered, Gone, Later
from imagemill.jobs.temporal import names
from imagemill.jobs.temporal.engine import TemporalEngine
from imagemill.jobs.temporal.worker import TemporalRunner
from imagemill.model.job import Callback, Event, Job, Schedule, State, delivery_id
from support.temporal import serving
from support.temporal_jobs import ALL_EVENTS, Seen, Steps, batch, ended, job, lines, settings, spec, until, worker

FOLDER = Path(__file__).parents[1] / "unit" / "jobs" / "temporal" / "histories"
URL = "https://receiver.example/"
_MACHINE = re.compile(r'("(?:identity|requestId|stackTrace)": )"(?:[^"\\]|\\.)*"')
_QUEUE = re.compile(r"\d+@[\w.-]+")


class Recorder:
    """An engine and a runner, and where histories go."""

    def __init__(self, address: str, folder: Path, log: Path) -> None:
        self.given = settings(address, heartbeat_s=1.0, grace_s=0.2, queue="imagemill")
        self.engine = TemporalEngine(self.given)
        self.steps = Steps(log)
        self.log = log
        self.folder = folder

    async def keep(self, name: str, id_: str) -> None:
        """Write one workflow's history down."""
        client: Client = await self.engine._link.client()
        history = await client.get_workflow_handle(id_).fetch_history()
        text = _QUEUE.sub("recorded", _MACHINE.sub(r'\1"recorded"', history.to_json()))
        packed = gzip.compress(json.dumps({"id": id_, "history": json.loads(text)}).encode(), mtime=0)
        (self.folder / f"{name}-{__version__}.json.gz").write_bytes(packed)

    async def job(self, name: str, order: Job, state: State) -> None:
        accepted = await self.engine.submit(order)
        done = await ended(self.engine, accepted.id)
        assert done.state is state, done
        await self.keep(name, names.workflow_id("imagemill", accepted.id))


async def record(address: str, folder: Path, log: Path) -> None:
    """Every way that a job, a delivery, a batch and a schedule's time can go."""
    recorder = Recorder(address, folder, log)
    await recorder.engine.start()
    stop = asyncio.Event()
    run = asyncio.create_task(TemporalRunner(recorder.given, recorder.steps, Seen()).run(stop))
    await recorder.job("job-succeeded", job(url=URL, events=ALL_EVENTS), State.SUCCEEDED)
    await recorder.job("job-failed", job("corrupt", url=URL), State.FAILED)
    await recorder.job("job-retried", job("flaky"), State.SUCCEEDED)
    await recorder.job("job-delayed", job(not_before_s=time.time() + 1), State.SUCCEEDED)
    await recorder.job("job-expired", job("sleep:60", deadline_s=time.time() + 1), State.EXPIRED)
    await recorder.job("job-late", job(deadline_s=time.time() - 1), State.EXPIRED)
    await _cancelled(recorder)
    await _deliveries(recorder)
    await _batches(recorder)
    await _schedule(recorder)
    await _given_back(recorder, stop, run)
    await _crashed(recorder, address)


async def _cancelled(recorder: Recorder) -> None:
    running = await recorder.engine.submit(job("sleep:60", url=URL))
    await until(lambda: any(line["job"] == running.id for line in lines(recorder.log, "first")), "begun")
    waiting = await recorder.engine.submit(job(not_before_s=time.time() + 3600))
    for name, one in (("running", running), ("waiting", waiting)):
        await recorder.engine.cancel(one.id)
        await ended(recorder.engine, one.id)
        await recorder.keep(f"job-cancelled-{name}", names.workflow_id("imagemill", one.id))


async def _deliveries(recorder: Recorder) -> None:
    recorder.steps.outcomes = [Later(0.1), Again("500", 500), Gone("410", 410), Delivered(204)]
    one = await recorder.engine.submit(job(url=URL))
    await ended(recorder.engine, one.id)
    await recorder.engine.redeliver(one.id)
    await until(lambda: not recorder.steps.outcomes, "redelivered")
    await asyncio.sleep(1)
    id_ = names.delivery_workflow("imagemill", delivery_id(one.id, Event.SUCCEEDED))
    await recorder.keep("delivering-redelivered", id_)


async def _batches(recorder: Recorder) -> None:
    async def over(batch_id: str) -> bool:
        found = await recorder.engine.read_batch(batch_id)
        return found is not None and found.state in {State.SUCCEEDED, State.FAILED, State.CANCELLED}

    callback = Callback(URL, "main", (Event.FINISHED,))
    one = await recorder.engine.submit_batch(batch(55, callback=callback), [spec("noop")] * 55)
    await until(lambda: over(one.id), "it is over", 90)
    await recorder.keep("batch-succeeded", names.workflow_id("imagemill", one.id))
    two = await recorder.engine.submit_batch(batch(3), [spec(not_before_s=time.time() + 3600)] * 3)
    await asyncio.sleep(2)
    await recorder.engine.cancel_batch(two.id)
    await until(lambda: over(two.id), "it is over")
    await recorder.keep("batch-cancelled", names.workflow_id("imagemill", two.id))


async def _schedule(recorder: Recorder) -> None:
    await recorder.engine.put_schedule(Schedule("s", "default", "0 3 * * *", (spec("noop"), spec("noop"))))
    client = await recorder.engine._link.client()
    handle = client.get_schedule_handle(names.schedule_id("imagemill", "default", "s"))
    await handle.trigger()
    await asyncio.sleep(3)
    (result,) = (await handle.describe()).info.recent_actions
    await recorder.keep("scheduled", result.action.workflow_id)
    await recorder.engine.drop_schedule("default", "s")


async def _given_back(recorder: Recorder, stop: asyncio.Event, run: "asyncio.Task[None]") -> None:
    one = await recorder.engine.submit(job("sleep:1.5"))
    await until(lambda: any(line["job"] == one.id for line in lines(recorder.log, "first")), "begun")
    stop.set()
    await run
    again = asyncio.Event()
    run = asyncio.create_task(TemporalRunner(recorder.given, recorder.steps, Seen()).run(again))
    await ended(recorder.engine, one.id)
    await recorder.keep("job-given-back", names.workflow_id("imagemill", one.id))
    again.set()
    await run


async def _crashed(recorder: Recorder, address: str) -> None:
    one = await recorder.engine.submit(replace(job("sleep:3"), tenant="other"))
    with worker(address, "imagemill", recorder.log) as first:
        await until(lambda: any(line["job"] == one.id for line in lines(recorder.log, "first")), "begun")
        first.kill()
    with worker(address, "imagemill", recorder.log):
        await ended(recorder.engine, one.id, 60)
    await recorder.keep("job-crashed-over", names.workflow_id("imagemill", one.id))


def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1:] else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, serving(Path(temporary) / "server") as server:
        asyncio.run(record(server.address, folder, Path(temporary) / "log"))


if __name__ == "__main__":
    main()
