"""Whatever happens in whatever order, a job has one end, and whoever is to be told of it is.

Operations come at random: orders, processes that claim, report, finish, die, wake up late, clocks that jump, receivers
that take messages or do not. After each, the tables are held against each other and against what was seen before; in
the end everything is worked off, and nothing may be left.
"""

import sqlite3

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imagemill.jobs.base import Again, Claim, Delivered, Gone, Work, fault_of
from imagemill.jobs.embedded import admission, batches, course, orders, outbox, rows, schedules, schema, turns, upkeep
from imagemill.jobs.embedded.admission import Quota
from imagemill.jobs.embedded.turns import Places
from imagemill.jobs.notices import owes_final
from imagemill.model.errors import IdempotencyMismatch, JobFinished, NotFound, QuotaExceeded, Superseded
from imagemill.model.job import FINAL, OVER, TERMINAL, DeliveryState, Event, Schedule, State
from support.jobs import ALL_EVENTS, batch, callback, job, spec, stored

BEGAN_S = 1_000_000.0
QUOTA = Quota(30, 40)
CRASHES = 3
SMALL_PAGE = 2
TENANTS = ("a", "b")
CALLBACKS = (None, callback(), callback("other.example", ALL_EVENTS), callback("third.example", (Event.FAILED,)))
ANY = st.integers(0, 10_000)

wishes = st.fixed_dictionaries(
    {
        "priority": st.sampled_from((0, 5, 9)),
        "callback": st.sampled_from(CALLBACKS),
        "retries": st.integers(0, 2),
        "delay": st.sampled_from((0, 0, 5, 100)),
        "within": st.sampled_from((None, None, 3, 50, 200)),
    }
)


