"""What an engine run is: one source, one or more recipes, renditions handed back one by one."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import cache
from typing import Protocol

from msgspec import Struct

from imagemill.model.media import Format, Rendition
from imagemill.model.recipe import Recipe, SourceRef

Layers = Mapping[SourceRef, bytes]
"""The sources of layers, by what recipes call them."""
NO_LAYERS: Layers = {}


class Known(Struct, frozen=True):
    """A quality at which an encoder is known to reach a score with this source."""

    format: Format
    target_centi: int
    quality: int


class Task(Struct, frozen=True):
    """One rendition to make of a source."""

    recipe: Recipe
    candidates: tuple[Format, ...] = ()
    """For `Format.AUTO`, best first."""
    known: tuple[Known, ...] = ()
    """What need not be found out again."""


class Stages(Struct, frozen=True):
    """Where a run's time went, in milliseconds of wall time."""

    queue_ms: float = 0.0
    handover_ms: float = 0.0
    probe_ms: float = 0.0
    render_ms: float = 0.0
    """Decode, transform and encode together: libvips does them as one stream."""
    cpu_ms: float = 0.0


class Made(Struct, frozen=True):
    """One finished rendition, and what it took."""

    rendition: Rendition
    stages: Stages


class Engine(Protocol):
    """Turns sources into renditions, in a process that may be killed."""

    def run(self, source: bytes, tasks: Sequence[Task], layers: Layers = NO_LAYERS) -> AsyncGenerator[Made, None]:
        """Decode *source* once and make each of *tasks* in order; *layers* has all that their recipes name.

        Closing the iterator early gives the work up. The deadline is each rendition's own; what the reader of one does
        before it asks for the next does not count.

        Raises:
            UnsupportedSourceType: no accepted format.
            ImageCorrupt: the decoder refused it, or died of it.
            LimitExceeded: a limit, named.
            ProcessingTimeout: the deadline.
            Overloaded: no worker came free within it, so nothing was begun.

        Where a layer is at fault the error is the same, and names it.
        """
        ...


def version_number(versions: Mapping[str, str]) -> int:
    """The version of an engine, comparable."""
    return _number(versions.get("libvips", "0"))


@cache
def _number(version: str) -> int:  # asked for at every hit
    return sum(int(part) * 1000 ** (2 - n) for n, part in enumerate(version.split(".")[:3]))
