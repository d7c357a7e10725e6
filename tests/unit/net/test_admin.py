"""Asking a node's admin port: whatever is there instead of one, it is said in one way."""

import pytest

from imagemill.model.errors import DependencyDown
from imagemill.net.admin import post


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 1), ("a b", 8081), ("a\n", 8081), ("127.0.0.1", 65_536), ("x" * 64, 8081)]
)
async def test_where_no_node_can_be(host, port):
    """Refused, no host name at all, no port at all, a name that cannot be asked for."""
    with pytest.raises(DependencyDown, match=r"(?s)no node answers at .*: .+"):
        await post(host, port, "/purge", {})
