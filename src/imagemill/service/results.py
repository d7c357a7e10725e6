"""Where the results of a job lie, for people, programs and callbacks."""

from collections.abc import Mapping

from imagemill.model.errors import ImagemillError
from imagemill.model.job import Job, ResultState
from imagemill.storage.base import Put

Addresses = dict[str, tuple[str, str | None]]
"""Rendition to its address, and to one from which anybody may read it for a while; None where there is none."""


async def addresses(job: Job, stores: Mapping[str, Put], good_for_s: int) -> Addresses:
    """Those of all that lies in *stores*; one that cannot sign just now signs nothing."""
    found: Addresses = {}
    for result in job.results:
        if result.state is ResultState.STORED and (store := stores.get(result.store)) is not None:
            found[result.name] = store.address(result.key), await _url(store, result.key, good_for_s)
    return found


async def _url(store: Put, key: str, good_for_s: int) -> str | None:
    try:
        return await store.url(key, good_for_s=good_for_s)
    except ImagemillError:
        return None
