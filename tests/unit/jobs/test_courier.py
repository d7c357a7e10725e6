"""What one attempt comes to, by what the receiver answers: rows J09 to J11."""

from base64 import b64encode

import pytest

from imagemill.jobs.base import Again, Delivered, Gone, Later
from imagemill.jobs.courier import Courier
from imagemill.jobs.webhook import parse_secrets
from imagemill.model.errors import (
    Overloaded,
    SourceBadResponse,
    SourceForbidden,
    SourceTimeout,
)
from imagemill.model.job import Callback, Delivery, Event
from imagemill.net.guard import Policy, check, parse
from imagemill.settings import Callbacks

SECRET = "whsec_" + b64encode(b"k" * 32).decode()
SETTINGS = Callbacks(breaker_failures=3, per_endpoint=1)
POLICY = Policy.of_callbacks(SETTINGS)


class Poster:
    """Answers as it is told."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    def check(self, url):
        target = parse(url)
        check(target, POLICY)
        return target

    async def post(self, url, body, headers, timeout_s):
        self.sent.append((url, body, headers, timeout_s))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Made:
    def __init__(self, *answers):
        self.poster = Poster(*answers)
        self.seen: list[str] = []
        self.now_s = 1_800_000_000.9
        secrets = parse_secrets({"main": [SECRET]})
        self.courier = Courier(
            self.poster, SETTINGS, secrets, lambda: self.now_s, self.seen.append, monotonic=lambda: self.now_s
        )

    async def attempt(self, url="https://hooks.test/in", secret="main", tenant="t"):
        delivery = Delivery("msg_1", "a" * 32, tenant, Callback(url, secret), Event.SUCCEEDED, 1.0)
        return await self.courier.attempt(delivery, b"{}")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_delivered(status):
    made = Made(status)

    assert await made.attempt() == Delivered(status)
    assert made.seen == ["delivered"]


@pytest.mark.parametrize("status", [101, 199, 300, 301, 302, 307, 308, 400, 401, 404, 408, 429, 500, 503, 999])
async def test_anything_else_is_not(status):
    made = Made(status)

    assert await made.attempt() == Again("the receiver did not say 2xx", status)
    assert made.seen == ["again"]


async def test_410_ends_it():
    made = Made(410)

    assert await made.attempt() == Gone("the receiver wants no more", 410)
    assert made.seen == ["gone"]


@pytest.mark.parametrize("error", [SourceTimeout("x"), SourceBadResponse("x"), SourceForbidden("10.0.0.1: private")])
async def test_what_may_be_repaired_is_tried_again(error):
    """Also an address that DNS gives today, and may not tomorrow."""
    outcome = await Made(error).attempt()

    assert isinstance(outcome, Again)
    assert outcome.status == 0


async def test_reasons_are_no_oracle():
    """Blocked, refused and unknown are told by the same words."""
    errors = [
        SourceForbidden("10.0.0.1: private"),
        SourceForbidden("connection refused", unreachable=True),
        SourceForbidden("no such name", unreachable=True),
    ]

    assert len({(await Made(e).attempt()).reason for e in errors}) == 1


@pytest.mark.parametrize(
    "url",
    ["http://hooks.test/", "https://hooks.test:8443/", "https://10.0.0.1/", "https://localhost/", "ftp://x/", "x"],
)
async def test_what_settings_forbid_is_gone(url):
    """No change of DNS would let it be called: nothing is sent, now or later."""
    made = Made(200)

    assert isinstance(await made.attempt(url), Gone)
    assert made.poster.sent == []


async def test_no_message_goes_out_unsigned():
    """A secret that has left the settings may come back: the attempt counts, and nothing is sent."""
    made = Made(200)

    assert await made.attempt(secret="other") == Again("no secret is called other")
    assert made.poster.sent == []


async def test_each_attempt_is_signed_anew():
    """J11: the same id, a timestamp of its own, and a signature of both."""
    made = Made(500, 200)
    await made.attempt()
    made.now_s += 5
    await made.attempt()

    (_, _, first, timeout_s), (_, _, second, _) = made.poster.sent
    assert timeout_s == SETTINGS.timeout_s
    assert first["webhook-id"] == second["webhook-id"] == "msg_1"
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1800000000", "1800000005")
    assert first["webhook-signature"] != second["webhook-signature"]


async def test_our_own_shortage_does_not_count():
    made = Made(Overloaded("x"))

    for _ in range(5):
        assert isinstance(await made.attempt(), Later)
    assert len(made.poster.sent) == 5


@pytest.mark.parametrize("answer", [500, 503, 429, SourceTimeout("x"), SourceBadResponse("x"), SourceForbidden("x")])
async def test_who_keeps_failing_is_left_alone(answer):
    """And nobody else is: another tenant's messages to the same place, or this one's to another."""
    made = Made(answer)
    for _ in range(3):
        await made.attempt()

    assert await made.attempt() == Later(30)
    assert await made.attempt("https://hooks.test/other?path=1") == Later(30)
    assert isinstance(await made.attempt("https://else.test/"), Again)
    assert isinstance(await made.attempt(tenant="u"), Again)
    assert made.seen == ["again"] * 3 + ["later"] * 2 + ["again"] * 2


@pytest.mark.parametrize("status", [302, 401, 404, 410])
async def test_an_answer_is_no_fault_of_the_host(status):
    """A wrong path fails by itself, and takes no other path with it."""
    made = Made(status)
    for _ in range(9):
        assert not isinstance(await made.attempt(), Later)
