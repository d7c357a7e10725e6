"""What the composition root hands to the parts."""

import time

from imagemill.settings import Cache, Settings, Signing
from imagemill.storage.base import Blob
from imagemill.wiring import Service


async def test_the_source_cache_is_bounded_in_bytes_and_by_a_minute():
    """Section 4: it counts bodies, not entries, and gives nothing back that is older than a minute."""
    service = Service(Settings(signing=Signing(mode="unsigned"), cache=Cache(source_bytes=1 << 20)))
    now = time.monotonic()
    try:
        for n in range(10):
            service.sources.put(str(n), Blob(bytes(200_000)), now, ttl_s=9_999)

        assert 0 < service.sources.used_bytes <= 1 << 20
        kept = [n for n in range(10) if service.sources.get(str(n), now)]
        assert 1 <= len(kept) <= 5
        assert not any(service.sources.get(str(n), now + 60) for n in kept)
    finally:
        await service.client.close()
