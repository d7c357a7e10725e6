"""The job interface without a network: who is asked what, and how the answer looks."""

import asyncio
import json

import pytest

from imagemill.jobs.tokens import Register
from imagemill.model.job import State
from imagemill.model.token import Scope, make
from imagemill.service.jobs import Who
from imagemill.settings import Jobs, Server, Settings, Signing
from imagemill.web.app import App
from imagemill.web.jobs import BODIES_AT_A_TIME, JobPort, body_limit
from support.job_port import ID, MemoryJobs, job, stored

JSON = (b"content-type", b"application/json")


def token(tenant, *scopes):
    return make(lambda size: tenant.encode().ljust(size, b"-")[:size], tenant, tenant, scopes, 1_800_000_000)


TOKENS = {
    "submit": token("acme", Scope.SUBMIT), "read": token("acme2", Scope.READ), "admin": token("root", Scope.ADMIN),
    "other": token("other", Scope.SUBMIT, Scope.READ),
}  # fmt: skip
SUBMIT, READ, ADMIN, OTHER = ((b"authorization", b"Bearer " + TOKENS[name][0].encode()) for name in TOKENS)
LOCAL = (b"host", b"localhost")


class Port:
    """The handlers behind the application, asked without a socket."""

    def __init__(self, *jobs, register=None, **settings):
        self.jobs = MemoryJobs(*jobs)
        every = Register(tuple(kept for _, kept in TOKENS.values()))
        self.settings = Settings(
            signing=Signing("unsigned"), jobs=Jobs(**settings), server=Server(request_timeout_s=10.0)
        )
        self.port = JobPort(self.jobs, lambda: register or every, self.settings)
        self.calls = []
        self.app = App({}, lambda call, reply, _: self.calls.append((call, reply)), table=self.port.routes())

    async def ask(self, method, target, *headers, body=b"", pieces=None, client="203.0.113.9"):
        """Status, headers and body; JSON where it is some."""
        sent, coming = [], [body] if pieces is None else list(pieces)
        path, _, query = target.partition("?")

        async def receive():
            if coming:
                piece = coming.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(coming)}
            await asyncio.sleep(3600)
            return None

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "raw_path": path.encode(), "query_string": query.encode(),
                 "headers": list(headers), "client": (client, 1)}  # fmt: skip
        await self.app(scope, receive, send)
        text = b"".join(m.get("body", b"") for m in sent[1:])
        kind = dict(sent[0]["headers"]).get(b"content-type", b"")
        return sent[0]["status"], dict(sent[0]["headers"]), json.loads(text) if b"json" in kind else text


ROUTES = [
    ("POST", "/jobs", Scope.SUBMIT, 202), ("GET", "/jobs", Scope.READ, 200), ("POST", "/jobs/batch", Scope.SUBMIT, 202),
    ("POST", "/jobs/prune", Scope.ADMIN, 200), ("GET", f"/jobs/{ID}", Scope.READ, 200),
    ("DELETE", f"/jobs/{ID}", Scope.SUBMIT, 200), ("GET", f"/jobs/{ID}/events", Scope.READ, 200),
    ("GET", f"/jobs/{ID}/deliveries", Scope.READ, 200), ("POST", f"/jobs/{ID}/retry", Scope.SUBMIT, 202),
    ("POST", f"/jobs/{ID}/redeliver", Scope.SUBMIT, 202), ("GET", f"/batches/{ID}", Scope.READ, 200),
    ("DELETE", f"/batches/{ID}", Scope.SUBMIT, 202), ("GET", f"/batches/{ID}/deliveries", Scope.READ, 200),
    ("POST", f"/batches/{ID}/redeliver", Scope.SUBMIT, 202), ("GET", "/schedules", Scope.READ, 200),
    ("GET", "/schedules/warm", Scope.READ, 200), ("PUT", "/schedules/warm", Scope.SUBMIT, 200),
    ("DELETE", "/schedules/warm", Scope.SUBMIT, 204), ("POST", "/schedules/warm/pause", Scope.SUBMIT, 200),
    ("POST", "/schedules/warm/resume", Scope.SUBMIT, 200),
]  # fmt: skip
BODY = b'{"before": 1}'
BY_ROUTE = pytest.mark.parametrize(("method", "target", "scope", "status"), ROUTES)


def test_every_route_is_tested():
    port = Port()

    assert {(r.method, r.path) for r in port.port.routes()} == {
        (method, target.replace(ID, "{id}").replace("warm", "{name}")) for method, target, _, _ in ROUTES
    }


