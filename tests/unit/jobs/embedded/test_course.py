"""What becomes of a job, as values."""

from msgspec.structs import replace

from imagemill.jobs.base import Work, fault_of
from imagemill.jobs.embedded import course
from imagemill.jobs.embedded.rows import NOBODY, Kept
from imagemill.model.job import DeliveryState, Event, State
from support.jobs import callback, job, stored

PASSES = fault_of("source_timeout", "slow", retryable=True)
STAYS = fault_of("image_corrupt", "no", retryable=False)


def running(**fields):
    return course.begun(Kept(course.accepted(job(**fields), 100.0)), 7, 100.0)


def test_each_step_is_a_new_version():
    """So that whoever has an older one cannot write it over."""
    kept = running()

    steps = [
        course.reported(kept, stored(kept.job), 1.0),
        course.returned(kept),
        course.crashed(kept, 5, 1.0),
        course.failed(kept, PASSES, 1.0, 0.5),
        course.failed(kept, STAYS, 1.0, 0.5),
        course.succeeded(kept, Work(()), 1.0),
        course.concluded(kept, State.CANCELLED, 1.0),
    ]

    assert {after.job.version for after in steps} == {kept.job.version + 1}
    assert [after.owner for after in steps[1:]] == [NOBODY] * 6


def test_interruptions_use_up_no_retries():
    """A stop counts nothing; a crash counts on its own account, up to its own limit."""
    kept = running(retries=0)

    assert (course.returned(kept).job.attempts, course.returned(kept).failures) == (0, 0)
    crashed = course.crashed(kept, 2, 1.0)
    assert (crashed.job.state, crashed.crashes, crashed.failures) == (State.QUEUED, 1, 0)
    last = course.crashed(replace(kept, crashes=2), 2, 1.0)
    assert (last.job.state, last.job.outcome, last.job.fault.code) == (State.FAILED, State.FAILED, "job_crashed")


def test_retries_are_further_attempts():
    """One retry is two attempts; each waits for longer."""
    first = course.failed(running(retries=1), PASSES, 100.0, 0.0)
    second = course.failed(replace(first, job=replace(first.job, state=State.RUNNING)), PASSES, 200.0, 0.0)

    assert (first.job.state, first.failures) == (State.SCHEDULED, 1)
    assert first.job.times.due_s > 100.0
    assert (second.job.state, second.failures) == (State.FAILED, 2)


def test_a_success_has_no_fault_and_all_results():
    """What an earlier attempt stored stays in its place."""
    kept = running()
    kept = replace(kept, job=replace(kept.job, fault=PASSES, results=(stored(kept.job, "a"), stored(kept.job, "b"))))

    done = course.succeeded(kept, Work((stored(kept.job, "b"), stored(kept.job, "c"))), 5.0).job

    assert (done.fault, [r.name for r in done.results]) == (None, ["a", "b", "c"])


def test_a_last_callback_stands_between_outcome_and_end():
    """Whatever comes of it; and begun anew it does not bring the job back."""
    kept = course.succeeded(running(callback=callback()), Work(()), 5.0)
    assert (kept.job.state, kept.job.outcome, kept.job.callback_state) == ("delivering", "succeeded", "pending")

    for end in (DeliveryState.DELIVERED, DeliveryState.DEAD):
        over = course.told(kept, end)
        again = course.told(over, DeliveryState.PENDING)
        assert (over.job.state, over.job.callback_state) == (State.SUCCEEDED, end)
        assert (again.job.state, again.job.callback_state) == (State.SUCCEEDED, "pending")


def test_nothing_is_delivered_where_nobody_wants_to_know():
    """A success of which only failures are told is over."""
    assert course.succeeded(running(callback=callback(events=[Event.FAILED])), Work(()), 5.0).job.state == "succeeded"
