"""What the doctor says of jobs: where they are kept, who does them, and who may submit any."""

import os
import sqlite3
import time

import pytest

from imagemill import doctor
from imagemill.configuration import load
from imagemill.jobs import tokens
from imagemill.jobs.embedded import lock
from imagemill.model.token import Scope, make

SECRET = "whsec_c2VjcmV0IHRoYXQgbm9ib2R5IG1heSBzZWUgaW4gcHM="


def settings(data, **tables):
    out = {"kind": "file", "root": str(data), "write": True}
    given = {"signing": {"mode": "unsigned"}, "storage": {"out": out}, "jobs": {"data": str(data)}}
    return load(None, {}, given | tables)


async def findings(given, **first):
    return {f.check: (f.state, f.detail) for f in await doctor._jobs(given, **first)}


async def test_a_directory_that_is_not_there_yet(tmp_path):
    """It could be made, and is not."""
    found = await findings(settings(tmp_path / "a" / "b"))

    state, words = found["jobs"]
    assert (state, str(tmp_path / "a" / "b") in words, sqlite3.sqlite_version in words) == ("ok", True, True)
    assert "no job process" in words
    assert "this machine only" in found["job tokens"][1]
    assert "nobody can be called back" in found["callbacks"][1]
    assert not (tmp_path / "a").exists()


async def test_what_is_at_work_and_who_may_submit(tmp_path):
    tokens.add(tmp_path / "tokens.json", make(os.urandom, "shop", "acme", [Scope.READ], time.time())[1])
    async with lock.only_one(tmp_path):
        found = await findings(settings(tmp_path, callbacks={"secrets": {"main": [SECRET]}}))

    assert "; a job process is at work" in found["jobs"][1]
    assert found["job tokens"] == ("ok", f"1 in {tmp_path / 'tokens.json'}")
    assert found["callbacks"] == ("ok", "main")


async def test_what_is_wrong_fails(tmp_path):
    """A directory that is none, and tokens that cannot be known."""
    (tmp_path / "file").touch()
    (tmp_path / "tokens.json").write_text("{")

    nowhere = await findings(settings(tmp_path / "file" / "below"))
    damaged = await findings(settings(tmp_path))

    assert (nowhere["jobs"][0], "cannot be made" in nowhere["jobs"][1]) == ("fail", True)
    assert (damaged["job tokens"][0], "nobody is let in" in damaged["job tokens"][1]) == ("fail", True)


@pytest.mark.parametrize(
    ("tables", "words"),
    [({"jobs": {"engine": "off"}}, "jobs.engine says so"), ({"storage": {}}, "no [storage.<name>] has write = true")],
)
async def test_jobs_that_are_off_are_no_failure(tmp_path, tables, words):
    assert await findings(settings(tmp_path, **tables)) == {"jobs": ("ok", f"off; {words}")}


async def test_a_first_run_would_make_a_store(tmp_path):
    """Said as it will be, not as it is; where it could not, why."""
    (tmp_path / "file").touch()

    will = await findings(settings(tmp_path / "state", storage={}), evaluating=True)
    cannot = await findings(settings(tmp_path / "file" / "below", storage={}), evaluating=True)

    assert will["jobs"][1].startswith("not yet; `serve` makes")
    assert "cannot be made or written" in cannot["jobs"][1]


async def test_without_a_home_a_first_run_has_no_jobs(monkeypatch):
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    given = load(None, {}, {"signing": {"mode": "unsigned"}})

    assert (await findings(given, evaluating=True))["jobs"][0] == "ok"
