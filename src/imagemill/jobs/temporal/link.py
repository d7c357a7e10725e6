"""One connection to Temporal for an engine: made when it is first needed, checked once, and its few verbs.

Errors   `DependencyDown` while the service does not answer.
"""

import asyncio
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from imagemill.jobs.temporal.connection import RPC, as_ours, connect, ensure_attributes
from imagemill.model.errors import DependencyDown
from imagemill.obs.logs import Log
from imagemill.settings import Temporal

_log = Log("imagemill.jobs")


class Link:
    """A client, once there is one."""

    def __init__(self, settings: Temporal) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    @property
    def queue(self) -> str:
        """Task queue of the workflows, and prefix of the others and of all ids."""
        return self._settings.task_queue

    async def open(self) -> None:
        """Connect now, or say that it is not possible yet; `SettingsError` where it never will be."""
        try:
            await self.client()
        except DependencyDown as e:
            _log.warning("temporal_down", reason=str(e))

    async def client(self) -> Client:
        """The client."""
        if self._client is None:
            async with self._opening:
                self._client = self._client or await self._connected()
        return self._client

    async def _connected(self) -> Client:
        client = await connect(self._settings)
        await ensure_attributes(client)
        return client

    def close(self) -> None:
        """Forget it; the SDK closes the connection when nothing refers to it any more."""
        self._client = None

    async def start(self, workflow: str, order: object, workflow_id: str, *, again: bool = False, **rest: Any) -> bool:
        """Start a workflow, durable when it returns; False where the id is taken, *again* = by one that still runs."""
        client = await self.client()
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
        fail = WorkflowIDConflictPolicy.FAIL
        try:
            with as_ours():
                await client.start_workflow(
                    workflow, order, id=workflow_id, task_queue=self.queue, id_reuse_policy=reuse,
                    id_conflict_policy=fail, rpc_timeout=RPC, **rest,
                )  # fmt: skip
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def described(self, kind: str, workflow_id: str) -> WorkflowExecutionDescription | None:
        """What the service knows of a workflow, exactly and without any worker; None = there is none of that *kind*."""
        client = await self.client()
        try:
            with as_ours():
                found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC)
        except RPCError:
            return None
        return found if found.workflow_type == kind else None

    async def signal(self, workflow_id: str, signal: str) -> bool:
        """Tell a workflow something, durable when it returns; False where it does not run any more."""
        client = await self.client()
        try:
            with as_ours():
                await client.get_workflow_handle(workflow_id).signal(signal, rpc_timeout=RPC)
        except RPCError:
            return False
        return True

    async def cancel(self, workflow_id: str) -> None:
        """Ask a workflow to stop, unless it is over."""
        client = await self.client()
        try:
            with as_ours():
                await client.get_workflow_handle(workflow_id).cancel(rpc_timeout=RPC)
        except RPCError:
            return

    async def count(self, filter_: str) -> int:
        """How many workflows the visibility store finds; it is a little behind."""
        client = await self.client()
        with as_ours():
            return (await client.count_workflows(filter_, rpc_timeout=RPC)).count
