"""What is written into histories reads back, long or short."""

import json

import pytest
from msgspec import Raw
from msgspec.structs import replace
from temporalio.api.common.v1 import Payload

from imagemill.jobs.base import Again, Delivered, Gone, Later, Outcome
from imagemill.jobs.temporal import payloads
from imagemill.jobs.temporal.orders import Order, Terms, job_of, now_of
from imagemill.model.errors import LimitExceeded
from imagemill.model.job import Fault, Result, State
from support.temporal_jobs import job

TERMS = Terms("q", 10.0, 3, 8_000_000, 60.0)
OUTCOMES = [Delivered(204), Again("500", 500), Later(1.5), Gone("410", 410)]


async def _there_and_back(value, type_):
    (back,) = await payloads.CONVERTER.decode(await payloads.CONVERTER.encode([value]), [type_])
    return back


@pytest.mark.parametrize("tags", [(), tuple("x" * 60 for _ in range(16))])
async def test_an_order_reads_back(tags):
    """With its metadata as it came."""
    order = Order(replace(job(*tags), spec=replace(job(*tags).spec, metadata=Raw(b'{"a": [1, 2]}'))), TERMS)

    back = await _there_and_back(order, Order)

    assert replace(back, job=replace(back.job, spec=order.job.spec)) == order
    assert bytes(back.job.spec.metadata) == b'{"a": [1, 2]}'


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_an_outcome_reads_back_as_its_kind(outcome):
    assert await _there_and_back(outcome, Outcome) == outcome


async def test_short_payloads_can_be_read_by_an_operator():
    """As JSON, in Temporal's own tools."""
    (payload,) = await payloads.CONVERTER.encode([{"a": 1}])

    assert payload.metadata["encoding"] == b"json/plain"
    assert json.loads(payload.data) == {"a": 1}


async def test_long_payloads_are_compressed():
    """And read back."""
    text = "renditions " * 10_000

    (payload,) = await payloads.CONVERTER.encode([text])

    assert payload.ByteSize() < 2_000
    assert await _there_and_back(text, str) == text


async def test_a_payload_cut_short_is_no_value():
    """Nor is one that was damaged on its way taken for one."""
    (payload,) = await payloads.CONVERTER.encode(["renditions " * 10_000])
    cut = Payload(metadata=payload.metadata, data=payload.data[:-9])

    with pytest.raises(ValueError, match="cut short"):
        await payloads.CONVERTER.decode([cut], [str])


async def test_what_temporal_would_not_take_is_refused_before():
    """By what it comes to once compressed."""
    import random

    noise = f"{random.Random(1).getrandbits(8 * 2_000_000):x}"
    await payloads.check_size("a" * 8_000_000, "batch_bytes")

    with pytest.raises(LimitExceeded, match=f"> {payloads.MAX_BYTES * 3 // 4} bytes") as refused:
        await payloads.check_size(noise, "batch_bytes")
    assert refused.value.limit == "batch_bytes"


def test_a_job_is_what_was_accepted_and_what_has_come_of_it():
    """Nothing that changes is left out."""
    accepted = job("a")
    later = replace(
        accepted, state=State.FAILED, outcome=State.FAILED, version=7, attempts=2, callback_state="dead",
        results=(Result("a"),), fault=Fault("internal", "no"), times=replace(accepted.times, finished_s=5.0),
    )  # fmt: skip

    assert job_of(accepted, now_of(later, ())) == later
    assert job_of(accepted, None) == accepted
