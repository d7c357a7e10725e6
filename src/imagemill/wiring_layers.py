"""The composition root of what is fetched where there is no service: the layers of ``imagemill render``."""

from imagemill import stores
from imagemill.cache.memory import MemoryCache
from imagemill.cache.purges import Purges
from imagemill.engines.base import NO_LAYERS, Layers
from imagemill.model.entry import Failure
from imagemill.model.recipe import sources
from imagemill.model.request import Plan
from imagemill.net.client import Client
from imagemill.service.layers import fetch_layers
from imagemill.service.origin import Origin
from imagemill.settings import Settings
from imagemill.storage.base import Blob


async def layers(settings: Settings, plan: Plan) -> Layers:
    """The sources of all layers of *plan*, fetched as a service with these settings would.

    Raises:
        SourceError: one of them is at fault; the message names it.
        SourceForbidden: one may not be asked, or no such store is configured.
        LimitExceeded: they are too large together.
    """
    if not sources(plan.recipe):
        return NO_LAYERS
    from imagemill.storage.http import HttpStore  # noqa: PLC0415 - vendors are opened when asked for

    client = Client(settings.sources, settings.fetch)
    try:
        opened = stores.open_all(settings)
        kept: MemoryCache[Blob] = MemoryCache(1, 1.0, lambda blob: len(blob.body))
        failures: MemoryCache[Failure] = MemoryCache(1, 1.0, lambda _: 1)
        origin = Origin(
            HttpStore(client), opened.sources, opened.buckets, kept, failures, Purges(1), settings.cache,
            limit=settings.limits.source_bytes,
        )  # fmt: skip
        found = await fetch_layers(origin, [plan], most_bytes=settings.limits.layer_bytes)
        return {source: blob.body for source, blob in found.items()}
    finally:
        await client.close()
