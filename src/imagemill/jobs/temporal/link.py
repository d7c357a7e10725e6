"""One connection to Temporal for an engine: made when it is first needed, and checked once."""

import asyncio
import logging

from temporalio.client import Client

from imagemill.jobs.temporal.connection import connect, ensure_attributes
from imagemill.model.errors import DependencyDown
from imagemill.settings import Temporal

_log = logging.getLogger(__name__)


class Link:
    """A client, once there is one."""

    def __init__(self, settings: Temporal) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect now, or say that it is not possible yet; `SettingsError` where it never will be."""
        try:
            await self.client()
        except DependencyDown as e:
            _log.warning("temporal is not there yet", extra={"reason": str(e)})

    async def client(self) -> Client:
        """The client; `DependencyDown` while the service does not answer."""
        if self._client is not None:
            return self._client
        async with self._opening:
            if self._client is None:
                client = await connect(self._settings)
                await ensure_attributes(client)
                self._client = client
        return self._client

    def close(self) -> None:
        """Forget it."""
        self._client = None
