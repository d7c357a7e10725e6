"""Schedules, kept by Temporal: each of their times starts a workflow that makes the jobs.

A time that was missed while the service was away is made up for once, if it was within a day: what else was missed
meets the first one still running and is skipped. Lists come from the visibility store; what this process has just
put is added to them.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from msgspec.structs import replace
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
)
from temporalio.client import Schedule as TheirSchedule
from temporalio.service import RPCError, RPCStatusCode

from imagemill.jobs.temporal import names, payloads
from imagemill.jobs.temporal.connection import RPC, as_ours
from imagemill.jobs.temporal.link import Link
from imagemill.jobs.temporal.orders import ScheduleOrder, Terms
from imagemill.model.errors import BadOption, LimitExceeded
from imagemill.model.job import Schedule

_CATCH_UP = timedelta(days=1)
_RECENT_S = 60.0


class Schedules:
    """Make, change, list and forget them."""

    def __init__(self, link: Link, terms: Terms, most: int) -> None:
        """Of one tenant, *most* at most; what several processes put at the same time may go beyond it."""
        self._link = link
        self._terms = terms
        self._most = most
        self._recent: dict[str, float] = {}

    async def put(self, schedule: Schedule) -> Schedule:
        """Make it, or change the one of that name and tenant."""
        client = await self._link.client()
        await payloads.check_size(ScheduleOrder(schedule, self._terms), "body_bytes")
        id_ = names.schedule_id(self._terms.prefix, schedule.tenant, schedule.name)
        await self._keep_to(schedule)
        theirs = self._theirs(id_, schedule)
        with as_ours(), _judged():
            try:
                await client.create_schedule(id_, theirs, rpc_timeout=RPC)
            except ScheduleAlreadyRunningError:
                handle = client.get_schedule_handle(id_)
                await handle.update(lambda _: ScheduleUpdate(theirs), rpc_timeout=RPC)
        self._recent[id_] = time.monotonic()
        return await self._read(client, id_) or schedule

    async def all(self, tenant: str | None) -> tuple[Schedule, ...]:
        """All of a tenant's, or everyone's, by name."""
        client = await self._link.client()
        known = await asyncio.gather(*(self._read(client, id_) for id_ in await self._ids(client)))
        found = [s for s in known if s is not None and (tenant is None or s.tenant == tenant)]
        return tuple(sorted(found, key=lambda s: (s.name, s.tenant)))

    async def _keep_to(self, schedule: Schedule) -> None:
        others = sum(one.name != schedule.name for one in await self.all(schedule.tenant))
        if others >= self._most:
            raise LimitExceeded("schedules", f"schedules of this tenant: {others} + 1 > {self._most}")

    async def drop(self, tenant: str, name: str) -> bool:
        """Forget it; whether there was one."""
        client = await self._link.client()
        id_ = names.schedule_id(self._terms.prefix, tenant, name)
        self._recent.pop(id_, None)
        try:
            with as_ours():
                await client.get_schedule_handle(id_).delete(rpc_timeout=RPC)
        except RPCError:
            return False
        return True

    async def _ids(self, client: Client) -> set[str]:
        start = names.schedule_id(self._terms.prefix, "", "").rpartition("-")[0]
        oldest_s = time.monotonic() - _RECENT_S
        self._recent = {id_: put_s for id_, put_s in self._recent.items() if put_s > oldest_s}
        ids = set(self._recent)
        with as_ours():
            async for entry in await client.list_schedules(rpc_timeout=RPC):
                if entry.id.startswith(start):
                    ids.add(entry.id)
        return ids

    async def _read(self, client: Client, id_: str) -> Schedule | None:
        try:
            with as_ours():
                found = await client.get_schedule_handle(id_).describe(rpc_timeout=RPC)
        except RPCError:
            return None  # dropped meanwhile
        return await _schedule_in(found)

    def _theirs(self, id_: str, schedule: Schedule) -> TheirSchedule:
        return TheirSchedule(
            action=ScheduleActionStartWorkflow(
                "ScheduledJobs", ScheduleOrder(schedule, self._terms), id=id_, task_queue=self._terms.prefix
            ),
            spec=ScheduleSpec(cron_expressions=[schedule.cron], time_zone_name=schedule.timezone),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
            state=ScheduleState(paused=schedule.paused),
        )


@contextmanager
def _judged() -> Iterator[None]:
    """Temporal reads the clock's terms itself; what it cannot read is the caller's."""
    try:
        yield
    except RPCError as e:
        if e.status is RPCStatusCode.INVALID_ARGUMENT:
            raise BadOption(f"cron or timezone: {e.message[:200]}") from e
        raise


async def _schedule_in(found: ScheduleDescription) -> Schedule:
    action = found.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    arguments: Sequence[Payload] = [arg for arg in action.args if isinstance(arg, Payload)]
    (order,) = await payloads.CONVERTER.decode(arguments, [ScheduleOrder])
    schedule: Schedule = order.schedule
    paused = found.schedule.state.paused
    following = None if paused else next((t.timestamp() for t in found.info.next_action_times), None)
    last = max((a.scheduled_at.timestamp() for a in found.info.recent_actions), default=0.0)
    return replace(schedule, paused=paused, next_s=following, last_s=last)
