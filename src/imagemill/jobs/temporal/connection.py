"""A client of the configured Temporal service, and its errors as ours.

Errors   `SettingsError` for what only a change of settings or of the namespace repairs; `DependencyDown` for the rest.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RetryConfig, RPCError, RPCStatusCode, TLSConfig

from imagemill.jobs.temporal.attributes import TYPES, command
from imagemill.jobs.temporal.payloads import CONVERTER
from imagemill.model.errors import DependencyDown, SettingsError
from imagemill.settings import Temporal

RPC = timedelta(seconds=10)
"""Longest wait for one answer; `RetryConfig` below bounds the whole of a call."""
_KNOWN_S = 30.0
_ASK_S = 0.2
_OURS_TO_FIX = frozenset({RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED})


async def connect(settings: Temporal) -> Client:
    """A client that has reached the service."""
    tls = _tls(settings)
    try:
        return await Client.connect(
            settings.address,
            namespace=settings.namespace,
            api_key=str(settings.api_key) or None,
            tls=tls,
            data_converter=CONVERTER,
            connect_timeout=RPC,
            retry_config=RetryConfig(max_elapsed_time_millis=int(RPC.total_seconds() * 1000)),
        )
    except RuntimeError as e:  # what the SDK raises where nobody answers
        raise DependencyDown(f"temporal: {settings.address}: {str(e)[:200]}") from e


@contextmanager
def as_ours() -> Iterator[None]:
    """Turn what the service answers into our errors; `RPCStatusCode.NOT_FOUND` goes through, its callers know it."""
    try:
        yield
    except RPCError as e:
        if e.status is RPCStatusCode.NOT_FOUND:
            raise
        raise DependencyDown(f"temporal: {e.status.name.lower()}: {e.message[:200]}") from e


async def ensure_attributes(client: Client) -> None:
    """Register what is missing of our search attributes, and wait until it can be looked for."""
    missing = await _missing(client)
    if missing:
        await _register(client, missing)
    async with asyncio.timeout(_KNOWN_S):
        while not await _are_known(client):  # noqa: ASYNC110 - nobody rings when it is
            await asyncio.sleep(_ASK_S)


async def _missing(client: Client) -> set[str]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        answer = await client.operator_service.list_search_attributes(request, timeout=RPC)
    except RPCError as e:
        if e.status is RPCStatusCode.NOT_FOUND:
            raise SettingsError(f"temporal.namespace: {client.namespace!r} does not exist") from e
        if e.status in _OURS_TO_FIX:
            raise SettingsError(f"temporal: {e.status.name.lower()}: {e.message[:200]}") from e
        raise DependencyDown(f"temporal: {e.status.name.lower()}") from e
    known = dict(answer.custom_attributes)
    wrong = [name for name, type_ in TYPES.items() if known.get(name, type_) != type_]
    if wrong:
        raise SettingsError(f"temporal.namespace: search attribute {wrong[0]} has another type; use another namespace")
    return set(TYPES) - set(known)


async def _register(client: Client, missing: set[str]) -> None:
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={name: TYPES[name] for name in missing}
    )
    try:
        await client.operator_service.add_search_attributes(request, timeout=RPC)
    except RPCError as e:
        if e.status is RPCStatusCode.ALREADY_EXISTS:
            return  # another process was quicker
        words = f"search attributes are missing, and may not be added from here: {command(client.namespace, missing)}"
        raise SettingsError(f"temporal.namespace: {words}") from e


async def _are_known(client: Client) -> bool:
    """Whether queries may name them; the service's own processes learn of new ones a little later."""
    try:
        await client.count_workflows("Tenant = '' AND JobState = '' AND Batch = '' AND Priority = 0 AND Tags = ''")
    except RPCError as e:
        if e.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise DependencyDown(f"temporal: {e.status.name.lower()}") from e
    return True


def _tls(settings: Temporal) -> TLSConfig | bool:
    if bool(settings.cert_file) != bool(settings.key_file):
        raise SettingsError("temporal.cert_file and temporal.key_file: both or neither")
    if not (settings.tls or settings.ca_file or settings.cert_file):
        if settings.api_key:
            raise SettingsError("temporal.api_key: would go out in the clear; set temporal.tls")
        return False
    return TLSConfig(
        server_root_ca_cert=_read("ca_file", settings.ca_file),
        client_cert=_read("cert_file", settings.cert_file),
        client_private_key=_read("key_file", settings.key_file),
    )


def _read(setting: str, name: str) -> bytes | None:
    try:
        return Path(name).read_bytes() if name else None
    except OSError as e:
        raise SettingsError(f"temporal.{setting}: {name}: {e.strerror}") from e
