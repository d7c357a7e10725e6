"""A job as server-sent events: at once, at every change, at last, and never more streams than agreed."""

import asyncio
import json
import re

import msgspec
import pytest
from msgspec.structs import replace

from imagemill.jobs.tokens import Register
from imagemill.model.errors import Overloaded
from imagemill.model.job import State
from imagemill.settings import Jobs, Settings, Signing
from imagemill.web.app import App
from imagemill.web.jobs import JobPort
from imagemill.web.stream import Streams
from support.job_port import ID, MemoryJobs, job

LOCAL = (b"host", b"localhost")


class Listening:
    """One client of ``GET /jobs/{id}/events``, on loopback, without a socket."""

    def __init__(self, jobs, *headers, port=None, method="GET"):
        settings = Settings(signing=Signing("unsigned"), jobs=Jobs(watchers=2))
        self.register = Register()
        self.port = port or JobPort(jobs, lambda: self.register, settings)
        self.left = asyncio.Event()
        self.sent = []
        self.ended = []
        app = App({}, lambda call, reply, _: self.ended.append((call, reply)), table=self.port.routes())
        scope = {"type": "http", "method": method, "raw_path": f"/jobs/{ID}/events".encode(), "query_string": b"",
                 "headers": [LOCAL, *headers], "client": ("127.0.0.1", 1)}  # fmt: skip
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def text(self):
        return b"".join(m.get("body", b"") for m in self.sent[1:]).decode()

    @property
    def events(self):
        """Version and state of each."""
        found = re.findall(r"event: job\nid: (\d+)\ndata: ([^\n]*)\n\n", self.text)
        return [(int(version), json.loads(data)["state"]) for version, data in found]

    async def until(self, holds):
        async with asyncio.timeout(30):
            while not holds(self):
                await asyncio.sleep(0.001)


async def test_a_whole_life():
    jobs = MemoryJobs(job())
    client = Listening(jobs)
    for n, state in enumerate((State.RUNNING, State.DELIVERING, State.SUCCEEDED), 1):
        await client.until(lambda c, n=n: len(c.events) == n)
        await jobs.change(ID, state=state)
    await client.task

    assert client.events == [(0, "queued"), (1, "running"), (2, "delivering"), (3, "succeeded")]
    headers = dict(client.sent[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream"
    assert headers[b"cache-control"] == b"no-store"
    assert client.sent[-1] == {"type": "http.response.body", "body": b""}
    call, reply = client.ended[0]
    assert (reply.status, call.tier, call.streamed_bytes) == (200, "stream", len(client.text))


async def test_what_is_over_is_told_once():
    client = Listening(MemoryJobs(job(state=State.FAILED, version=4)))
    await client.task

    assert client.events == [(4, "failed")]


async def test_who_has_seen_the_end_is_told_not_to_come_back():
    client = Listening(MemoryJobs(job(state=State.FAILED, version=4)), (b"last-event-id", b"4"))
    await client.task

    assert client.status == 204


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (b"3", [(5, "running")]),
        (b"5", []),
        (b"99", [(5, "running")]),
        (b"x", [(5, "running")]),
        (b"9" * 40, [(5, "running")]),
    ],
)
async def test_where_a_client_left_off(last, told):
    """What it has seen is not told again; an id that is none of ours counts for nothing."""
    jobs = MemoryJobs(job(state=State.RUNNING, version=5))
    client = Listening(jobs, (b"last-event-id", last))
    await client.until(lambda c: len(c.events) == len(told) and (told or "keep-alive" in c.text))

    assert client.events == told
    await jobs.change(ID, state=State.SUCCEEDED)
    await client.task
    assert client.events == [*told, (6, "succeeded")]


async def test_silence_is_kept_alive():
    """And a beat asks again who listens."""
    jobs = MemoryJobs(job())
    client = Listening(jobs)
    client.port.streams._beat_s = 0.01
    await client.until(lambda c: c.text.count(": keep-alive\n\n") >= 3)
    client.left.set()
    await client.task

    assert client.events == [(0, "queued")]


