"""Which workflow, queue and rank belong to what: pure, and the same in every process.

Units    priorities of ours from 0 to 9, highest first out; Temporal's from 1 to 5, lowest first out.
Source   temporalio.common.Priority; docs.temporal.io/develop/task-queue-priority-fairness.
"""

import hmac
from hashlib import sha256

from imagemill.model.job import URGENT, JobSpec
from imagemill.model.recipe import Crop, Recipe, Resize

_ID_CHARS = 32
_FAIRNESS_BYTES = 64
_LONG_SIDE = 2
"""Where a recipe names one side only, the other one is taken for at most so many times as long."""


def workflow_id(prefix: str, id_: str) -> str:
    """Of a job or a batch: they share one space of ids, and of keys that ids follow from."""
    return f"{prefix}-{id_}"


def delivery_workflow(prefix: str, delivery_id: str) -> str:
    """Workflow id of a delivery: one per ``webhook-id``."""
    return f"{prefix}-callback-{delivery_id}"


def schedule_id(prefix: str, tenant: str, name: str) -> str:
    """Schedule id; tenants may give the same names."""
    return f"{prefix}-schedule-{_digest('schedule', tenant, name)}"


def claimed_id(tenant: str, key: str) -> str:
    """The one id of what *tenant* submits under *key*."""
    return _digest("claimed", tenant, key)


def scheduled_id(tenant: str, name: str, due_s: int, index: int) -> str:
    """The one id of a schedule's job of that time."""
    return _digest("scheduled", tenant, name, str(due_s), str(index))


def child_id(seed: str, index: int) -> str:
    """The one id of a batch's job number *index*."""
    return hmac.new(bytes.fromhex(seed), str(index).encode(), sha256).hexdigest()[:_ID_CHARS]


def priority_key(priority: int) -> int:
    """Temporal's five ranks for our ten: 9 and 8 are 1, 1 and 0 are 5."""
    return 5 - priority // 2


def fairness_key(tenant: str) -> str:
    """What turns are taken by; Temporal takes 64 bytes of it."""
    return tenant if len(tenant.encode()) <= _FAIRNESS_BYTES else _digest("fairness", tenant)


def make_queue(prefix: str, spec: JobSpec, large_pixels: int) -> str:
    """Task queue that *spec* is made from: urgent, small and large work have one each; none waits for another."""
    if spec.priority >= URGENT:
        return urgent_queue(prefix)
    return large_queue(prefix) if _pixels(spec, large_pixels) > large_pixels else small_queue(prefix)


def urgent_queue(prefix: str) -> str:
    """Task queue of urgent work, whatever its size."""
    return f"{prefix}-urgent"


def small_queue(prefix: str) -> str:
    """Task queue of small work."""
    return f"{prefix}-small"


def large_queue(prefix: str) -> str:
    """Task queue of large work."""
    return f"{prefix}-large"


def deliver_queue(prefix: str) -> str:
    """Task queue of callbacks."""
    return f"{prefix}-deliver"


def _pixels(spec: JobSpec, unknown: int) -> int:
    """The most pixels that all renditions together may have; one that nothing bounds is more than *unknown*."""
    return sum(_bound(wanted.recipe) or unknown + 1 for wanted in spec.renditions)


def _bound(recipe: Recipe) -> int | None:
    """Pixels that *recipe* leaves at most, by the last operation that says so."""
    for operation in reversed(recipe):
        match operation:
            case Resize(width_px=width, height_px=height):
                return width * height or _LONG_SIDE * max(width, height) ** 2
            case Crop(width_px=width, height_px=height):
                return width * height
    return None


def _digest(*parts: str) -> str:
    """128 bits of SHA-256 over *parts*, each with its length, so that no two lists of parts meet."""
    text = "".join(f"{len(part)}:{part}" for part in ("imagemill", *parts))
    return sha256(text.encode()).hexdigest()[:_ID_CHARS]
