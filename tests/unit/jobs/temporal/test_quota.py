"""How many jobs may wait, by counts that are a little old."""

import pytest

from imagemill.jobs.temporal.quota import Quota
from imagemill.model.errors import QuotaExceeded
from imagemill.settings import Jobs, Tenant


class Counting:
    """A visibility store that finds nothing yet."""

    queue = "q"

    def __init__(self, found: int = 0) -> None:
        self.found = found
        self.asked = 0

    async def count(self, _filter: str) -> int:
        self.asked += 1
        return self.found


async def test_what_was_just_accepted_counts():
    """Though the store has not heard of it, and without asking it each time."""
    link = Counting()
    quota = Quota(Jobs(max_waiting=100), link)

    for _ in range(100):
        await quota.admit("t", 1)

    with pytest.raises(QuotaExceeded, match="100 \\+ 1 > 100"):
        await quota.admit("t", 1)
    assert link.asked == 2


async def test_a_tenants_own_number_goes_before_the_general_one():
    """And the other tenants keep theirs."""
    quota = Quota(Jobs(max_waiting=100, tenants={"small": Tenant(max_waiting=1)}), Counting())

    await quota.admit("small", 1)
    with pytest.raises(QuotaExceeded, match="this tenant"):
        await quota.admit("small", 1)
    await quota.admit("large", 100)


async def test_all_tenants_together_have_one_too():
    quota = Quota(Jobs(max_waiting=100, max_waiting_all=5), Counting())

    await quota.admit("a", 3)
    with pytest.raises(QuotaExceeded, match="all tenants"):
        await quota.admit("b", 3)
    await quota.admit("b", 2)


async def test_what_waits_already_is_found():
    """At the first question."""
    quota = Quota(Jobs(max_waiting=5), Counting(5))

    with pytest.raises(QuotaExceeded):
        await quota.admit("t", 1)
