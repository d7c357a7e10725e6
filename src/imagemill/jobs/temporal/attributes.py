"""Search attributes: what of a workflow Temporal can look for."""

from collections.abc import Iterable
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.common import Priority, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from imagemill.jobs.temporal.names import fairness_key, priority_key
from imagemill.model.job import Job

TENANT = SearchAttributeKey.for_keyword("Tenant")
STATE = SearchAttributeKey.for_keyword("JobState")
TAGS = SearchAttributeKey.for_keyword_list("Tags")
BATCH = SearchAttributeKey.for_keyword("Batch")
PRIORITY = SearchAttributeKey.for_int("Priority")

TYPES = {
    TENANT.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    STATE.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    TAGS.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    BATCH.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    PRIORITY.name: IndexedValueType.INDEXED_VALUE_TYPE_INT,
}
"""What has to be registered in the namespace."""
_WORDS = {
    IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD: "Keyword",
    IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST: "KeywordList",
    IndexedValueType.INDEXED_VALUE_TYPE_INT: "Int",
}


def of_job(job: Job) -> TypedSearchAttributes:
    """What a job is found by."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(TENANT, job.tenant),
        SearchAttributePair(STATE, str(job.state)),
        SearchAttributePair(PRIORITY, job.spec.priority),
    ]
    if job.spec.tags:
        pairs.append(SearchAttributePair(TAGS, list(job.spec.tags)))
    if job.batch:
        pairs.append(SearchAttributePair(BATCH, job.batch))
    return TypedSearchAttributes(pairs)


def of_other(tenant: str, state: str) -> TypedSearchAttributes:
    """What a batch or a delivery is found by."""
    return TypedSearchAttributes([SearchAttributePair(TENANT, tenant), SearchAttributePair(STATE, state)])


def rank(tenant: str, priority: int) -> Priority:
    """When its tasks are handed out: by priority, and among tenants in turns."""
    return Priority(priority_key=priority_key(priority), fairness_key=fairness_key(tenant))


def command(namespace: str, missing: Iterable[str]) -> str:
    """The command that registers *missing*."""
    pairs = " ".join(f"--name {name} --type {_WORDS[TYPES[name]]}" for name in sorted(missing))
    return f"temporal operator search-attribute create --namespace {namespace} {pairs}"
