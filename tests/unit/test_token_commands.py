"""``imagemill token …`` as an operator meets it: a token is printed once, and nothing else tells it again."""

import argparse
import json
import re
import time

import pytest

from imagemill import token_commands
from imagemill.jobs import tokens
from imagemill.model.errors import BadOption, SettingsError
from imagemill.model.token import PREFIX, known


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEMILL_JOBS__DATA", str(tmp_path / "state"))
    monkeypatch.delenv("IMAGEMILL_CONFIG", raising=False)
    return tmp_path / "state" / "tokens.json"


def run(capsys, *arguments):
    """What is printed."""
    parser = argparse.ArgumentParser()

    def command(commands, name, run, text, _more):
        made = commands.add_parser(name, help=text)
        made.set_defaults(command=run, config=None)
        return made

    token_commands.add(parser.add_subparsers(required=True), command)
    given = parser.parse_args(arguments)
    assert given.command(given) == 0
    return capsys.readouterr().out


def secret_of(text):
    """What is behind the id: it may have an underscore itself."""
    return text.removeprefix(PREFIX).partition("_")[2]


NEW = ("new", "--name", "shop", "--tenant", "acme", "--scope", "submit", "--scope", "read")


def test_a_new_token_is_printed_and_kept_as_a_digest(capsys, file):
    text = run(capsys, *NEW, "--expires-in", "3600").strip()

    (kept,) = tokens.load(file)
    assert known(text, [kept], time.time()) == kept
    assert (kept.name, kept.tenant, kept.scopes) == ("shop", "acme", ("read", "submit"))
    assert 3500 < kept.expires_s - time.time() <= 3600
    assert secret_of(text) not in file.read_text()


def test_the_list_shows_what_cannot_be_used(capsys, file):
    text = run(capsys, *NEW).strip()

    shown, as_json = run(capsys, "list"), json.loads(run(capsys, "list", "--json"))

    assert re.search(r"^[0-9a-f]{8} +shop +acme +read,submit +expires never$", shown, re.MULTILINE)
    assert as_json[0] | {"id": "", "created": ""} == {
        "id": "", "name": "shop", "tenant": "acme", "scopes": ["read", "submit"], "created": "", "expires": None,
    }  # fmt: skip
    digest = tokens.load(file)[0].sha256
    for secret in (secret_of(text), digest):
        assert secret not in shown + json.dumps(as_json)


def test_revoking_the_last_one_says_what_that_means(capsys, file):
    run(capsys, *NEW)
    run(capsys, *NEW)
    first, second = (token.id for token in tokens.load(file))

    assert run(capsys, "revoke", first) == f"revoked: {first} shop\n"
    assert "on this machine only" in run(capsys, "revoke", second)
    assert tokens.load(file) == ()
    with pytest.raises(SettingsError, match=first):
        run(capsys, "revoke", first)


def test_an_empty_list_says_what_that_means(capsys, file):
    """On standard error: scripts read an empty list."""
    given = argparse.Namespace(config=None, json=False)

    assert token_commands._list(given) == 0

    shown = capsys.readouterr()
    assert (shown.out, "this machine only" in shown.err) == ("", True)


@pytest.mark.parametrize(
    "wrong", [("--scope", "root"), ("--expires-in", "0"), ("--expires-in", "-1"), ("--expires-in", "x")]
)
def test_wrong_use(capsys, file, wrong):
    with pytest.raises(SystemExit):
        run(capsys, *NEW, *wrong)

    assert not file.exists()


@pytest.mark.parametrize("tenant", ["a b", "../x", "", "a" * 65])
def test_a_tenant_is_a_plain_name(capsys, file, tenant):
    with pytest.raises(BadOption):
        run(capsys, *NEW, "--tenant", tenant)

    assert not file.exists()
