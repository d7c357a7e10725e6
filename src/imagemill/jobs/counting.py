"""What happens to jobs, as metrics: the same for every engine."""

from imagemill.model.job import State
from imagemill.obs.metrics import Metrics


class Counting:
    """See `jobs.base.Observed`: into metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def stage(self, stage: str, seconds: float) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.observe("job_stage", stage, seconds)

    def job(self, state: State, priority: int) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.count("jobs_finished", state, str(priority))

    def callback(self, outcome: str) -> None:
        """See `jobs.base.Observed`."""
        self._metrics.count("callbacks", outcome)
