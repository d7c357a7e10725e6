"""A Redis and four nodes on it, shared by the tests of a file."""

from collections.abc import Iterator

import pytest

from support.node import Node, SourceServer
from support.nodes import together
from support.redis import Server, standalone


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with standalone(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, redis: Server, source: SourceServer) -> Iterator[list[Node]]:
    with together(tmp_path_factory.mktemp("nodes"), redis.url, source, l2={"lease_s": 10.0, "wait_s": 60.0}) as nodes:
        yield nodes
