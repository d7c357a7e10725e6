"""What happens to jobs, as metrics: the same for every engine."""

from collections.abc import Mapping

from imagemill.jobs.base import DEAD_LETTER
from imagemill.model.job import State
from imagemill.obs.metrics import Metrics


class Counting:
    """See `jobs.base.Observed`: into metrics."""

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
        """Let the gauges say what `jobs.base.JobEngine.counts` does, and nothing of what they said before."""
        jobs: dict[tuple[str, ...], float] = {
            (state, str(priority)): float(n) for (state, priority), n in counts.items() if state != DEAD_LETTER
        }
        self._metrics.replace("jobs", jobs)
        dead = sum(n for (state, _), n in counts.items() if state == DEAD_LETTER)
        self._metrics.replace("callbacks_dead", {(): float(dead)})
