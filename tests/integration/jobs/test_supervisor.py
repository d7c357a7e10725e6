"""Whatever a job process does, there is one again soon, and `serve` never waits for it. Real processes, no engine."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from imagemill.configuration import load
from imagemill.job_link import REFUSED
from imagemill.supervisor import Supervisor
from support.vitals import alive

SECRET = "whsec_c2VjcmV0IHRoYXQgbm9ib2R5IG1heSBzZWUgaW4gcHM="
CHILD = """
import os, signal, socket, sys, time
import msgspec
from imagemill.job_link import Beat, die_with_parent, framed, hear_settings
die_with_parent()
link = socket.socket(fileno=int(sys.argv[-1]))
settings = hear_settings(link)
def beat():
    link.sendall(framed(msgspec.json.encode(Beat(True, f"# HELP imagemill_job_workers W.\\nimagemill_job_workers {os.getpid()}\\n"))))
"""
MUTE = CHILD + "beat(); time.sleep(60)"
STEADY = (
    CHILD
    + """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print('{"event": "steady", "secrets": %d}' % len(settings.callbacks.secrets), file=sys.stderr, flush=True)
while True:
    beat()
    time.sleep(0.05)
"""
)


async def until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def supervised(program, **options):
    settings = load(None, {}, {"signing": {"mode": "unsigned"}, "callbacks": {"secrets": {"a": [SECRET]}},
                               "jobs": {"grace_s": 1.0}})  # fmt: skip
    lines, ends = [], []
    command = [sys.executable, "-c", program, "worker"]
    keeper = Supervisor(settings, relay=lines.append, count=ends.append, command=command, **options)
    keeper.start()
    try:
        yield keeper, lines, ends
    finally:
        await keeper.close()


async def test_it_is_started_told_everything_and_heard(monkeypatch):
    """The settings reach it whole; no secret can be seen from outside; its log and its metrics come through."""
    monkeypatch.setenv("IMAGEMILL_SIGNING__KEYS__k1", "k" * 32)
    async with supervised(STEADY) as (keeper, lines, ends):
        assert not keeper.up
        await until(lambda: keeper.up and lines)
        pid = keeper.pid

        seen = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        assert SECRET.encode() not in seen
        assert b"IMAGEMILL_" not in seen
        assert json.loads(lines[0]) == {"event": "steady", "secrets": 1}
        assert f"imagemill_job_workers {pid}\n".encode() in keeper.metrics()
        assert os.getpgid(pid) != os.getpgid(0)  # a Ctrl-C is for `serve`, which then tells it

    assert not alive(pid)
    assert ends == []


async def test_one_that_is_killed_is_replaced():
    """At once, counted, and its metrics are not shown in its place."""
    async with supervised(STEADY) as (keeper, _, ends):
        for n in (1, 2):
            await until(lambda: keeper.up)
            killed = keeper.pid
            os.kill(killed, signal.SIGKILL)
            await until(lambda: not keeper.up)
            assert keeper.metrics() == b""
            await until(lambda: keeper.up)
            assert keeper.pid != killed
            assert ends == ["crash"] * n


async def test_one_that_is_silent_is_killed_and_replaced():
    """Stopped as by SIGSTOP: it says nothing, and would hold its directory for ever."""
    async with supervised(STEADY, silent_s=2.0) as (keeper, _, ends):
        await until(lambda: keeper.up)
        stuck = keeper.pid
        os.kill(stuck, signal.SIGSTOP)

        await until(lambda: ends)

        assert ends == ["silent"]
        assert not alive(stuck)
        await until(lambda: keeper.up)


async def test_one_that_dies_at_once_is_begun_more_and_more_patiently():
    async with supervised("raise SystemExit('no such luck')") as (_, lines, ends):
        begun = asyncio.get_running_loop().time()
        await until(lambda: len(ends) >= 4)

        assert asyncio.get_running_loop().time() - begun > 1.5  # after pauses of a tenth, a half, and a whole second
        assert set(ends) == {"crash"}
        assert lines == []  # what is no line of a log is told as a field of one


async def test_a_directory_that_is_anothers_is_waited_for():
    """No process is started meanwhile, and none is counted as dead."""
    free = False
    program = f"import os, sys; sys.exit({REFUSED}) if not os.path.exists(sys.argv[1]) else None\n"
    async with supervised(program + STEADY, free=lambda: free) as (keeper, _, ends):
        await until(lambda: keeper._popen is None and keeper._keeping is not None)
        await asyncio.sleep(3)
        assert (keeper.pid, keeper.up, ends) == (None, False, [])

        Path("worker").touch()
        free = True

        try:
            await until(lambda: keeper.up)
        finally:
            Path("worker").unlink()


async def test_it_does_not_outlive_its_parent(tmp_path):
    """kill -9 of `serve`: the kernel ends the job process with it, also one that looks at nothing any more."""
    parent = f"""
import asyncio, sys
from imagemill.configuration import load
from imagemill.supervisor import Supervisor
async def main():
    keeper = Supervisor(load(None, {{}}, {{"signing": {{"mode": "unsigned"}}}}), relay=print,
                        command=[sys.executable, "-c", {MUTE!r}, "worker"])
    keeper.start()
    while not keeper.up:
        await asyncio.sleep(0.02)
    print(keeper.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    serve = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    assert serve.stdout
    try:
        async with asyncio.timeout(60):
            pid = 0
            while not pid:
                line = (await serve.stdout.readline()).strip()
                pid = int(line) if line.isdigit() else 0
        assert alive(pid)
    finally:
        serve.kill()
        await serve.wait()

    await until(lambda: not alive(pid))


async def test_one_that_does_not_heed_the_stop_is_ended():
    """The grace, and a little more; `serve` then ends."""
    deaf = STEADY.replace("sys.exit(0)", "None")
    async with supervised(deaf) as (keeper, _, _):
        await until(lambda: keeper.up)
        pid = keeper.pid
        begun = asyncio.get_running_loop().time()
        await keeper.close()
        assert 1.0 <= asyncio.get_running_loop().time() - begun < 40.0
        assert not alive(pid)


@pytest.mark.parametrize("cut", [b"", b"\0\0", b"\xff\xff\xff\xff", b"\0\0\0\5nonsn"])
async def test_one_that_talks_nonsense_is_replaced(cut):
    program = CHILD + f"beat(); link.sendall({cut!r}); link.close(); time.sleep(60)"
    async with supervised(program) as (_, _, ends):
        await until(lambda: ends)

        assert ends[0] == "crash"
