"""What is asked of Temporal's visibility store: list filters and cursors, as text.

A cursor holds the store's own page token beside a digest of the filter it belongs to. It is no secret and is not
signed: the tenant stands in the filter, so a forged token moves within one tenant's own jobs.
Source   docs.temporal.io/list-filter.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

from imagemill.jobs.base import Query
from imagemill.jobs.temporal import attributes as by
from imagemill.model.errors import BadOption
from imagemill.model.job import State

JOBS = "WorkflowType = 'ImageJob'"
DEAD_LETTERS = f"WorkflowType = 'Delivering' AND ExecutionStatus = 'Running' AND {by.STATE.name} = 'dead'"
WAITING = (State.QUEUED, State.SCHEDULED)
_DIGEST_BYTES = 12


def of(query: Query, task_queue: str) -> str:
    """The list filter of *query*."""
    terms = [JOBS, _is("TaskQueue", task_queue)]
    if query.tenant is not None:
        terms.append(_is(by.TENANT.name, query.tenant))
    if query.states:
        terms.append(_among(by.STATE.name, sorted(query.states)))
    if query.tag:
        terms.append(_is(by.TAGS.name, query.tag))
    if query.batch:
        terms.append(_is(by.BATCH.name, query.batch))
    if query.since_s is not None:
        terms.append(f"StartTime >= '{_time(query.since_s)}'")
    if query.until_s is not None:
        terms.append(f"StartTime < '{_time(query.until_s)}'")
    return " AND ".join(terms)


def waiting(task_queue: str, tenant: str | None) -> str:
    """The list filter of jobs that wait, of one tenant or of all."""
    return of(Query(tenant, states=frozenset(WAITING)), task_queue)


def in_state(task_queue: str, state: State, priority: int | None = None) -> str:
    """The list filter of jobs in *state*, of one priority or of all."""
    text = of(Query(None, states=frozenset({state})), task_queue)
    return text if priority is None else f"{text} AND {by.PRIORITY.name} = {priority}"


def dead_letters(task_queue: str) -> str:
    """The list filter of deliveries that were given up."""
    return f"{DEAD_LETTERS} AND {_is('TaskQueue', task_queue)}"


def cursor_of(filter_: str, token: bytes) -> str:
    """Where the next page of *filter_* begins."""
    return base64.urlsafe_b64encode(_digest(filter_, token) + token).decode() if token else ""


def token_of(filter_: str, cursor: str) -> bytes | None:
    """The page token in *cursor*; `BadOption` where it is none of ours, or another filter's."""
    if not cursor:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor.encode())
    except (binascii.Error, ValueError) as e:
        raise BadOption("cursor: none of ours") from e
    token = raw[_DIGEST_BYTES:]
    if not hmac.compare_digest(raw[:_DIGEST_BYTES], _digest(filter_, token)):
        raise BadOption("cursor: none of ours, or another list's")
    return token


def _digest(filter_: str, token: bytes) -> bytes:
    return sha256(filter_.encode() + b"\0" + token).digest()[:_DIGEST_BYTES]


def _is(name: str, value: str) -> str:
    return f"{name} = {_quoted(value)}"


def _among(name: str, values: Iterable[str]) -> str:
    return f"{name} IN ({', '.join(_quoted(value) for value in values)})"


def _quoted(value: str) -> str:
    r"""A string of the filter's language: in single quotes, with ``\`` before what would end it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _time(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
