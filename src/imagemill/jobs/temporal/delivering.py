"""One delivery as a workflow: attempted by the published schedule until it has arrived or is given up.

A workflow of its own, so that a slow receiver keeps no job's history growing, and so that a redelivery is the same
workflow once more: its id follows from the ``webhook-id``.
"""

import asyncio
from datetime import timedelta
from typing import Any, cast

from msgspec.structs import replace
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from imagemill.jobs.base import Again, Delivered, Gone, Later, Outcome
    from imagemill.jobs.retry import delivery_delay_s
    from imagemill.jobs.temporal import names
    from imagemill.jobs.temporal.attributes import STATE
    from imagemill.jobs.temporal.orders import MEMO_NOW, Letter, anew
    from imagemill.model.job import FINAL, Delivery, DeliveryState, Event

_ATTEMPT = timedelta(seconds=60)
_AGAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
"""Of an attempt whose worker died: what came of it is not known, so it is made again under the same id."""


@workflow.defn(name="Delivering")
class Delivering:
    """A delivery until it is over."""

    @workflow.init
    def __init__(self, letter: Letter) -> None:
        self._letter = letter
        self._delivery = letter.delivery

        self._wanted_again = False

    @workflow.run
    async def run(self, letter: Letter) -> Delivery:
        """Attempt it until it has arrived, or is dead and nobody has wanted it again for long."""
        while True:
            while self._delivery.state is DeliveryState.PENDING:
                await self._wait()
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(replace(letter, delivery=self._delivery))
                self._judge(await self._attempt())
            await self._report()
            if not await self._is_wanted_again():
                return self._delivery
            self._write(anew(self._delivery, workflow.time()))

    @workflow.signal
    def again(self) -> None:
        """Somebody wants it to be redelivered."""
        self._wanted_again = self._delivery.state is DeliveryState.DEAD

    async def _report(self) -> None:
        """Tell the job or batch that waits for it, if one still does."""
        parent = workflow.info().parent
        if parent is None or self._delivery.event not in FINAL:
            return
        try:
            await workflow.get_external_workflow_handle(parent.workflow_id).signal("told", self._delivery)
        except FailureError:
            workflow.logger.info("it is over already")

    async def _is_wanted_again(self) -> bool:
        """A dead letter waits for a while, and is counted as one meanwhile."""
        self._wanted_again = False
        if self._delivery.state is not DeliveryState.DEAD or self._delivery.event is Event.PROGRESS:
            return False
        try:
            await workflow.wait_condition(lambda: self._wanted_again, timeout=self._letter.keep_s)
        except TimeoutError:
            return False
        return True

    async def _wait(self) -> None:
        left_s = self._delivery.due_s - workflow.time()
        if left_s > 0:
            await asyncio.sleep(left_s)

    async def _attempt(self) -> Outcome:
        outcome: Outcome = await workflow.execute_activity(
            "deliver",
            replace(self._letter, delivery=self._delivery),
            result_type=cast("type", Outcome),
            task_queue=names.deliver_queue(_prefix()),
            start_to_close_timeout=_ATTEMPT,
            heartbeat_timeout=timedelta(seconds=self._letter.heartbeat_s),
            retry_policy=_AGAIN,
        )
        return outcome

    def _judge(self, outcome: Outcome) -> None:
        match outcome:
            case Delivered(status=status):
                self._change(1, state=DeliveryState.DELIVERED, status=status, reason="")
            case Gone(status=status, reason=reason):
                self._change(1, state=DeliveryState.DEAD, status=status, reason=reason)
            case Later(after_s=after_s):
                self._change(0, due_s=workflow.time() + after_s)
            case Again(status=status, reason=reason):
                self._postpone(status, reason)

    def _postpone(self, status: int, reason: str) -> None:
        chance = workflow.random().random()
        pause_s = delivery_delay_s(self._delivery.attempts + 1, self._delivery.event, chance)
        if pause_s is None:
            self._change(1, state=DeliveryState.DEAD, status=status, reason=reason)
        else:
            self._change(1, due_s=workflow.time() + pause_s, status=status, reason=reason)

    def _change(self, counted: int, **changed: Any) -> None:
        self._write(replace(self._delivery, attempts=self._delivery.attempts + counted, **changed))

    def _write(self, after: Delivery) -> None:
        before, self._delivery = self._delivery, after
        workflow.upsert_memo({MEMO_NOW: after})
        if after.state is not before.state:
            workflow.upsert_search_attributes([STATE.value_set(str(after.state))])


def _prefix() -> str:
    """Of the task queues: that of the workflows is named by it alone."""
    return workflow.info().task_queue
