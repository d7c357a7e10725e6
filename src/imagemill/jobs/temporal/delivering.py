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

with workflow.unsafe.imports_passed_through():
    from imagemill.jobs.base import Again, Delivered, Gone, Later, Outcome
    from imagemill.jobs.retry import delivery_delay_s
    from imagemill.jobs.temporal import names
    from imagemill.jobs.temporal.attributes import STATE
    from imagemill.jobs.temporal.orders import MEMO_NOW, Letter
    from imagemill.model.job import Delivery, DeliveryState, Event

_ATTEMPT = timedelta(seconds=60)
_DROPPED = "dropped"
"""State by which a ``progress`` that did not arrive is found: it is no dead letter."""
_AGAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
"""Of an attempt whose worker died: what came of it is not known, so it is made again under the same id."""


@workflow.defn(name="Delivering")
class Delivering:
    """A delivery until it is over."""

    @workflow.init
    def __init__(self, letter: Letter) -> None:
        self._letter = letter
        self._delivery = letter.delivery

    @workflow.run
    async def run(self, letter: Letter) -> Delivery:
        """Attempt it until it is over."""
        while self._delivery.state is DeliveryState.PENDING:
            await self._wait()
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(replace(letter, delivery=self._delivery))
            self._judge(await self._attempt())
        return self._delivery

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
        before = self._delivery
        self._delivery = replace(before, attempts=before.attempts + counted, **changed)
        workflow.upsert_memo({MEMO_NOW: self._delivery})
        if self._delivery.state is not before.state:
            lost = self._delivery.event is Event.PROGRESS and self._delivery.state is DeliveryState.DEAD
            workflow.upsert_search_attributes([STATE.value_set(_DROPPED if lost else str(self._delivery.state))])


def _prefix() -> str:
    """Of the task queues: that of the workflows is named by it alone."""
    return workflow.info().task_queue
