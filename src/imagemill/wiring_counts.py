"""What happens in the parts of a process, as metrics and lines of its log."""

from collections.abc import Callable

from imagemill.engines.base import Stages
from imagemill.engines.pool import Event
from imagemill.obs.logs import Log
from imagemill.obs.metrics import Metrics


class Counts:
    """Whom the parts of one process tell what they do."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log

    def of_cache(self, cache: str) -> Callable[[str], None]:
        """Whoever is told of the events of *cache*."""
        return self._metrics.counting("cache_events", cache)

    def purged(self, event: str) -> None:
        """Count a purge, or what was no purge at all."""
        if event == "bad":
            self._metrics.count("purge_bad_events")
        else:
            self._metrics.count("purges", event)

    def shared(self, event: str, size: int) -> None:
        """Count what happened at the second level; *size* in bytes."""
        self._metrics.count("l2_events", event)
        if event == "swept":
            self._metrics.count("l2_swept_bytes", by=size)

    def shared_state(self, well: bool, why: str) -> None:
        """Log that the second level came or went."""
        if well:
            self._log.info("the second cache level is in use", reason=why)
        else:
            self._log.warning("the second cache level is left alone", reason=why)

    def pool(self, event: Event) -> None:
        """Count what became of an engine worker."""
        match event.name:
            case "restart":
                self._metrics.count("worker_restarts", event.reason)
            case "crash":
                self._metrics.count("worker_crash")
                self._log.warning("worker crashed")
            case "poison":
                self._metrics.count("poison_refused")

    def fetched(self, outcome: str, size: int) -> None:
        """Count a fetch of a source, and its bytes."""
        self._metrics.count("source_fetches", outcome)
        self._metrics.count("source_bytes", by=size)

    def stored(self, operation: str, outcome: str, seconds: float) -> None:
        """Count what a store was asked for, and how long it took."""
        self._metrics.count("store_operations", operation, outcome)
        self._metrics.observe("store", operation, seconds)

    def rendered(self, outcome: str, format_: str, stages: Stages, fetch_ms: float) -> None:
        """Count a rendition, and how long each stage of one that was made took."""
        self._metrics.count("renders", format_, outcome)
        if outcome == "ok":
            times = {
                "fetch": fetch_ms, "queue": stages.queue_ms, "handover": stages.handover_ms,
                "probe": stages.probe_ms, "render": stages.render_ms,
            }  # fmt: skip
            for stage, ms in times.items():
                self._metrics.observe("stage", stage, ms / 1e3)
