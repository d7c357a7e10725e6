"""The way of a native URL's parameters through dialect, plan and engine, in this process."""

from imagemill.dialects.native import Native
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.layers import Given
from imagemill.engines.vips import Vips
from imagemill.model.recipe import sources
from imagemill.plan.negotiate import client
from imagemill.plan.prepare import prepare
from imagemill.settings import Engine, Limits, Negotiation


def mill(source, accept=b"", settings=Engine(), limits=Limits(), layers=(), **given):  # noqa: B008 - both are frozen
    """The rendition of *source* that *given*, long names to values, asks for; *layers* has what those name, by name."""
    query = "&".join(f"{name}={value}" for name, value in {"source": "local:a/b", **given}.items())
    plan = prepare(Native(limits, str).parse(query.encode()), limits, client({b"accept": accept}, Negotiation()))
    others = Given({named: memoryview(layers[named.text]) for named in sources(plan.recipe)})
    task = Task(plan.recipe, plan.candidates)
    (made,) = Vips(limits, settings).run(memoryview(source), probe(source), [task], others)
    return made
