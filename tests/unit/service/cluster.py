"""Nodes of the service layer on one `Hub`: everything real but the source, the engine and Redis."""

import asyncio
import time

from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purge, Purges, Subject
from imagemill.engines.base import Made, Stages
from imagemill.model.entry import DAY_S, Entry, Validators
from imagemill.model.keys import etag, result_key, source_key
from imagemill.model.media import Format, Rendition
from imagemill.model.recipe import Encode
from imagemill.model.request import Plan, SourceRef
from imagemill.service.gate import Gate
from imagemill.service.origin import Origin
from imagemill.service.render import Renderer
from imagemill.service.transcode import Transcoder
from imagemill.settings import Cache as CacheSettings
from imagemill.settings import Gate as GateSettings
from imagemill.storage.base import NONE_KNOWN, Blob, Unchanged
from support.shared import Hub, MemoryShared

SOURCE = SourceRef("http", "http://example.com/a.png")
SOURCE_KEY = source_key(SOURCE)
ENGINE = 8_018_000


def plan(width: int = 1, **terms) -> Plan:
    recipe = (Encode(Format.JPEG, width),)
    return Plan(result_key(SOURCE, recipe), SOURCE, SOURCE_KEY, recipe, **terms)


def hub(lease_s=0.3, stale_s=3_600) -> Hub:
    return Hub(lease_s=lease_s, idle_s=21_600, stale_s=stale_s, negative_s=10)


class Source:
    """A source of one picture, that answers conditional requests and counts."""

    def __init__(self, etag="v1", **said) -> None:
        self.etag, self.said = etag, said
        self.error: Exception | None = None
        self.wait_s = 0.0
        self.asked: list[Validators] = []

    async def get(self, _key, /, *, limit, known=NONE_KNOWN):
        self.asked.append(known)
        found = self.error or (Unchanged(**self.said) if known and known.etag == self.etag else None)
        found = found or Blob(b"source " + self.etag.encode(), self.etag, **self.said)
        if self.wait_s:
            await asyncio.sleep(self.wait_s)
        if isinstance(found, Exception):
            raise found
        return found


class Engine:
    """Makes what tells its source's version; slow, or in vain, if so told."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.wait_s = 0.0
        self.runs = 0

    async def run(self, source, _tasks, layers):
        self.runs += 1
        if self.wait_s:
            await asyncio.sleep(self.wait_s)
        if self.error:
            raise self.error
        body = b"of " + source
        yield Made(Rendition(body, Format.PNG, etag(body), 1, 1), Stages())


class Node:
    """One node: its own caches, purges and engine; *source* and the hub are everyone's."""

    def __init__(
        self, hub: Hub, source: Source, *, engine=ENGINE, wait_s=5.0, tell=None, gate=None, purges=None, **settings
    ) -> None:
        policy = CacheSettings(early_refresh=settings.pop("early_refresh", 0), **settings)
        self.source, self.engine, self.shared = source, Engine(), MemoryShared(hub)
        self.l1, self.sources, self.failures, self.versions = (
            MemoryCache(10_000_000, 300, lambda _: 1) for _ in range(4)
        )
        self.purges = Purges(100) if purges is None else purges
        self.gate = Gate(gate or GateSettings(), 4)
        self.outcomes: list[str] = []
        self.origin = Origin(source, {}, {}, self.sources, self.failures, self.purges, policy, limit=10_000)
        renderer = Renderer(self.origin, self.engine, self.gate, policy, lambda: engine)
        self.service = Transcoder(
            renderer, self.l1, self.shared, self.failures, self.versions, self.purges, policy, wait_s=wait_s,
            engine=lambda: engine, tell=tell, observe=lambda outcome, *_: self.outcomes.append(outcome),
        )  # fmt: skip

    async def ask(self, asked: Plan | None = None) -> str:
        """The tier that answers."""
        return (await self.service.serve(asked or plan())).tier

    def purge(self, subject: Subject, name: str) -> None:
        self.purges.note(Purge.of(subject, name, self.purges.now_ms()))


async def settled(*nodes: Node) -> None:
    """Until nothing is made behind answers any more."""
    end = time.monotonic() + 5
    while any(node.service._behind for node in nodes):
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def old(age_s: float, life_s=DAY_S, version="v1", **terms) -> Entry:
    """An entry born *age_s* ago."""
    terms.setdefault("engine", ENGINE)
    terms.setdefault("asked_ms", int((time.time() - age_s) * 1000))
    terms.setdefault("validators", Validators(version))
    body = b"of source " + version.encode()
    rendition = Rendition(body, Format.PNG, etag(body), 1, 1)
    return Entry(rendition, time.time() - age_s, life_s, SOURCE_KEY, **terms)
