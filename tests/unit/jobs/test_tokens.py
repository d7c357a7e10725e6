"""The file of tokens: whole or not at all, seen within a second, and shut where it is not to be trusted."""

import json
import logging
import os
import threading

import pytest

from imagemill.jobs import tokens
from imagemill.jobs.tokens import Register, TokenFile
from imagemill.model.errors import SettingsError
from imagemill.model.token import Scope, make


def token(number):
    return make(lambda size: number.to_bytes(size, "big"), f"t{number}", "acme", [Scope.READ], 1_800_000_000)[1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "tokens.json"


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def test_added_and_removed(path):
    """The directory is made, and both are the owner's alone."""
    tokens.add(path, token(1))
    tokens.add(path, token(2))

    assert tokens.load(path) == (token(1), token(2))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert tokens.remove(path, token(1).id) == token(1)
    assert tokens.load(path) == (token(2),)
    assert sorted(p.name for p in path.parent.iterdir()) == [".tokens.json.lock", "tokens.json"]


def test_what_is_not_there_cannot_be_revoked(path):
    with pytest.raises(SettingsError, match="deadbeef"):
        tokens.remove(path, "deadbeef")


def test_the_same_id_twice_is_refused(path):
    tokens.add(path, token(1))

    with pytest.raises(SettingsError, match="exists"):
        tokens.add(path, token(1))


def test_of_many_at_once_none_is_lost(path):
    """Two operators, or two scripts, at the same time."""
    threads = [threading.Thread(target=tokens.add, args=(path, token(n))) for n in range(20)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {t.name for t in tokens.load(path)} == {f"t{n}" for n in range(20)}


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    tokens.add(path, token(1))
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagemill.jobs.tokens.os.fsync", full)
    with pytest.raises(SettingsError, match="No space"):
        tokens.add(path, token(2))

    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2


def test_changes_are_seen_within_a_second(path):
    """And a file is not looked at more often than that."""
    clock = Clock()
    file = TokenFile(path, clock)
    assert file.read() == Register()

    tokens.add(path, token(1))
    clock.now_s = 0.9
    assert file.read() == Register()
    clock.now_s = 1.0
    assert file.read() == Register((token(1),))

    tokens.remove(path, token(1).id)
    clock.now_s = 2.0
    assert file.read() == Register()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"\xff", b'{"tokens": [{}]}', b'{"tokens": [], "more": 1}', b'{"tokens": null}',
        json.dumps({"tokens": [{"id": "a", "name": "a", "tenant": "a", "scopes": ["root"], "created_s": 1,
                                "sha256": "0" * 64}]}).encode(),
    ],
)  # fmt: skip
def test_a_damaged_file_lets_nobody_in(path, body, caplog):
    """J08: never open access; said once, and mended as soon as the file is."""
    clock = Clock()
    tokens.add(path, token(1))
    file = TokenFile(path, clock)
    assert file.read().tokens

    path.write_bytes(body)
    clock.now_s = 1.0
    with caplog.at_level(logging.ERROR):
        assert file.read() == Register(readable=False)
        clock.now_s = 2.0
        assert file.read() == Register(readable=False)

    assert len(caplog.records) == 1
    path.unlink()
    tokens.add(path, token(2))
    clock.now_s = 3.0
    assert file.read() == Register((token(2),))


def test_nothing_is_added_to_a_damaged_file(path):
    tokens.add(path, token(1))
    path.write_bytes(b"{")

    with pytest.raises(SettingsError, match="damaged"):
        tokens.add(path, token(2))

    assert path.read_bytes() == b"{"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_lets_nobody_in(path, mode):
    tokens.add(path, token(1))
    path.chmod(mode)

    assert TokenFile(path).read() == Register(readable=False)


def test_a_file_of_a_stranger_lets_nobody_in(path, monkeypatch):
    """Where every user may make files, somebody may have made this one."""
    tokens.add(path, token(1))
    real = os.fstat

    def of_a_stranger(descriptor):
        found = real(descriptor)
        return os.stat_result((*found[:4], found.st_uid + 1, *found[5:]))

    monkeypatch.setattr(tokens.os, "fstat", of_a_stranger)

    assert TokenFile(path).read() == Register(readable=False)
    with pytest.raises(SettingsError, match="is the file of user"):
        tokens.load(path)


def test_a_file_that_is_taken_away_lets_nobody_in(path):
    """J08: whoever can make it vanish, or a volume that is not mounted, opens nothing; a last token's revocation does."""
    clock = Clock()
    tokens.add(path, token(1))
    file = TokenFile(path, clock)
    assert file.read().tokens

    path.unlink()
    clock.now_s = 1.0
    assert file.read() == Register(readable=False)
    tokens.add(path, token(2))
    tokens.remove(path, token(2).id)
    clock.now_s = 2.0
    assert file.read() == Register()


def test_what_is_no_file_lets_nobody_in(path):
    path.mkdir(parents=True)

    assert TokenFile(path).read() == Register(readable=False)


def test_what_cannot_be_reached_lets_nobody_in(path):
    path.parent.write_bytes(b"a file where the directory should be")

    assert TokenFile(path).read() == Register(readable=False)
