"""The pictures of ``[fallback]``: from their settings to sources, and a look at each once the node runs."""

import asyncio
from collections.abc import Callable, Mapping

from imagemill.model.errors import BadRequest, ImagemillError, SettingsError, SourceForbidden
from imagemill.model.recipe import Describe
from imagemill.model.request import ImageRequest, SourceRef
from imagemill.obs.logs import Log, mask
from imagemill.plan.prepare import prepare
from imagemill.service.render import Renderer
from imagemill.settings import Limits, Settings
from imagemill.storage.base import NONE_KNOWN
from imagemill.stores import Stores


def sources(settings: Settings, named: Callable[[str], SourceRef], stores: Stores) -> dict[str, SourceRef]:
    """The source of each status; *named* knows which one a value names.

    Raises:
        SettingsError: one is no source, or of a store that is not there or not read from.
    """
    found = {}
    for status, value in settings.fallback.images.items():
        try:
            source = named(value)
        except (BadRequest, SourceForbidden) as e:
            raise SettingsError(f"fallback.images.{status}: {e}") from e
        if not _is_open(source, stores):
            raise SettingsError(f"fallback.images.{status}: {value} is of no store that sources are read from")
        found[status] = source
    return found


def _is_open(source: SourceRef, stores: Stores) -> bool:
    if source.scheme == "local":
        return source.address.partition("/")[0] in stores.sources
    if source.scheme == "s3":
        return any(source.address.startswith(f"{place}/") for place in stores.buckets)
    return True


class Watch:
    """Says in the log which fallback pictures cannot be shown; what is unreachable now may be there later."""

    def __init__(self, found: Mapping[str, SourceRef], renderer: Renderer, limits: Limits) -> None:
        self._sources = found
        self._renderer = renderer
        self._limits = limits
        self._log = Log("imagemill")
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin to read each of them, beside all other work."""
        if self._sources:
            self._task = asyncio.create_task(self._look())

    async def close(self) -> None:
        """Give up."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        for status, source in self._sources.items():
            plan = prepare(ImageRequest(source, (Describe(),)), self._limits)
            try:
                await self._renderer.render(plan, NONE_KNOWN)
            except ImagemillError as e:
                detail = getattr(e, "reason", "") or str(e)
                self._log.warning(
                    "a fallback image cannot be shown",
                    setting=f"fallback.images.{status}",
                    code=e.code,
                    detail=mask(detail),
                )
