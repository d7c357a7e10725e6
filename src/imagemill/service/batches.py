"""Read and judge many jobs that come as one, without holding up the loop that they came in by."""

import asyncio
from collections.abc import Sequence

from msgspec import Raw

from imagemill.model.errors import BadOption, ImagemillError, LimitExceeded
from imagemill.model.job import JobSpec
from imagemill.service.admission import Admitting
from imagemill.service.bodies import Digest, Fields, at, fields
from imagemill.service.orders import FIELDS, Reader

TOGETHER = 16
"""Jobs that are read at once and judged at a time; then the loop has its turn."""


def bounded(found: Sequence[Raw], where: str, most: int) -> Sequence[Raw]:
    """*found*, where it is something, and not too much."""
    if len(found) > most:
        raise LimitExceeded("batch", f"{where}: {len(found)} > {most}")
    if not found:
        raise BadOption(f"{where}: at least one is wanted")
    return found


async def read_all(
    found: Sequence[Raw],
    where: str,
    reader: Reader,
    admitting: Admitting,
    *,
    defaults: Fields | None = None,
    digest: Digest | None = None,
) -> list[JobSpec]:
    """The jobs that *found* describes over *defaults*, in order; an error tells *where*, with the number filled in."""
    specs: list[JobSpec] = []
    left = reader.batch_renditions
    for start in range(0, len(found), TOGETHER):
        some = found[start : start + TOGETHER]
        unjudged = [_read(raw, where.format(n), reader, defaults or {}) for n, raw in enumerate(some, start)]
        judged = await asyncio.gather(*(admitting.admit(spec) for spec in unjudged), return_exceptions=True)
        for n, outcome in enumerate(judged, start):
            if isinstance(outcome, ImagemillError):
                raise at(outcome, where.format(n))
            if isinstance(outcome, BaseException):
                raise outcome
            specs.append(outcome)
            left -= len(outcome.renditions)
        if left < 0:
            raise LimitExceeded("batch_renditions", f"renditions of all jobs: more than {reader.batch_renditions}")
        if digest:
            for raw in some:
                digest.add(raw)
        await asyncio.sleep(0)
    return specs


def _read(raw: Raw, where: str, reader: Reader, defaults: Fields) -> JobSpec:
    own = fields(raw, where, FIELDS)
    if "delay" in own or "not_before" in own:  # of two that exclude each other, its own
        defaults = {name: value for name, value in defaults.items() if name not in {"delay", "not_before"}}
    try:
        return reader.spec({**defaults, **own})
    except ImagemillError as e:
        raise at(e, where) from e
