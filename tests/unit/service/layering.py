"""A node whose pictures have layers, and what stands for an engine there."""

import asyncio

from imagemill.engines.base import Made, Stages
from imagemill.model.keys import etag
from imagemill.model.media import Format, Rendition
from imagemill.model.recipe import Encode, Layer, SourceRef, sources
from imagemill.model.request import ImageRequest
from imagemill.plan.prepare import prepare
from imagemill.service.render import Renderer
from imagemill.settings import Limits
from imagemill.storage.base import NONE_KNOWN, Blob, Unchanged
from unit.service.cluster import SOURCE, Node

LOGO = SourceRef("http", "http://example.com/logo.png")


MARK = SourceRef("http", "http://example.com/mark.png")


PNG = Encode(Format.PNG)


def asked(*layers, **terms):
    """The plan of a picture with *layers*, as a request for it has."""
    return prepare(ImageRequest(SOURCE, (*map(Layer, layers), PNG), **terms), Limits())


class Pictures:
    """Sources by address, each with a version and terms of its own; some fail."""

    def __init__(self) -> None:
        self.said = {ref.address: {"etag": "v1"} for ref in (SOURCE, LOGO, MARK)}
        self.errors, self.asked = {}, []
        self.together = None

    def say(self, source, **said):
        self.said[source.address].update(said)

    async def get(self, key, /, *, limit, known=NONE_KNOWN):
        self.asked.append((key, known))
        if self.together:
            await asyncio.wait_for(self.together.wait(), 10)
        if key in self.errors:
            raise self.errors[key]
        blob = Blob(f"{key} {self.said[key]['etag']}".encode(), **self.said[key])
        return Unchanged() if known and known == blob.validators else blob

    def count(self, source):
        return sum(key == source.address for key, _ in self.asked)


class Engine:
    """Makes what tells all its sources."""

    def __init__(self) -> None:
        self.runs, self.error = 0, None

    async def run(self, source, tasks, layers):
        self.runs += 1
        if self.error:
            raise self.error
        for task in tasks:
            body = b"|".join((source, *(layers[name] for name in sources(task.recipe))))
            yield Made(Rendition(body, Format.PNG, etag(body), 1, 1), Stages())


class LayeredNode(Node):
    """A `Node` whose engine tells of layers."""

    def __init__(self, hub, source, layer_bytes=10_000, **settings):
        super().__init__(hub, source, **settings)
        self.engine = Engine()
        policy = self.service._settings
        self.service._renderer = Renderer(
            self.origin, self.engine, self.gate, policy, lambda: 8_018_000, layer_bytes=layer_bytes
        )
