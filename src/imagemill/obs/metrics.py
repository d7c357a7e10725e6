"""Every metric, its labels and unit, declared once.

Labels have few values, all of them known here: never a URL, a host, a key or an error's text (threat O03).
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from imagemill.obs.exposition import chosen, joined
from imagemill.obs.tallies import Tally, Times

_DURATIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 43_200.0, 86_400.0)
"""Buckets of what may take a day."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)


class Metric(Struct, frozen=True):
    """One declaration."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _SECONDS
    of_jobs: bool = False
    """Told by the process that does the jobs; `serve` shows it of its child, counters and histograms with its own."""
    by_hand: bool = False
    """Observed at every request, by one thread: see `obs.tallies`."""


DECLARED = (
    Metric(
        "imagemill_requests_total",
        "counter",
        "Requests by problem code, ok, not_modified or client_gone.",
        ("outcome",),
    ),
    Metric(
        "imagemill_request_seconds",
        "histogram",
        "Time from the head of a request to its answer.",
        ("cache",),
        by_hand=True,
    ),
    Metric("imagemill_stage_seconds", "histogram", "Time of one stage of a render.", ("stage",)),
    Metric("imagemill_cache_events_total", "counter", "Hit, miss, put and bypass of each cache.", ("cache", "event")),
    Metric("imagemill_cache_bytes", "gauge", "What the entries of a cache weigh.", ("cache",)),
    Metric(
        "imagemill_l2_events_total",
        "counter",
        "The second level: hit, miss, stored, bypass, dropped, bad_frame, error, fenced, swept, renewed.",
        ("event",),
        of_jobs=True,
    ),
    Metric("imagemill_l2_swept_bytes_total", "counter", "Bytes of entries that went unread.", of_jobs=True),
    Metric("imagemill_l2_up", "gauge", "Whether the second level is in use: 1, or 0 while it is left alone."),
    Metric("imagemill_queue_length", "gauge", "Renders waiting for a worker."),
    Metric("imagemill_queue_refused_total", "counter", "Renders refused because too much was waiting."),
    Metric("imagemill_renders_total", "counter", "Renders by format and outcome.", ("format", "outcome")),
    Metric("imagemill_workers", "gauge", "Workers by state: idle, busy, starting.", ("state",)),
    Metric("imagemill_worker_restarts_total", "counter", "Workers replaced: crash, deadline, …", ("reason",)),
    Metric("imagemill_worker_crash_total", "counter", "Workers that died by themselves."),
    Metric("imagemill_poison_refused_total", "counter", "Sources refused because they ended workers before."),
    Metric("imagemill_source_fetches_total", "counter", "Sources read, by outcome.", ("outcome",), of_jobs=True),
    Metric("imagemill_source_bytes_total", "counter", "Bytes of sources read.", of_jobs=True),
    Metric(
        "imagemill_store_operations_total",
        "counter",
        "Attempts at stores: get, put, stat …, read for a chunk; ok, unchanged, absent, cancelled or the error's code.",
        ("operation", "outcome"),
        of_jobs=True,
    ),
    Metric("imagemill_store_seconds", "histogram", "Time of one attempt at a store.", ("operation",), of_jobs=True),
    Metric("imagemill_fetches_in_flight", "gauge", "Downloads under way."),
    Metric("imagemill_requests_in_flight", "gauge", "Requests under way."),
    Metric("imagemill_connections", "gauge", "Open client connections on the public port."),
    Metric(
        "imagemill_connections_refused_total",
        "counter",
        "Client connections refused or closed by a limit.",
        ("reason",),
    ),
    Metric("imagemill_purges_total", "counter", "Purges noted: by source, tag, key, or of all there is.", ("subject",)),
    Metric("imagemill_purge_bad_events_total", "counter", "Events in the stream of purges that are none of ours."),
    Metric("imagemill_purge_feed_reading", "gauge", "1 while purges of other nodes are heard, else 0."),
    Metric("imagemill_purge_silence_seconds", "gauge", "Time since all purges of other nodes were known."),
    Metric("imagemill_job_process_up", "gauge", "1 while the job process of this node takes jobs, else 0."),
    Metric(
        "imagemill_job_process_restarts_total",
        "counter",
        "Job processes replaced: crash, silent, start, ended.",
        ("reason",),
    ),
    Metric("imagemill_job_workers", "gauge", "Engine workers of the job process by state.", ("state",), of_jobs=True),
    Metric("imagemill_jobs", "gauge", "Jobs kept, by state and priority.", ("state", "priority"), of_jobs=True),
    Metric(
        "imagemill_jobs_finished_total",
        "counter",
        "Jobs whose outcome stands, by it and by priority.",
        ("state", "priority"),
        of_jobs=True,
    ),
    Metric(
        "imagemill_job_stage_seconds",
        "histogram",
        "Time of a job in a stage: waiting (from when it was due), making, delivering.",
        ("stage",),
        _DURATIONS,
        of_jobs=True,
    ),
    Metric(
        "imagemill_callbacks_total",
        "counter",
        "Attempts to call back: delivered, again, gone, dead, later.",
        ("outcome",),
        of_jobs=True,
    ),
    Metric("imagemill_callbacks_dead", "gauge", "Callbacks given up, which can be redelivered.", of_jobs=True),
    Metric("imagemill_job_watchers", "gauge", "Event streams open."),
    Metric("imagemill_log_dropped_total", "counter", "Log lines that could not be written in time."),
    Metric("imagemill_build_info", "gauge", "Always 1; the versions in force.", ("version", "libvips")),
)


class Metrics:
    """The metrics of one node, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, for times nobody asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._before: list[Callable[[], None]] = []
        self._beside: list[Callable[[], bytes]] = []
        self._tallies: list[Tally] = []
        self._by_name: dict[str, Counter | Gauge | Histogram | Times] = {m.name: self._make(m) for m in DECLARED}

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Raise the counter ``imagemill_<name>_total``."""
        metric = self._by_name[f"imagemill_{name}_total"]
        assert isinstance(metric, Counter)
        (metric.labels(*labels) if labels else metric).inc(by)

    def counting(self, name: str, *labels: str) -> Callable[[str], None]:
        """What raises ``imagemill_<name>_total`` by the value of its last label, where that is done at every request.

        For one thread only. Counts are kept by hand, and added to the counter when it is scraped.
        """
        metric = self._by_name[f"imagemill_{name}_total"]
        assert isinstance(metric, Counter)
        tally = Tally(lambda label, by: metric.labels(*labels, label).inc(by))
        self._tallies.append(tally)
        return tally.count

    def observe(self, name: str, label: str, seconds: float) -> None:
        """Record a time in the histogram ``imagemill_<name>_seconds``."""
        metric = self._by_name[f"imagemill_{name}_seconds"]
        assert isinstance(metric, Times | Histogram)
        metric.labels(label).observe(seconds)

    def timing(self, name: str, label: str) -> Callable[[float], None]:
        """As `observe`, of one label, for what is observed at every request."""
        metric = self._by_name[f"imagemill_{name}_seconds"]
        assert isinstance(metric, Times)
        return metric.labels(label).observe

    def mirror(self, name: str, read: Callable[[], float], *labels: str) -> None:
        """Let the gauge ``imagemill_<name>`` show live state, read when it is scraped."""
        metric = self._by_name[f"imagemill_{name}"]
        assert isinstance(metric, Gauge)
        (metric.labels(*labels) if labels else metric).set_function(read)

    def replace(self, name: str, values: Mapping[tuple[str, ...], float]) -> None:
        """Let the gauge ``imagemill_<name>`` show *values*, by its labels, and none that it showed before."""
        metric = self._by_name[f"imagemill_{name}"]
        assert isinstance(metric, Gauge)
        if () not in values:
            metric.clear()
        for labels, value in values.items():
            (metric.labels(*labels) if labels else metric).set(value)

    def build_info(self, version: str, libvips: str) -> None:
        """Say which versions are in force."""
        metric = self._by_name["imagemill_build_info"]
        assert isinstance(metric, Gauge)
        metric.labels(version, libvips).set(1)

    def before_render(self, update: Callable[[], None]) -> None:
        """Call *update* before every scrape."""
        self._before.append(update)

    def beside(self, read: Callable[[], bytes]) -> None:
        """Show what *read* gives, of another process of this node, in place of metrics of the same names."""
        self._beside.append(read)

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        for update in self._before:
            update()
        for tally in self._tallies:
            tally.flush()
        text = generate_latest(self.registry)
        for read in self._beside:
            text = joined(text, read())
        return text

    def of_jobs(self) -> bytes:
        """Those that the process that does the jobs tells, in the same format."""
        return chosen(self.render(), frozenset(m.name for m in DECLARED if m.of_jobs))

    def _make(self, m: Metric) -> Counter | Gauge | Histogram | Times:
        if m.by_hand:
            times = Times(m.name, m.meaning, m.labels, m.buckets)
            self.registry.register(times)
            return times
        if m.kind == "histogram":
            return Histogram(m.name, m.meaning, m.labels, buckets=m.buckets, registry=self.registry)
        kind = Counter if m.kind == "counter" else Gauge
        return kind(m.name, m.meaning, m.labels, registry=self.registry)
