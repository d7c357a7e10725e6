"""The way of a native URL's parameters through dialect, plan and engine, in this process."""

from imagemill.dialects.native import Native
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.plan.negotiate import client
from imagemill.plan.prepare import prepare
from imagemill.settings import Engine, Limits, Negotiation


def mill(source, accept=b"", settings=Engine(), limits=Limits(), **given):  # noqa: B008 - both are frozen
    """The rendition of *source* that *given*, long names to values, asks for."""
    query = "&".join(f"{name}={value}" for name, value in {"source": "local:a/b", **given}.items())
    plan = prepare(Native(limits, str).parse(query.encode()), limits, client({b"accept": accept}, Negotiation()))
    (made,) = Vips(limits, settings).run(memoryview(source), probe(source), [Task(plan.recipe, plan.candidates)])
    return made
