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


class Hanging:
    """A call that begins, and ends when it may."""

    def __init__(self) -> None:
        self.begun, self.go, self.done = threading.Event(), threading.Event(), False

    def __call__(self) -> None:
        self.begun.set()
        self.go.wait(5)
        self.done = True


async def cancelled(step, call: Hanging) -> asyncio.Task:
    task = asyncio.create_task(step(call))
    await asyncio.to_thread(call.begun.wait, 5)
    task.cancel()
    return task


async def test_who_is_cancelled_is_free_at_once(thing):
    call = Hanging()

    with pytest.raises(asyncio.CancelledError):
        await (await cancelled(thing.step, call))

    assert not call.done
    call.go.set()


async def test_who_is_cancelled_waits_for_a_last_step(thing):
    call = Hanging()
    task = await cancelled(thing.last_step, call)
    await asyncio.sleep(0.02)
    assert not task.done()
    call.go.set()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert call.done


async def test_nobody_waits_for_a_last_step_for_ever(thing, monkeypatch):
    monkeypatch.setattr(held, "LAST_WORDS_S", 0.05)
    call = Hanging()
    task = await cancelled(thing.last_step, call)
    begun_s = time.monotonic()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert not call.done
    assert time.monotonic() - begun_s >= 0.04
    call.go.set()