@BY_ROUTE
async def test_nobody_is_answered_without_a_token(method, target, scope, status):
    """J08: whatever is asked, and the body is not even looked at."""
    port = Port(job(tenant="acme"))

    got, headers, problem = await port.ask(method, target, LOCAL, body=b"\xff", client="127.0.0.1")

    assert (got, problem["code"], headers[b"www-authenticate"]) == (401, "unauthorized", b"Bearer")
    assert port.jobs.asked == []


@BY_ROUTE
async def test_every_route_wants_its_scope(method, target, scope, status):
    """And is answered to whoever has it, admin included."""
    ended = job(tenant="root", state=State.QUEUED if method == "DELETE" else State.SUCCEEDED)
    for name, header in (("submit", SUBMIT), ("read", READ), ("admin", ADMIN)):
        port = Port(ended)
        port.jobs.jobs[ID] = job(tenant=TOKENS[name][1].tenant, state=ended.state)

        got, _, answer = await port.ask(method, target, header, JSON, body=BODY)

        if name in {"admin", scope}:
            assert got == status, answer
        else:
            assert (got, answer["code"]) == (403, "scope_missing")


async def test_submit():
    """J01, J03: 202 with where it is, the key and the raw body handed on, metadata back byte by byte."""
    port, body = Port(), b'{"source": "local:a/b", "metadata": {"b" : 1.50}}'

    status, headers, view = await port.ask("POST", "/jobs", SUBMIT, JSON, (b"idempotency-key", b"k 1"), body=body)

    assert (status, headers[b"location"]) == (202, f"/jobs/{ID}".encode())
    assert (view["id"], view["metadata"]) == (ID, {"b": 1.5})
    assert headers[b"cache-control"] == b"no-store"
    assert port.jobs.asked == [("submit", Who("acme"), body, "k 1")]


async def test_who_calls_is_in_the_log_and_no_token_is():
    """O02."""
    port = Port()

    await port.ask("GET", "/jobs", READ)

    call, _ = port.calls[0]
    assert call.caller == TOKENS["read"][1].id


async def test_a_body_in_pieces_is_put_together():
    port = Port()

    await port.ask("POST", "/jobs", SUBMIT, JSON, pieces=[b'{"source"', b':"x"', b"}"])

    assert port.jobs.asked[0][2] == b'{"source":"x"}'


@pytest.mark.parametrize("kind", [b"text/plain", b"application/x-www-form-urlencoded", b"", b"application/jsonx"])
@pytest.mark.parametrize(
    ("method", "target"), [("POST", "/jobs"), ("POST", "/jobs/batch"), ("PUT", "/schedules/a"), ("POST", "/jobs/prune")]
)
async def test_what_a_page_could_send_is_refused(method, target, kind):
    """Without a preflight a browser sends no JSON."""
    port = Port(register=Register())

    status, _, problem = await port.ask(method, target, LOCAL, (b"content-type", kind), body=BODY, client="127.0.0.1")

    assert (status, problem["code"]) == (400, "bad_request")
    assert port.jobs.asked == []


@pytest.mark.parametrize("key", [b"", b" ", b"a" * 256, b"a\x00", "ä".encode(), b" a"])
async def test_an_ill_formed_key_is_refused(key):
    status, _, problem = await Port().ask("POST", "/jobs", SUBMIT, JSON, (b"idempotency-key", key), body=b"{}")

    assert (status, problem["code"]) == (400, "bad_request")


async def test_a_body_above_the_limit_is_refused():
    """Also where its protocol let it through."""
    port = Port(body_bytes=1024)

    status, _, problem = await port.ask("POST", "/jobs", SUBMIT, JSON, pieces=[b"a" * 1000, b"b" * 25, b"c"])

    assert (status, problem["code"], problem["limit"]) == (422, "limit_exceeded", "jobs.body_bytes")


def test_which_bodies_are_kept():
    limit = body_limit(Settings(signing=Signing("unsigned"), jobs=Jobs(body_bytes=2_000, batch_bytes=9_000)))

    assert limit("POST", "/jobs") == (2_000, "jobs.body_bytes")
    assert limit("POST", "/jobs/batch") == (9_000, "jobs.batch_bytes")
    assert limit("PUT", "/schedules/a") == (2_000, "jobs.body_bytes")
    assert [
        limit(*call)
        for call in (("GET", "/jobs"), ("GET", "/image"), ("POST", "/image"), ("POST", "/schedules/a/pause"))
    ] == [None] * 4


