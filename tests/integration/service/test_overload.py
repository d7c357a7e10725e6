"""L01: more than can be done, on a real node; `bench/overload.py` has the figures, and the unit tests the exact ones."""

import asyncio
import itertools
import random
import time
from statistics import median
from urllib.parse import quote

import pytest

from support.mill import until
from support.node import PHOTO, SourceServer, fetch, serving

ROUNDS = 3
"""Whoever shares the machine may spoil one: what holds has to hold in the best."""
FLOOD_S, CLOSED_S = 5.0, 2.0
_serial = itertools.count(1)


def fresh():
    return f"/image?source=local:sample/dandelion.jpg&width=500&format=webp&background={next(_serial):06x}"


async def closed(port, clients):
    """Answers a second, where each client asks again once it is answered."""
    done, begun = 0, time.monotonic()

    async def client():
        nonlocal done
        while time.monotonic() < begun + CLOSED_S:
            answer = await fetch(port, fresh())
            done += answer.status == 200  # in one step: others count meanwhile

    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.monotonic() - begun)


async def flood(port, rate):
    """The answers to *rate* requests a second, whatever becomes of them, and how long they were sent for."""
    draw, tasks, begun, due = random.Random(7), [], time.monotonic(), 0.0
    while (due := due + draw.expovariate(rate)) < FLOOD_S:
        await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
        tasks.append(asyncio.create_task(fetch(port, fresh())))
    seconds = time.monotonic() - begun
    return await asyncio.gather(*tasks), seconds


def times_ms(node, asked_at, code):
    return [line["ms"] for line in node.lines()[asked_at:] if line.get("code") == code]


@pytest.mark.timed
def test_a_flood(tmp_path):
    """At thrice the capacity: goodput, quick refusals that say when to come back, quick answers; then all as before."""
    seen = []
    with serving(tmp_path, engine={"workers": 1}) as node:
        for _ in range(ROUNDS):
            goodput, longer, refusal_ms = one_round(node)
            seen.append((goodput, longer, refusal_ms))
            assert [asyncio.run(fetch(node.port, fresh())).status for _ in range(5)] == [200] * 5
            if goodput >= 0.6 and longer <= 10 and refusal_ms <= 500:
                return
    raise AssertionError(f"share of the capacity, times as long as alone, ms of a refusal: {seen}")


def one_round(node):
    """The share of the capacity that is done under a flood; how much longer that takes; how long a refusal does."""
    at = len(node.lines())
    asyncio.run(closed(node.port, 1))
    until(lambda: times_ms(node, at, "ok"), "the log")
    alone_ms = median(times_ms(node, at, "ok"))
    capacity = asyncio.run(closed(node.port, 2))
    at = len(node.lines())
    answers, seconds = asyncio.run(flood(node.port, 3 * capacity))
    until(lambda: len(node.lines()) >= at + len(answers), "the log")
    refused = [a for a in answers if a.status == 503]

    assert {a.status for a in answers} <= {200, 503}
    assert all(int(a.headers["retry-after"]) >= 1 and a.problem["code"] == "overloaded" for a in refused)
    if not refused:  # the machine is much quicker than when its capacity was measured
        return 0.0, 0.0, 0.0
    done_ms, refused_ms = (median(times_ms(node, at, code)) for code in ("ok", "overloaded"))
    return (len(answers) - len(refused)) / seconds / capacity, done_ms / alone_ms, refused_ms


def test_a_page_of_sixty_pictures(tmp_path):
    """Asked for at once, of one origin that takes its time, by a browser that speaks HTTP/2 to the proxy: all are made."""
    source = SourceServer()
    source.bodies |= {f"/p{n}.jpg": PHOTO for n in range(60)}
    source.delay_s = {"/p": 0.1}
    targets = [f"/image?source={quote(source.url(f'/p{n}.jpg'), safe='')}&width=200" for n in range(60)]

    async def page(port):
        return await asyncio.gather(*(fetch(port, target) for target in targets))

    patience = {"server": {"request_timeout_s": 120.0}, "gate": {"wait_s": 60.0}}  # a slow machine may take its time
    with serving(tmp_path, sources=source.allowed(), engine={"workers": 2}, **patience) as node:
        answers = asyncio.run(page(node.port))
    source.close()

    assert [answer.status for answer in answers] == [200] * 60
