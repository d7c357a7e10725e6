"""Counts and times kept by hand, for what happens at every request: a library's own take a lock and a look-up each.

For one thread. What is scraped is the same as the library's.
Units    seconds.
Source   prometheus_client's custom collectors.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally:
    """Counts by a label, handed to *add* now and then."""

    def __init__(self, add: Callable[[str, int], None]) -> None:
        self._add = add
        self._counts: dict[str, int] = {}

    def count(self, label: str) -> None:
        """One more."""
        self._counts[label] = self._counts.get(label, 0) + 1

    def flush(self) -> None:
        """Hand on what was counted since the last time."""
        counts, self._counts = self._counts, {}
        for label, by in counts.items():
            self._add(label, by)


class _OfLabel:
    """The times of one label."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.sum_s += seconds


class Times(Collector):
    """A histogram with one label."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self._name, self._meaning, self._labels = name, meaning, labels
        self._bounds = tuple(buckets)
        self._shown = [floatToGoString(bound) for bound in (*buckets, float("inf"))]  # type: ignore[no-untyped-call]
        self._by_label: dict[str, _OfLabel] = {}

    def labels(self, label: str) -> _OfLabel:
        """Where the times of *label* go."""
        found = self._by_label.get(label)
        if found is None:
            found = self._by_label[label] = _OfLabel(self._bounds)
        return found

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Its name, so that no other takes it."""
        yield HistogramMetricFamily(self._name, self._meaning, labels=self._labels)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """All of it, as the library has it."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        for label, times in self._by_label.items():
            total, buckets = 0, []
            for shown, count in zip(self._shown, times.counts, strict=True):
                total += count
                buckets.append((shown, total))
            family.add_metric([label], buckets, times.sum_s)
        yield family