async def test_bodies_are_bounded_together():
    """J06, J16: so many large ones are read at a time; then one more is told to come back, and later may.

    Whoever sends them slowly, as one tenant can for minutes, leaves half of the room to the others.
    """
    port = Port(batch_bytes=1024 * 1024, body_bytes=1024)
    stop = asyncio.Event()

    async def stuck(*_):
        await stop.wait()
        return {"type": "http.disconnect"}

    async def send(_):
        pass

    async def fill(who):
        scope = {"type": "http", "method": "POST", "raw_path": b"/jobs/batch", "query_string": b"",
                 "headers": [who, JSON], "client": ("127.0.0.1", 1)}  # fmt: skip
        tasks = [asyncio.create_task(port.app(dict(scope), stuck, send)) for _ in range(BODIES_AT_A_TIME)]
        await asyncio.sleep(0)
        return tasks

    async def one_more(who):
        status, _, answer = await port.ask("POST", "/jobs", who, JSON, body=b"{}")
        return status, answer.get("code")

    full = await fill(SUBMIT)
    after_one = [await one_more(SUBMIT), await one_more(OTHER)]
    full += await fill(OTHER)
    after_two = [await one_more(who) for who in (SUBMIT, OTHER, ADMIN)]
    stop.set()
    await asyncio.gather(*full)

    assert after_one == [(503, "overloaded"), (202, None)]
    assert after_two == [(503, "overloaded")] * 3
    assert [await one_more(who) for who in (SUBMIT, OTHER, ADMIN)] == [(202, None)] * 3


async def test_another_tenants_job_is_none():
    """J08: the same answer as for one that never was."""
    port = Port(job(tenant="acme"))

    other = await port.ask("GET", f"/jobs/{ID}", OTHER)
    never = await port.ask("GET", f"/jobs/{'0' * 32}", OTHER)

    assert other[0] == never[0] == 404
    assert other[2] | {"request_id": ""} == never[2] | {"request_id": ""}


async def test_list():
    port = Port(job())

    status, _, page = await port.ask("GET", "/jobs?state=queued&limit=3", OTHER)

    assert (status, page["cursor"], [one["id"] for one in page["jobs"]]) == (200, "next", [ID])
    _, who, query = port.jobs.asked[0]
    assert (who.tenant, query.tenant, query.states, query.limit) == ("other", "other", {State.QUEUED}, 3)


async def test_results_carry_their_addresses():
    port = Port(job(tenant="other", state=State.SUCCEEDED, results=(stored("small"),)))

    view = (await port.ask("GET", f"/jobs/{ID}", OTHER))[2]

    assert view["renditions"][0]["url"] == f"https://cdn.example/{ID}/small.webp"


async def test_cancelling_twice():
    port = Port(job(tenant="acme", state=State.RUNNING))

    first = await port.ask("DELETE", f"/jobs/{ID}", SUBMIT)
    second = await port.ask("DELETE", f"/jobs/{ID}", SUBMIT)

    assert (first[0], first[2]["state"]) == (200, "cancelled")
    assert (second[0], second[2]["code"]) == (409, "job_finished")


async def test_retry_is_a_new_job():
    port = Port(job(tenant="acme", state=State.FAILED))

    status, headers, view = await port.ask("POST", f"/jobs/{ID}/retry", SUBMIT)

    assert (status, headers[b"location"], view["retry_of"]) == (202, f"/jobs/{ID[::-1]}".encode(), ID)


async def test_schedules():
    port = Port()

    put = await port.ask("PUT", "/schedules/warm", OTHER, JSON, body=b'{"cron":"* * * * *"}')
    paused = await port.ask("POST", "/schedules/warm/pause", OTHER)
    resumed = await port.ask("POST", "/schedules/warm/resume", OTHER)
    gone = await port.ask("DELETE", "/schedules/none", OTHER)

    assert port.jobs.asked == [("put_schedule", Who("other"), "warm", b'{"cron":"* * * * *"}')]
    assert (put[0], paused[2]["paused"], resumed[2]["paused"]) == (200, True, False)
    assert (gone[0], gone[2]["detail"]) == (404, "no such schedule")


async def test_what_takes_too_long_is_answered():
    port = Port()
    port.port._timeout_s = 0.05
    port.jobs.slow_s = 5

    status, _, problem = await port.ask("POST", "/jobs", SUBMIT, JSON, body=b"{}")

    assert (status, problem["code"]) == (504, "processing_timeout")


async def test_an_error_of_the_use_case_is_a_problem(monkeypatch):
    port = Port()

    async def failing(*_):
        raise KeyError("CANARY")

    monkeypatch.setattr(port.jobs, "list", failing)
    status, _, problem = await port.ask("GET", "/jobs", READ)

    assert (status, problem["code"]) == (500, "internal")
