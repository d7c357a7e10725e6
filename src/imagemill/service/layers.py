"""From plans to all the sources that they need: that of the picture, and those of the layers on it.

Each is fetched as any source: by the same guard, limits, cache and flights. Without one of them there is no picture.

Terms    what is made of several may be kept as long and by as many as each of them allows; it has no validators, as
         no one date or tag tells whether all are still the same.
Errors   as `service.origin.Origin.get`; that of a layer names it. `LimitExceeded` where they are too many or too large.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from imagemill.engines.base import Layers
from imagemill.model.entry import Validators
from imagemill.model.errors import LimitExceeded
from imagemill.model.keys import source_key
from imagemill.model.recipe import sources
from imagemill.model.request import Plan
from imagemill.model.source import SourceRef, at_fault
from imagemill.service.origin import Origin
from imagemill.storage.base import NONE_KNOWN, Blob, Unchanged

MOST_AT_ONCE = 64
"""Different layers of all renditions of one job."""


class Seen(Struct, frozen=True):
    """A source in the version in which it was fetched."""

    source_key: str
    version: str
    """Empty where the source does not say."""
    asked_ms: int


class Fetched(Struct, frozen=True):
    """The sources of some plans."""

    main: Blob
    layers: Mapping[SourceRef, Blob] = {}

    @property
    def bodies(self) -> Layers:
        """The layers, for an engine."""
        return {source: blob.body for source, blob in self.layers.items()}

    @property
    def size_bytes(self) -> int:
        """Of all of them."""
        return len(self.main.body) + sum(len(blob.body) for blob in self.layers.values())

    def terms(self, plan: Plan) -> Blob:
        """What holds for all that goes into the picture of *plan*, as if it were one source; without its bytes."""
        own = self._of(plan)
        if not own:
            return replace(self.main, body=b"")
        blobs = [self.main, *own.values()]
        lives = [blob.max_age_s for blob in blobs if blob.max_age_s is not None]
        return Blob(
            b"",
            max_age_s=min(lives, default=None),
            storable=all(blob.storable for blob in blobs),
            born_s=min(blob.born_s for blob in blobs),
            asked_ms=min(blob.asked_ms for blob in blobs),
        )

    def seen(self, plan: Plan) -> tuple[Seen, ...]:
        """The versions of all that goes into the picture of *plan*."""
        own = ((source_key(source), blob) for source, blob in self._of(plan).items())
        blobs = ((plan.source_key, self.main), *own)
        return tuple(Seen(key, blob.validators.version, blob.asked_ms) for key, blob in blobs)

    def _of(self, plan: Plan) -> dict[SourceRef, Blob]:
        return {source: self.layers[source] for source in sources(plan.recipe)} if self.layers else {}


async def fetch(
    origin: Origin, plans: Sequence[Plan], known: Validators = NONE_KNOWN, *, most_bytes: int, after_s: float = 0.0
) -> Fetched | Unchanged:
    """All that *plans*, of one source, need; without layers, `Unchanged` where that is still the one *known*."""
    if not any(sources(plan.recipe) for plan in plans):
        got = await origin.get(plans[0], known, after_s=after_s)
        return got if isinstance(got, Unchanged) else Fetched(got)
    others = asyncio.create_task(fetch_layers(origin, plans, most_bytes=most_bytes, after_s=after_s))
    try:
        main = await origin.get(plans[0], after_s=after_s)
        layers = await others
    finally:
        await _ended([others])
    assert isinstance(main, Blob), "nothing is known of it that it could be the same as"
    return Fetched(main, layers)


async def fetch_layers(
    origin: Origin, plans: Sequence[Plan], *, most_bytes: int, after_s: float = 0.0
) -> dict[SourceRef, Blob]:
    """Those of *plans*, all at once; of several that are at fault, the first that is named is told of."""
    wanted = _wanted(plans)
    work = [asyncio.create_task(_layer(origin, plans[0], source, after_s)) for source in wanted]
    try:
        found = [await each for each in work]
    finally:
        await _ended(work)
    if (size := sum(len(blob.body) for blob in found)) > most_bytes:
        raise LimitExceeded("layer_bytes", f"layers: {size} > {most_bytes} bytes in all")
    return dict(zip(wanted, found, strict=True))


def _wanted(plans: Sequence[Plan]) -> tuple[SourceRef, ...]:
    wanted = tuple(dict.fromkeys(source for plan in plans for source in sources(plan.recipe)))
    if len(wanted) > MOST_AT_ONCE:
        raise LimitExceeded("layers", f"layers: {len(wanted)} different ones of one job; {MOST_AT_ONCE} at most")
    return wanted


async def _layer(origin: Origin, plan: Plan, source: SourceRef, after_s: float) -> Blob:
    with at_fault(source):
        got = await origin.get(replace(plan, source=source, source_key=source_key(source)), after_s=after_s)
    assert isinstance(got, Blob), "nothing is known of it that it could be the same as"
    return got


async def _ended(work: Sequence[asyncio.Task[Any]]) -> None:
    """Give up what is still under way, and see what has failed."""
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
