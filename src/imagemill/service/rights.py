"""What a tenant may use, as settings say now: asked when a job is submitted, and again when it is made and told of.

A schedule, or a job that waits for a year, was judged by settings that may have changed since.
Errors   `StoreRefused`, `SourceForbidden`.
"""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from imagemill.model.errors import SourceForbidden, StoreRefused
from imagemill.model.job import JobSpec
from imagemill.model.request import SourceRef
from imagemill.settings import Tenant

T = TypeVar("T")
_ALL = Tenant()
_WEB = frozenset({"http", "https"})


class Rights(Struct, frozen=True):
    """Those of all tenants; who has no table may use all."""

    tenants: Mapping[str, Tenant] = {}
    buckets: Mapping[str, str] = {}
    """``<bucket>`` or ``<bucket>/<prefix>``, as ``s3://`` sources begin, and the name of the store that it is."""

    def store(self, tenant: str, name: str) -> bool:
        """Whether *tenant* may read from and write to the store of that name, as far as the store lets anybody."""
        return _has(self.tenants.get(tenant, _ALL).stores, name)

    def of(self, tenant: str, stores: Mapping[str, T]) -> dict[str, T]:
        """Those of *stores* that *tenant* may use."""
        return {name: store for name, store in stores.items() if self.store(tenant, name)}

    def secret(self, tenant: str, name: str) -> bool:
        """Whether *tenant* may have its callbacks signed with the secret of that name."""
        return _has(self.tenants.get(tenant, _ALL).secrets, name)

    def place(self, source: SourceRef) -> tuple[str, str]:
        """The name of the store that a ``local:`` or ``s3://`` *source* is read from, if any, and the key there."""
        if source.scheme == "local":
            name, _, key = source.address.partition("/")
            return name, key
        # the longest first, as `service.origin` reads: a folder of a bucket may be a store of its own
        for place, name in sorted(self.buckets.items(), key=lambda item: -len(item[0])):
            if source.address.startswith(f"{place}/"):
                return name, source.address.removeprefix(f"{place}/")
        return "", source.address

    def check(self, tenant: str, spec: JobSpec) -> None:
        """Refuse what *tenant* may not do any more."""
        if spec.store and not self.store(tenant, spec.store):
            raise StoreRefused(f"destination: no store of this tenant is called {spec.store[:40]!r} any more")
        for source in spec.sources:
            if source.scheme not in _WEB and not self.store(tenant, self.place(source)[0]):
                raise SourceForbidden("a store that is not this tenant's any more")


def _has(names: tuple[str, ...] | None, name: str) -> bool:
    return names is None or name in names
