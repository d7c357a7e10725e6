"""What is told to systemd, and by whom: over a real socket, as there is no other way to be sure of the bytes."""

import asyncio
import os
import socket

import pytest

from imagemill.systemd import Notices


@pytest.fixture
def told(tmp_path):
    """A socket as systemd has one, and its name."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name)
        sock.setblocking(False)
        yield sock, name


def heard(sock):
    words = []
    try:
        while True:
            words.append(sock.recv(100))
    except BlockingIOError:
        return words


async def test_ready_and_stopping(told):
    sock, name = told
    notices = Notices({"NOTIFY_SOCKET": name})

    notices.ready()
    notices.stopping()

    assert heard(sock) == [b"READY=1", b"STOPPING=1"]


async def test_an_abstract_name(told):
    """Its @ stands for a NUL byte."""
    name = f"imagemill-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.setblocking(False)

        Notices({"NOTIFY_SOCKET": f"@{name}"}).ready()

        assert heard(sock) == [b"READY=1"]


async def test_signs_of_life_until_the_loop_ends(told):
    """From readiness on, several in the time after which systemd would act; none before."""
    sock, name = told
    notices = Notices({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000", "WATCHDOG_PID": str(os.getpid())})
    assert heard(sock) == []

    notices.ready()
    words = []
    async with asyncio.timeout(30):
        while words.count(b"WATCHDOG=1") < 3:
            await asyncio.sleep(0.001)
            words += heard(sock)

    assert set(words) == {b"READY=1", b"WATCHDOG=1"}


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "3000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
async def test_no_signs_of_life_that_nobody_asked_us_for(told, more):
    """Not set, another process's, no number."""
    sock, name = told
    Notices({"NOTIFY_SOCKET": name} | more).ready()
    await asyncio.sleep(0.01)

    assert heard(sock) == [b"READY=1"]


def test_children_do_not_inherit_the_line():
    """What names it is taken out of the environment, and nothing else is."""
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notices(environ)

    assert environ == {"HOME": "/"}


async def test_where_nobody_listens_nothing_happens(tmp_path):
    """Not asked for, or the socket is gone."""
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "3000"}):
        notices = Notices(environ)
        notices.ready()
        notices.stopping()
