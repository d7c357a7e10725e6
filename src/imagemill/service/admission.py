"""Whether a tenant may order what a job describes, as the world and policy are at this moment.

Errors   `SourceForbidden` (also for stores that are not this tenant's), `BadOption`, `StoreRefused`, `NotSupported`.
"""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.errors import BadOption, BadRequest, NotSupported, SourceForbidden, StoreRefused
from imagemill.model.job import Callback, JobSpec
from imagemill.model.request import SourceRef
from imagemill.model.source import at_fault
from imagemill.service.bodies import at
from imagemill.service.rights import Rights
from imagemill.settings import Settings
from imagemill.storage.base import split

Judge = Callable[[str], Awaitable[object]]
"""Raises `SourceForbidden` where an address may not be reached."""
JudgeCallback = Callable[[str], Awaitable[str]]
"""The same of a receiver's; gives its canonical form."""


class Places(Struct, frozen=True):
    """The stores there are, by name, and what may be done with them."""

    readable: frozenset[str] = frozenset()
    writable: frozenset[str] = frozenset()
    buckets: Mapping[str, str] = {}
    """As `service.rights.Rights.buckets`."""


class Admission:
    """What everyone's jobs are judged by."""

    def __init__(self, settings: Settings, places: Places, judge_source: Judge, judge_callback: JudgeCallback) -> None:
        self.settings = settings
        self.places = places
        self.judge_source = judge_source
        self.judge_callback = judge_callback

    def of(self, tenant: str) -> "Admitting":
        """Judge jobs of *tenant* that come together; what repeats is judged once."""
        return Admitting(self, tenant, Rights(self.settings.jobs.tenants, self.places.buckets))


class Admitting:
    """Jobs of one tenant that come together."""

    def __init__(self, admission: Admission, tenant: str, rights: Rights) -> None:
        self._by = admission
        self._tenant = tenant
        self._rights = rights
        self._sources: set[str] = set()
        self._receivers: dict[str, str] = {}

    async def admit(self, spec: JobSpec) -> JobSpec:
        """*spec* with a canonical receiver, where it may be ordered."""
        if spec.store:
            self._check_store(spec.store)
        if spec.warm and not self._by.settings.l2.url:
            raise NotSupported("warm: there is no second cache level here; l2.url is not set")
        own, *layers = spec.sources
        await self._check_source(own)
        for layer in layers:
            with at_fault(layer):
                await self._check_source(layer)
        return replace(spec, callback=await self.receiver(spec.callback))

    async def receiver(self, callback: Callback | None) -> Callback | None:
        """*callback* in canonical form, where it may be called, and signed with the secret that it names."""
        if callback is None:
            return None
        name = callback.secret
        if name not in self._by.settings.callbacks.secrets or not self._rights.secret(self._tenant, name):
            # what is written there by mistake is the secret itself, and must not come back or be logged
            raise BadOption("callback.secret: the name of a secret of this tenant is wanted, and not the secret itself")
        if callback.url not in self._receivers:
            try:
                self._receivers[callback.url] = await self._by.judge_callback(callback.url)
            except BadRequest as e:
                raise at(e, "callback.url") from e
            except SourceForbidden as e:
                e.args = ("callback.url: this address may not be called",)
                raise
        return replace(callback, url=self._receivers[callback.url])

    def _check_store(self, name: str) -> None:
        places = self._by.places
        if name not in places.readable | places.writable or not self._rights.store(self._tenant, name):
            raise BadOption(f"destination.store: no store is called {name[:40]!r}")
        if name not in places.writable:
            raise StoreRefused(f"destination.store: {name} is not written to")

    async def _check_source(self, source: SourceRef) -> None:
        if source.scheme in {"http", "https"}:
            if source.address not in self._sources:
                await self._by.judge_source(source.address)
                self._sources.add(source.address)
            return
        store, key = self._rights.place(source)
        if store not in self._by.places.readable or not self._rights.store(self._tenant, store):
            raise SourceForbidden(f"no store of this tenant has {source.address[:40]!r}")
        try:
            split(key)
        except BadRequest as e:
            raise at(e, "source") from e
