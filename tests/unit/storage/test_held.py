"""What threads use is released once, after its last use."""

import asyncio
import threading
import time

import pytest

from imagemill.storage import held
from imagemill.storage.held import Held


@pytest.fixture
def released() -> list[str]:
    return []


@pytest.fixture
def thing(released) -> Held:
    return Held(lambda: released.append(threading.current_thread().name))


async def test_steps_say_what_their_call_says(thing, released):
    """Its answer, or its error; and nothing is released by that."""
    assert await thing.step(lambda: 7) == 7
    assert await thing.last_step(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await thing.step(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await thing.last_step(lambda: 1 // 0)

    assert released == []


async def test_it_is_released_once(thing, released):
    await thing.step(lambda: None)
    thing.give_up()
    thing.give_up()

    assert len(released) == 1
    with pytest.raises(RuntimeError):
        await thing.step(released.clear)
    assert len(released) == 1


async def test_a_thread_that_still_uses_it_releases_it(thing, released):
    begun, go = threading.Event(), threading.Event()

    def use():
        begun.set()
        go.wait(5)
        assert released == []
        with pytest.raises(RuntimeError, match="given up"):
            thing.go_on()

    step = asyncio.create_task(thing.step(use))
    await asyncio.to_thread(begun.wait, 5)
    thing.give_up()
    assert released == []
    go.set()
    await step

    assert len(released) == 1
    assert released != [threading.current_thread().name]


async def test_who_is_cancelled_waits_for_the_last_step_only(thing, monkeypatch):
    """As long as it may be, and no longer."""
    monkeypatch.setattr(held, "LAST_WORDS_S", 0.05)
    waited_s = {}
    for name, step, takes_s in (
        ("step", thing.step, 0.2),
        ("short", thing.last_step, 0.02),
        ("long", thing.last_step, 0.3),
    ):
        begun = threading.Event()
        task = asyncio.create_task(step(lambda it=begun, s=takes_s: (it.set(), time.sleep(s))))
        await asyncio.to_thread(begun.wait, 5)
        at = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        waited_s[name] = time.perf_counter() - at

    assert waited_s["step"] < 0.02
    assert 0.01 < waited_s["short"] < 0.05
    assert 0.05 <= waited_s["long"] < 0.25
