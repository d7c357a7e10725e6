"""What happens to jobs, as metrics: fulfils `jobs.base.Observed`."""

from collections.abc import Mapping

from imagemill.model.job import State
from imagemill.obs.metrics import Metrics

_DEAD = "dead_letter"


class JobMetrics:
    """Told of jobs and callbacks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def stage(self, stage: str, seconds: float) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.observe("job_stage", stage, max(0.0, seconds))

    def job(self, state: State, priority: int) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.count("jobs_finished", state, str(priority))

    def callback(self, outcome: str) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.count("callbacks", outcome)

    def show(self, counts: Mapping[tuple[str, int], int]) -> None:
        """Let the gauges say what `jobs.base.JobEngine.counts` does."""
        jobs: dict[tuple[str, ...], float] = {
            (state, str(priority)): float(n) for (state, priority), n in counts.items() if state != _DEAD
        }
        self._metrics.replace("jobs", jobs)
        dead = sum(n for (state, _), n in counts.items() if state == _DEAD)
        self._metrics.replace("callbacks_dead", {(): float(dead)})
