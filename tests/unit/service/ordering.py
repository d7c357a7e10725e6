"""What jobs are read and judged by in these tests."""

import json

from msgspec import Raw

from imagemill.dialects.native import Native
from imagemill.model.errors import SourceForbidden
from imagemill.net import guard
from imagemill.service.admission import Admission, Places
from imagemill.service.bodies import fields
from imagemill.service.jobs import Jobs
from imagemill.service.orders import FIELDS, Reader
from imagemill.settings import Callbacks, Level2, Secret, Settings, Signing, Tenant
from imagemill.settings import Jobs as JobSettings
from support.engine import MemoryEngine
from support.store import MemoryStore

NOW_S = 1_800_000_000.0
SOURCE = "https://example.com/a.jpg"
ONE = {
    "source": SOURCE,
    "renditions": [{"name": "small", "params": "width=64&format=webp"}],
    "destination": {"store": "out"},
}
CALLBACK = {"url": "https://HOOKS.example.com/x", "secret": "main"}


def settings(**jobs) -> Settings:
    tenants = {"narrow": Tenant(stores=("sample",), secrets=("other",)), **jobs.pop("tenants", {})}
    secrets = {"main": (Secret("whsec_x"),), "other": (Secret("whsec_y"),)}
    l2 = Level2(url=Secret("redis://127.0.0.1"))
    return Settings(
        jobs=JobSettings(tenants=tenants, **jobs),
        callbacks=Callbacks(secrets=secrets),
        l2=l2,
        signing=Signing("unsigned"),
    )


def native(of: Settings) -> Native:
    return Native(of.limits, lambda url: guard.parse(url).url)


def reader(*, timed=True, **jobs) -> Reader:
    used = settings(**jobs)
    return Reader(native(used), used, NOW_S, timed=timed)


def spec(timed=True, **changes):
    """The job of `ONE` with *changes*; None leaves a field out."""
    given = {name: value for name, value in {**ONE, **changes}.items() if value is not None}
    return reader(timed=timed).spec(fields(json.dumps(given).encode(), "", FIELDS))


def rendition(**given):
    return spec(renditions=[{"name": "small", **given}]).renditions[0]


class World:
    """A `Jobs` on an engine that only remembers; judges count."""

    def __init__(self, **jobs) -> None:
        self.settings = settings(**jobs)
        self.engine, self.out = MemoryEngine(), MemoryStore(public="https://cdn.example.com/")
        self.sources, self.receivers = [], []
        places = Places(frozenset({"sample", "out"}), frozenset({"out"}), {"pictures": "sample"})
        self.admission = Admission(self.settings, places, self.judge_source, self.judge_receiver)
        self.now_s, self.ids = NOW_S, 0
        self.jobs = Jobs(
            self.engine, native(self.settings), self.admission, {"out": self.out}, self.settings,
            clock=lambda: self.now_s, make_id=self.make_id,
        )  # fmt: skip

    def make_id(self):
        self.ids += 1
        return f"{self.ids:032x}"

    async def judge_source(self, url):
        self.sources.append(url)
        if "forbidden" in url:
            raise SourceForbidden("private")

    async def judge_receiver(self, url):
        self.receivers.append(url)
        if "forbidden" in url:
            raise SourceForbidden("private")
        return guard.parse(url).url


def body(value=None, **changes) -> bytes:
    given = {name: v for name, v in {**(ONE if value is None else value), **changes}.items() if v is not None}
    return json.dumps(given).encode()


def raw(text: str) -> Raw:
    return Raw(text.encode())