class History(RuleBasedStateMachine):
    """One file, many processes after each other, and all that is seen of them."""

    @initialize()
    def begin(self):
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        for statement in (statement for step in schema.STEPS for statement in step):
            self.db.execute(statement)
        self.now_s = BEGAN_S
        self.epoch = upkeep.begin_epoch(self.db)
        self.zombies = []
        """Epoch and job of work whose process died, and may wake up."""
        self.seen = {}
        """Job to what it was at the last look."""
        self.keys = {}
        self.accepted = set()
        self.pruned = set()
        self.messages = {}
        self.fired = {}
        self.batches = {}

    def teardown(self):
        if hasattr(self, "db"):
            self.work_off()
            self.db.close()

    # what is asked for

    def order(self, wish, tenant):
        deadline_s = None if wish["within"] is None else self.now_s + wish["within"]
        fields = {name: wish[name] for name in ("priority", "callback", "retries")}
        return job(
            tenant, created_s=self.now_s, not_before_s=self.now_s + wish["delay"], deadline_s=deadline_s, **fields
        )

    @rule(wish=wishes, tenant=st.sampled_from(TENANTS), key=st.none() | st.sampled_from("xyz"), body=st.booleans())
    def submit(self, wish, tenant, key, body):
        claim = None if key is None else Claim(key, str(body))
        known = self.keys.get((tenant, key))
        try:
            found = self.write(orders.submit, self.order(wish, tenant), claim, QUOTA, self.now_s)
        except QuotaExceeded:
            return
        except IdempotencyMismatch:
            assert known
            assert known[1] != claim.digest
            return
        if known and known[0] not in self.pruned:
            assert (found.id, claim.digest) == known
        self.accepted.add(found.id)
        if key is not None:
            self.keys[tenant, key] = (found.id, claim.digest)

    @rule(total=st.integers(1, 5), tenant=st.sampled_from(TENANTS), told=st.sampled_from(CALLBACKS[:2]), wish=wishes)
    def submit_batch(self, total, tenant, told, wish):
        new = batch(total, tenant, callback=told)
        try:
            admission.keep_to(self.db, tenant, total, QUOTA)
        except QuotaExceeded:
            return
        one = self.order(wish, tenant).spec
        self.write(batches.add, new, batches.pages([one] * total))
        self.batches[new.id] = new

    @rule(tenant=st.sampled_from(TENANTS), name=st.sampled_from("pq"), paused=st.booleans())
    def put_schedule(self, tenant, name, paused):
        every = Schedule(name, tenant, "*/2 * * * *", (spec(), spec()), paused=paused)
        self.write(schedules.put, every, 9, self.now_s)

    @rule(which=ANY)
    def cancel(self, which):
        if (job_id := pick(self.live_ids(), which)) is None:
            return
        before = orders.read(self.db, job_id)
        try:
            found, anew = self.write(orders.cancel, job_id, self.now_s)
        except JobFinished:
            assert before.outcome is not State.CANCELLED
            return
        assert found.outcome is State.CANCELLED
        assert anew is (before.state not in OVER)

    @rule(which=ANY, some=st.integers(0, 3))
    def cancel_batch(self, which, some):
        if (batch_id := pick(list(self.batches), which)) is None:
            return
        try:
            self.write(batches.cancel, batch_id, self.now_s)
        except NotFound:
            assert batches.read(self.db, batch_id) is None
        else:
            if some:  # else whoever cancelled it died over it
                self.write(upkeep.cancel_some, batch_id, some, self.now_s)

    @rule(which=ANY)
    def redeliver(self, which):
        if (job_id := pick([*self.live_ids(), *self.batches], which)) is None:
            return
        owed = [d for d in outbox.owed_to(self.db, job_id) if d.event in FINAL and d.state != "pending"]
        try:
            assert self.write(outbox.redeliver, job_id, self.now_s) == len(owed)
        except NotFound:
            assert job_id in self.batches

    # who works

    @rule(ordinary=st.integers(0, 3), more=st.integers(0, 2))
    def claim(self, ordinary, more):
        for kept in self.write(turns.claim, self.epoch, Places(ordinary, ordinary + more), {}, self.now_s):
            assert kept.job.times.due_s <= max(self.now_s, self.latest_s)

    @rule(which=ANY, way=st.sampled_from(("report", "succeed", "fail", "give up", "expire")))
    def work(self, which, way):
        if job_id := pick(self.running_ids(), which):
            self.step(job_id, self.epoch, way)

    @precondition(lambda self: self.zombies)
    @rule(which=ANY, way=st.sampled_from(("report", "succeed", "fail")))
    def wake_up_late(self, which, way):
        epoch, job_id = pick(self.zombies, which)
        with pytest.raises(Superseded):
            self.step(job_id, epoch, way)

    @rule(kind=st.sampled_from(("crash", "stop")))
    def next_process(self, kind):
        if kind == "stop":
            self.write(upkeep.give_back, self.epoch, self.now_s)
            assert self.running_ids() == []
        self.zombies += [(self.epoch, job_id) for job_id in self.running_ids()]
        self.epoch = self.write(upkeep.begin_epoch)
        self.write(upkeep.recover, self.epoch, (), CRASHES, self.now_s)
        assert self.running_ids() == []

    @rule(which=ANY)
    def lose_a_task(self, which):
        at_work = self.running_ids()
        if lost := pick(at_work, which):
            self.write(upkeep.recover, self.epoch, set(at_work) - {lost}, CRASHES, self.now_s)
            assert self.running_ids() == [one for one in at_work if one != lost]

    @rule()
    def keep_up(self):
        agenda = upkeep.look(self.db, self.epoch)
        assert agenda.running == set(self.running_ids())
        if agenda.job_s <= self.now_s:
            done = self.write(upkeep.promote, self.epoch, 2, self.now_s)
            assert done + len(self.write(upkeep.expire, self.epoch, 2, self.now_s)) > 0
        if agenda.pages:
            assert self.write(upkeep.make_page, self.epoch, self.now_s)
        if upkeep.look(self.db, self.epoch).cancelling:
            assert self.write(upkeep.go_on_cancelling, self.epoch, 2, self.now_s)
        if agenda.schedule_s <= self.now_s:
            self.fire()

    def fire(self):
        due = {(one.tenant, one.name): one.next_s for one in schedules.listed(self.db, None) if one.next_s}
        try:
            name = self.write(upkeep.fire, self.epoch, lambda _: QUOTA, self.now_s)
        except QuotaExceeded:
            return
        assert name
        for (tenant, one), time_s in due.items():
            if schedules.read(self.db, tenant, one).next_s != time_s:
                assert time_s <= self.now_s
                assert time_s > self.fired.get((tenant, one), 0.0)
                self.fired[tenant, one] = time_s

    @rule(answers=st.lists(st.sampled_from((Delivered(204), Again("500", 500), Gone("410", 410))), max_size=4))
    def deliver(self, answers):
        for receiver, due_s in outbox.receivers(self.db).items():
            assert due_s <= self.now_s or outbox.due(self.db, receiver, 1, self.now_s) == []
            for delivery, answer in zip(outbox.due(self.db, receiver, 4, self.now_s), answers, strict=False):
                after = outbox.attempted(delivery, answer, self.now_s, 0.5)
                with pytest.raises(Superseded):
                    self.write(outbox.settle, self.epoch - 1, after, self.now_s)
                self.write(outbox.settle, self.epoch, after, self.now_s)

    # what happens beside

    @rule(seconds=st.sampled_from((0.1, 3.0, 60.0, 600.0, -600.0, 4000.0)))
    def let_time_pass(self, seconds):
        self.latest_s = max(self.latest_s, self.now_s)
        self.now_s += seconds

    @rule(age_s=st.sampled_from((0.0, 100.0)), most=st.integers(1, 9))
    def prune(self, age_s, most):
        self.write(upkeep.prune, self.now_s - age_s, most, self.now_s)
        self.write(upkeep.prune_batches, self.now_s - age_s, most, self.now_s)

    @rule(which=ANY)
    def spoil(self, which):
        if job_id := pick([one for one in self.live_ids() if self.seen.get(one)], which % 50):
            self.db.execute("UPDATE jobs SET spec = x'78' WHERE id = ?", (job_id,))

    # what must hold

    @invariant()
    def all_is_well(self):
        if hasattr(self, "db"):
            now = {kept.job.id: kept for kept in rows.jobs_where(self.db, "TRUE", ())}
            self.check_gone(now)
            for job_id, kept in now.items():
                self.check_course(self.seen.get(job_id), kept)
                self.check_told(kept)
            self.check_tallies(now)
            self.check_batches(now)
            self.seen = now

    def check_gone(self, now):
        for job_id in self.seen.keys() - now.keys():
            assert self.seen[job_id].job.state in TERMINAL
            self.pruned.add(job_id)
        assert self.accepted - self.pruned <= now.keys()

    def check_course(self, before, kept):
        found = kept.job
        assert (found.state is State.RUNNING) is (kept.owner == self.epoch), "nobody's, or a dead process's"
        assert kept.crashes <= CRASHES + 1
        assert kept.failures <= found.spec.retries + 1 or kept.is_lost
        assert (found.outcome is not None) is (found.state in OVER)
        assert (found.times.finished_s > 0) is (found.state in OVER)
        if before is not None and found != before.job and not kept.is_lost:
            assert found.version > before.job.version
        if before is not None and before.job.outcome is not None:
            assert found.outcome is before.job.outcome
            assert (found.results, found.attempts) == (before.job.results, before.job.attempts)
            if before.job.state in TERMINAL:
                assert found.state is before.job.state

    def check_told(self, kept):
        found, told = kept.job, outbox.owed_to(self.db, kept.job.id)
        assert len({d.id for d in told}) == len(told)
        final = [d for d in told if d.event in FINAL]
        if not kept.is_lost:
            owes = found.outcome is not None and owes_final(found.spec.callback, found.outcome)
            assert len(final) == owes
        assert found.callback_state == (final[0].state.value if final else "")
        if found.state is State.DELIVERING:
            assert final[0].state is DeliveryState.PENDING

    def check_tallies(self, now):
        counted = {}
        for kept in now.values():
            key = (kept.job.state.value, kept.job.tenant)
            counted[key] = counted.get(key, 0) + 1
        found = self.db.execute("SELECT state, tenant, sum(jobs) FROM tallies GROUP BY 1, 2 HAVING sum(jobs) <> 0")
        assert {(state, tenant): jobs for state, tenant, jobs in found} == counted

    def check_batches(self, now):
        for batch_id, new in self.batches.items():
            if (found := batches.read(self.db, batch_id)) is None:
                assert not [kept for kept in now.values() if kept.job.batch == batch_id]
                continue
            children = [kept.job for kept in now.values() if kept.job.batch == batch_id]
            told = outbox.owed_to(self.db, batch_id)
            (over, cancelled) = self.db.execute(
                "SELECT over, cancelled FROM batches WHERE id = ?", (batch_id,)
            ).fetchone()
            assert len(children) <= found.made <= new.total
            if len(children) == found.made:
                assert over == sum(child.state in OVER for child in children)
                is_over = over == found.made and (found.made == new.total or cancelled)
                assert bool(found.finished_s) is bool(is_over)
                assert sum(found.counts.values()) == (new.total if cancelled else found.made)
            assert [d.event for d in told] == [Event.FINISHED] * bool(found.finished_s and new.callback)
            assert (found.state is State.DELIVERING) <= any(d.state is DeliveryState.PENDING for d in told)
            assert (found.state is State.RUNNING) is not bool(found.finished_s)

    def work_off(self):
        """Nothing is left where everybody does what there is to do."""
        self.db.execute("DELETE FROM schedules")
        self.next_process("crash")
        for _ in range(400):
            self.keep_up()
            self.claim(2, 1)
            for job_id in self.running_ids():
                self.step(job_id, self.epoch, "succeed")
            self.deliver([Delivered(204)] * 4)
            self.let_time_pass(60.0)
            self.all_is_well()
            left = self.db.execute(
                """SELECT (SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded', 'failed', 'cancelled', 'expired'))
                + (SELECT count(*) FROM batches WHERE state IN ('running', 'delivering'))
                + (SELECT count(*) FROM deliveries WHERE state = 'pending') + (SELECT count(*) FROM batch_pages)"""
            ).fetchone()[0]
            if not left:
                return
        pytest.fail(f"{left} are left")

    # how it is done

    latest_s = BEGAN_S

    def write(self, operation, *arguments):
        """As the file does it: whole, or not at all."""
        self.db.execute("BEGIN")
        try:
            done = operation(self.db, *arguments)
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        return done

    def step(self, job_id, epoch, way):
        def change(db):
            before = orders.mine(db, job_id, epoch)
            match way:
                case "report":
                    after = course.reported(before, stored(before.job), self.now_s)
                case "succeed":
                    after = course.succeeded(before, Work((stored(before.job),)), self.now_s)
                case "expire":
                    after = course.concluded(before, State.EXPIRED, self.now_s)
                case _:
                    fault = fault_of("x", "x", retryable=way == "fail")
                    after = course.failed(before, fault, self.now_s, 0.5)
            orders.change(db, before, after, self.now_s)

        self.write(change)

    def running_ids(self):
        return [row[0] for row in self.db.execute("SELECT id FROM jobs WHERE state = 'running' ORDER BY seq")]

    def live_ids(self):
        return [row[0] for row in self.db.execute("SELECT id FROM jobs ORDER BY seq")]


def pick(things, which):
    """One of *things*, if there is any."""
    return things[which % len(things)] if things else None


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(batches, "PAGE", SMALL_PAGE)


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=15, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
