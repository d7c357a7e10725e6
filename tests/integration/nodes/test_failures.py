"""What is in vain on one node is in vain on all for a short time: a bad address is no way to wake a source up."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from support.node import PHOTO, Node, SourceServer
from support.nodes import image, l2_events, renders, together
from support.redis import Server, until


def wide() -> bytes:
    out = io.BytesIO()
    Image.new("1", (17_000, 1)).save(out, "PNG")
    return out.getvalue()


CASES = {
    "missing": (None, 404, "source_not_found"),
    "no picture": (b"%PDF-1.7 " + bytes(200), 415, "unsupported_source_type"),
    "broken": (PHOTO[:3000], 422, "image_corrupt"),
    "too large": (wide(), 422, "limit_exceeded"),
}


@pytest.mark.parametrize("name", CASES)
def test_asked_once_by_four(four: Sequence[Node], source: SourceServer, name: str) -> None:
    """The source is asked once in the cluster, and each node gives the same answer."""
    body, status, code = CASES[name]
    path = f"/{name.replace(' ', '-')}.jpg"
    if body is not None:
        source.bodies[path] = body
    stored = l2_events(four[0], "stored")
    first = four[0].get(image(source, path))
    until(lambda: l2_events(four[0], "stored") > stored, "it is told")

    rest = [node.get(image(source, path)) for node in four[1:]]

    assert [(a.status, a.problem["code"]) for a in (first, *rest)] == [(status, code)] * 4
    assert source.asked(path) == 1


def test_another_width_of_what_is_missing(four: Sequence[Node], source: SourceServer) -> None:
    """What one node found of the source itself holds for all that is made of it, on all nodes."""
    stored = l2_events(four[0], "stored")
    assert four[0].get(image(source, "/nowhere.jpg", "&width=10")).status == 404
    until(lambda: l2_events(four[0], "stored") >= stored + 2, "both are told")

    answers = [node.get(image(source, "/nowhere.jpg", f"&width={n}")).status for n, node in enumerate(four, 20)]

    assert answers == [404] * 4
    assert source.asked("/nowhere.jpg") == 1


def test_it_is_forgotten(tmp_path: Path, redis: Server, source: SourceServer) -> None:
    """After `cache.negative_ttl_s` it is tried again, once for all."""
    target = image(source, "/late.jpg")
    with together(tmp_path, redis.url, source, count=2, cache={"negative_ttl_s": 5.0}) as nodes:
        assert [node.get(target).status for node in nodes] == [404, 404]
        source.bodies["/late.jpg"] = PHOTO

        until(lambda: nodes[1].get(target).status == 200, "it is tried again")

        assert nodes[0].get(target).status == 200
        assert source.asked("/late.jpg") == 2
        assert renders(nodes) == 1