async def test_a_client_that_leaves_ends_its_stream():
    """At once, also in the middle of a silence."""
    client = Listening(MemoryJobs(job()))
    await client.until(lambda c: c.events)
    assert client.port.streams.open == 1

    client.left.set()
    async with asyncio.timeout(20):
        await client.task

    assert client.port.streams.open == 0


async def test_streams_are_bounded():
    """One more is a 503; a place that is free again is given again."""
    jobs = MemoryJobs(job())
    one = Listening(jobs)
    two = Listening(jobs, port=one.port)
    await one.until(lambda c: c.events and two.events)
    three = Listening(jobs, port=one.port)
    await three.task
    one.left.set()
    await one.task
    four = Listening(jobs, port=one.port)
    await four.until(lambda c: c.events)

    assert (three.status, json.loads(three.text)["code"]) == (503, "overloaded")
    for client in (two, four):
        client.left.set()
        await client.task
    assert one.port.streams.open == 0


async def test_one_tenants_streams_are_bounded():
    """J06: whoever opens as many as may be leaves places for the others."""
    streams = Streams(3, most_of_tenant=2)

    def opened(reader):
        return streams.of(job(), None, None, None, reader=reader)

    own = [opened("loud"), opened("loud")]
    with pytest.raises(Overloaded):
        opened("loud")
    other = opened("quiet")
    with pytest.raises(Overloaded):
        opened("third")
    for stream in (*own, other):
        stream.closed()

    assert (streams.open, dict(streams._of_tenant)) == (0, {})


async def test_metadata_cannot_end_an_event():
    """It goes out as it came in, and may have come on many lines, an empty one among them."""
    raw = b'{"a":\n\r\n 1,\r\r"event: job":\n\ndata}'.replace(b"data", b"2")
    spec = replace(job().spec, metadata=msgspec.Raw(raw))
    client = Listening(MemoryJobs(job(spec=spec, state=State.FAILED, outcome=State.FAILED)))
    await client.task

    (data,) = re.findall(r"data: ([^\r\n]*)\n\n", client.text)
    assert json.loads(data)["metadata"] == {"a": 1, "event: job": 2}
    assert client.text.count("\n") == 6


async def test_head_takes_no_place():
    client = Listening(MemoryJobs(job()), method="HEAD")
    await client.task

    assert (client.status, client.text, client.port.streams.open) == (200, "", 0)


async def test_a_change_after_a_token_was_revoked_is_not_told():
    """J08: not even the one that its listener was waiting for when it was revoked."""
    jobs = MemoryJobs(job())
    client = Listening(jobs)
    await client.until(lambda c: c.events)
    await asyncio.sleep(0.01)  # it waits

    client.register = Register(readable=False)
    await jobs.change(ID, state=State.RUNNING)
    await client.task

    assert client.events == [(0, "queued")]
    assert client.ended[0][0].error.code == "unauthorized"


async def test_a_token_that_is_revoked_ends_its_stream():
    """J08: at the next beat."""
    client = Listening(MemoryJobs(job()))
    client.port.streams._beat_s = 0.01
    await client.until(lambda c: c.events)

    client.register = Register(readable=False)
    await client.task

    assert client.ended[0][0].error.code == "unauthorized"
    assert client.port.streams.open == 0


async def test_a_job_that_is_forgotten_ends_its_stream():
    jobs = MemoryJobs(job())
    client = Listening(jobs)
    client.port.streams._beat_s = 0.02
    await client.until(lambda c: c.events)
    other = job(tenant="other")

    async def gone(*_):
        raise KeyError(other.id)

    jobs.read = gone
    await client.task

    assert isinstance(client.ended[0][0].error, KeyError)


async def test_a_stop_ends_all_and_begins_none():
    jobs = MemoryJobs(job())
    client = Listening(jobs)
    await client.until(lambda c: c.events)

    client.port.streams.end()
    async with asyncio.timeout(20):
        await client.task

    with pytest.raises(Overloaded):
        client.port.streams.of(job(), None, None, None)


def test_a_place_is_taken_by_streams_alone():
    streams = Streams(1)

    streams.of(job(state=State.SUCCEEDED), 0, None, None)

    assert streams.open == 0
