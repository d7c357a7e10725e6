"""Real servers shared by the tests of a file."""

import pytest

from support.redis import cluster, standalone


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with standalone(tmp_path_factory.mktemp("redis"), "--enable-debug-command", "yes") as running:
        yield running


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def empty(server):
    server.admin.flushall()
    return server
