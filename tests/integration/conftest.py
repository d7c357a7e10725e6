"""Nodes and sources shared by the tests of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import Node, SourceServer, serving


@pytest.fixture(scope="module")
def source() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, source: SourceServer) -> Iterator[Node]:
    """A node that may reach `source`."""
    folder: Path = tmp_path_factory.mktemp("node")
    with serving(folder, sources=source.allowed()) as running:
        yield running
