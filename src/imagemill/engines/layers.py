"""The pictures of one job beside its own: each is judged before any pixel, and read once it is laid on another.

Frames   an animated one gives its first frame, unless its recipe names another.
Errors   as of the picture itself, and they name the layer.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from msgspec import Struct

from imagemill.engines.decoded import Image, pyvips
from imagemill.engines.decoders.base import refusals
from imagemill.engines.headers import probe
from imagemill.engines.pixels import RGBA, with_bands
from imagemill.model.errors import LimitExceeded
from imagemill.model.media import MediaInfo
from imagemill.model.source import SourceRef, at_fault
from imagemill.plan.cost import opened_us
from imagemill.plan.policy import check_source
from imagemill.plan.steps import Overlay
from imagemill.settings import Limits


def _nobody_asks(_layer: int) -> None:
    pass


class Given(Struct, frozen=True):
    """The files, and who is told of which of them is being read."""

    sources: Mapping[SourceRef, memoryview] = {}
    reading: Callable[[int], None] = _nobody_asks
    """Called with the number of a layer, from 1 on, before any of its bytes is read, and with 0 once that is over."""


NONE_GIVEN = Given()


class Opens(Protocol):
    """What is needed of an engine."""

    def opened(self, source: memoryview, info: MediaInfo, first: int = 0) -> tuple[Image | None, MediaInfo]:
        """See `engines.vips.Vips`."""
        ...

    def layer(self, source: memoryview, step: Overlay, layers: "Layers") -> Image:
        """See `engines.vips.Vips`."""
        ...


class Layers:
    """The other pictures of one job.

    `opened_us` is the CPU that opening them takes, by estimate, beside what is done with them.
    """

    def __init__(self, given: Given, engine: Opens, limits: Limits) -> None:
        """Read and judge all their headers before any is opened."""
        self._given = given
        self._numbers = {source: n for n, source in enumerate(given.sources, 1)}
        self._now = 0
        self._engine = engine
        self._limits = limits
        told = {source: self._told(source) for source in given.sources}
        self._check(told)
        self.opened_us = self._check_cost(told)
        opened: dict[SourceRef, MediaInfo] = {}
        for source, info in told.items():
            opened[source] = self._opened(source, info)
            self._check(opened)
        self.infos: Mapping[SourceRef, MediaInfo] = opened

    def picture(self, step: Overlay) -> Image:
        """What *step* lays on a picture: in memory, sRGB with alpha."""
        with self._reading(step.source, step.made.source.format):
            made = self._engine.layer(self._given.sources[step.source], step, self)
            return with_bands(made, RGBA).copy_memory()

    def _told(self, source: SourceRef) -> MediaInfo:
        """What our own reader finds."""
        with self._reading(source, "header"):
            info = probe(self._given.sources[source])
            check_source(info, self._limits)
            return info

    def _opened(self, source: SourceRef, info: MediaInfo) -> MediaInfo:
        with self._reading(source, "header"):
            return self._engine.opened(self._given.sources[source], info, info.page)[1]

    def _check(self, infos: Mapping[SourceRef, MediaInfo]) -> None:
        """Refuse more pixels than one picture may have; vector pictures have those that they embed, too."""
        area = sum(info.width_px * info.height_px + info.embedded_pixels for info in infos.values())
        if area > self._limits.pixels:
            raise LimitExceeded("pixels", f"layers: {area} > {self._limits.pixels} px in all")

    def _check_cost(self, infos: Mapping[SourceRef, MediaInfo]) -> int:
        """CPU that opening them takes, in microseconds: some decoders do all of their work then."""
        cost_us = sum(opened_us(info, info.page) for info in infos.values())
        if cost_us > self._limits.cpu_s * 1e6:
            raise LimitExceeded("cost", f"layers: estimated CPU: {cost_us / 1e6:.1f} > {self._limits.cpu_s:g} s")
        return cost_us

    @contextmanager
    def _reading(self, source: SourceRef, what: str) -> Iterator[None]:
        before, self._now = self._now, self._numbers[source]
        self._given.reading(self._now)
        with at_fault(source), refusals(what, pyvips.Error):
            yield
        self._now = before
        self._given.reading(before)
