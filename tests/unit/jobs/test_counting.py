"""What happens to jobs is counted where it belongs."""

from imagemill.jobs.counting import Counting
from imagemill.model.job import State
from imagemill.obs.metrics import Metrics


def test_outcomes_stages_and_callbacks():
    metrics = Metrics()
    told = Counting(metrics)

    told.job(State.SUCCEEDED, 7)
    told.stage("waiting", 40.0)
    told.stage("waiting", -1.0)  # a clock that was set back
    told.callback("again")

    shown = metrics.render().decode()
    assert 'imagemill_jobs_finished_total{priority="7",state="succeeded"} 1.0' in shown
    assert 'imagemill_job_stage_seconds_bucket{le="30.0",stage="waiting"} 1.0' in shown
    assert 'imagemill_job_stage_seconds_sum{stage="waiting"} 40.0' in shown
    assert 'imagemill_callbacks_total{outcome="again"} 1.0' in shown


def test_gauges_show_what_is_and_not_what_was():
    metrics = Metrics()
    told = Counting(metrics)
    told.show({("queued", 0): 5, ("dead_letter", 0): 1, ("dead_letter", 9): 2})
    first = metrics.render().decode()

    told.show({("running", 0): 1})

    second = metrics.render().decode()
    assert 'imagemill_jobs{priority="0",state="queued"} 5.0' in first
    assert "imagemill_callbacks_dead 3.0" in first
    assert "dead_letter" not in first
    assert 'imagemill_jobs{priority="0",state="running"} 1.0' in second
    assert "queued" not in second
    assert "imagemill_callbacks_dead 0.0" in second
