"""`imagemill health` where there is no node to ask; where there is one: integration/deploy."""

import os

import pytest

from imagemill import cli, health


@pytest.fixture(autouse=True)
def environ(monkeypatch):
    """No setting of whoever runs the tests."""
    for name in [n for n in os.environ if n.startswith("IMAGEMILL_")]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("run", [health.main, lambda words: cli.main(["health", *words])], ids=["alone", "command"])
def test_nobody_answers(capsys, run):
    """Port 1 answers nobody: exit status 1, and where it was asked."""
    assert run(["--admin-port", "1"]) == 1
    assert "no node answers at 127.0.0.1:1: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "asked"), [([], "127.0.0.1:2:"), (["--worker"], "127.0.0.1:3:"), (["--admin-port", "4"], "127.0.0.1:4:")]
)
def test_whom_it_asks(capsys, environ, words, asked):
    """The node of the settings, its worker, or the port that is named; where all addresses are listened on, loopback."""
    environ.setenv("IMAGEMILL_SERVER__ADMIN_HOST", "0.0.0.0")
    environ.setenv("IMAGEMILL_SERVER__ADMIN_PORT", "2")
    environ.setenv("IMAGEMILL_JOBS__ADMIN_PORT", "3")

    assert health.main(words) == 1
    assert asked in capsys.readouterr().err


def test_a_wrong_setting(capsys, environ):
    """Said as elsewhere, with the status of wrong use."""
    environ.setenv("IMAGEMILL_SERVER__PROT", "1")

    assert health.main([]) == 2
    assert "did you mean port?" in capsys.readouterr().err
