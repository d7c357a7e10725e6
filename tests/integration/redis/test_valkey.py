"""Valkey keeps every promise of the level that nodes share: the contract's own tests, on a server of its kind."""

import pytest

from contract import test_shared
from contract.test_shared import *  # noqa: F403 - what it holds are tests
from support.redis import standalone


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with standalone(tmp_path_factory.mktemp("valkey"), valkey=True) as running:
        yield running


@pytest.fixture
def level(valkey):
    return test_shared.InRedis(valkey)
