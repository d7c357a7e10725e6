"""What `doctor` says of jobs, before anyone has submitted one."""

import pytest

from imagemill.configuration import load
from imagemill.doctor_jobs import examine

SECRET = "whsec_" + "c2VjcmV0IHRoYXQgbm9ib2R5IG1heSBzZWUgaW4gcHM="


@pytest.fixture
def tables(tmp_path):
    for name in ("data", "out"):
        (tmp_path / name).mkdir(mode=0o700)
    return {
        "signing": {"mode": "unsigned"},
        "jobs": {"data": str(tmp_path / "data")},
        "storage": {"out": {"kind": "file", "root": str(tmp_path / "out"), "write": True}},
        "callbacks": {"secrets": {"shop": [SECRET]}},
    }


async def findings(tables):
    return {f.check: (f.state, f.detail) for f in await examine(load(None, {}, tables))}


async def test_all_is_well(tables, tmp_path):
    """In a word each, and no secret in any."""
    found = await findings(tables)

    assert {check: state for check, (state, _) in found.items()} == dict.fromkeys(
        ["jobs", "job data", "sqlite", "tokens", "callback secrets"], "ok"
    )
    assert found["job data"][1] == f"{tmp_path / 'data'}; no job process is running"
    assert found["callback secrets"][1] == "shop"
    assert list((tmp_path / "data").iterdir()) == []


async def test_off_is_well_too(tables):
    del tables["storage"]

    assert await findings(tables) == {"jobs": ("ok", "off; no [storage.<name>] has write = true")}


async def test_a_directory_that_does_not_exist_yet(tables, tmp_path):
    tables["jobs"] = {"data": str(tmp_path / "data" / "a" / "b")}

    assert (await findings(tables))["job data"] == ("ok", f"{tmp_path / 'data' / 'a' / 'b'} will be made")


async def test_what_is_wrong_is_named(tables, tmp_path):
    """A file in the place of the directory; tokens that are none; a secret that is too short; a directory for all."""
    (tmp_path / "file").touch()
    (tmp_path / "tokens").write_text("{")
    (tmp_path / "data").chmod(0o755)
    tables["callbacks"] = {"secrets": {"shop": ["whsec_c2hvcnQ="]}}

    loose = await findings(tables)
    broken = await findings(tables | {"jobs": {"data": str(tmp_path / "file"), "tokens": str(tmp_path / "tokens")}})

    assert loose["job data"] == ("warn", f"{tmp_path / 'data'}: others have rights to it (055); chmod 700")
    assert broken["job data"][0] == "fail"
    assert (broken["tokens"][0], "nobody is let in" in broken["tokens"][1]) == ("fail", True)
    assert broken["callback secrets"][0] == "fail"
    assert "c2hvcnQ" not in str(broken)


async def test_jobs_without_a_destination(tables):
    """Named by hand, and nothing to write to: they can only warm a cache."""
    tables["jobs"]["engine"] = "embedded"
    tables["storage"]["out"]["write"] = False

    assert (await findings(tables))["destinations"][0] == "warn"
