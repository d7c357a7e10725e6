"""Jobs, batches and schedules as JSON values: pure, and the only place that says how they are shown.

Units    times are RFC 3339 in UTC with milliseconds, null while they are not known; sizes in bytes, sides in pixels.
Secrets  an address loses userinfo and query, as in logs; a batch's seed and a callback's secret are never shown.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from imagemill.jobs.base import Page
from imagemill.model.job import TERMINAL, Batch, Callback, Delivery, Fault, Job, JobSpec, Result, Schedule
from imagemill.model.request import SourceRef
from imagemill.obs.logs import mask

Addresses = Mapping[str, tuple[str, str | None]]
"""Rendition to where it lies, and to an address from which it can be had by anybody for a while."""
View = dict[str, Any]


def job_view(job: Job, addresses: Addresses | None = None) -> View:
    """A job with all that is known of it; without *addresses* its renditions show none."""
    spec = job.spec
    results = {result.name: result for result in job.results}
    return {
        "id": job.id,
        "state": job.state,
        "outcome": job.outcome,
        "version": job.version,
        "tenant": job.tenant,
        "attempts": job.attempts,
        **_order(spec),
        "renditions": [_rendition(results.get(w.name, Result(w.name)), addresses or {}) for w in spec.renditions],
        "callback": _callback(spec.callback, job.callback_state),
        "error": _fault(job.fault),
        "times": {
            "created": time_text(job.times.created_s),
            "due": time_text(job.times.due_s),
            "started": time_text(job.times.started_s),
            "finished": time_text(job.times.finished_s),
            "deadline": time_text(spec.deadline_s or 0),
        },
        "fetch_ms": round(job.times.fetch_ms, 1),
        "make_ms": round(job.times.make_ms, 1),
        "metadata": spec.metadata,
        "retry_of": job.retry_of or None,
        "batch": job.batch or None,
        "schedule": job.schedule or None,
        "links": _links(job),
    }


def page_view(page: Page) -> View:
    """Some jobs, and where the next page begins."""
    return {"jobs": [job_view(job) for job in page.jobs], "cursor": page.cursor or None}


def batch_view(batch: Batch) -> View:
    """A batch and how many of its jobs are in which state."""
    return {
        "id": batch.id,
        "state": batch.state,
        "version": batch.version,
        "tenant": batch.tenant,
        "total": batch.total,
        "made": batch.made,
        "counts": {str(state): count for state, count in sorted(batch.counts.items())},
        "callback": _receiver(batch.callback),
        "times": {"created": time_text(batch.created_s), "finished": time_text(batch.finished_s)},
        "tags": list(batch.tags),
        "metadata": batch.metadata,
        "links": {"self": f"/batches/{batch.id}", "jobs": f"/jobs?batch={batch.id}"},
    }


def schedule_view(schedule: Schedule) -> View:
    """A schedule, with what is made each time."""
    return {
        "name": schedule.name,
        "tenant": schedule.tenant,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "paused": schedule.paused,
        "times": {
            "created": time_text(schedule.created_s),
            "next": time_text(schedule.next_s or 0),
            "last": time_text(schedule.last_s),
        },
        "jobs": [_order(spec) | {"renditions": [w.name for w in spec.renditions]} for spec in schedule.specs],
        "links": {"self": f"/schedules/{schedule.name}"},
    }


def delivery_view(delivery: Delivery) -> View:
    """One message that was or is owed."""
    return {
        "id": delivery.id,
        "event": delivery.event,
        "rendition": delivery.rendition or None,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "made": time_text(delivery.made_s),
        "due": time_text(delivery.due_s),
        "status": delivery.status or None,
        "reason": mask(delivery.reason) or None,
    }


def source_text(source: SourceRef) -> str:
    """A source as it was written, without what may be a secret in it."""
    if source.scheme in {"http", "https"}:
        return mask(source.address)
    return f"{source.scheme}://{source.address}" if source.scheme == "s3" else f"{source.scheme}:{source.address}"


def time_text(unix_s: float) -> str | None:
    """A moment as RFC 3339 says it; None for 0, which is no moment."""
    if not unix_s:
        return None
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _order(spec: JobSpec) -> View:
    """What of an order is shown wherever it stands."""
    return {
        "source": source_text(spec.source),
        "store": spec.store or None,
        "warm": spec.warm,
        "priority": spec.priority,
        "retries": spec.retries,
        "ttl": spec.ttl_s,
        "tags": list(spec.tags),
    }


def _rendition(result: Result, addresses: Addresses) -> View:
    address, url = addresses.get(result.name, (None, None))
    return {
        "name": result.name,
        "state": result.state,
        "store": result.store or None,
        "key": result.key or None,
        "address": address,
        "url": url,
        "sha256": result.sha256 or None,
        "bytes": result.body_bytes or None,
        "media_type": result.media_type or None,
        "width_px": result.width_px or None,
        "height_px": result.height_px or None,
        "frames": result.frames or None,
        "warmed": result.warmed,
    }


def _callback(callback: Callback | None, state: str) -> View | None:
    receiver = _receiver(callback)
    return None if receiver is None else receiver | {"state": state or None}


def _receiver(callback: Callback | None) -> View | None:
    return None if callback is None else {"url": mask(callback.url), "events": list(callback.events)}


def _fault(fault: Fault | None) -> View | None:
    if fault is None:
        return None
    return {"code": fault.code, "message": mask(fault.message), "retryable": fault.retryable}


def _links(job: Job) -> View:
    at = f"/jobs/{job.id}"
    links = {"self": at, "deliveries": f"{at}/deliveries"}
    return links | ({"retry": f"{at}/retry"} if job.state in TERMINAL else {"events": f"{at}/events"})
