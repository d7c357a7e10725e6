"""How jobs are shown: all that is documented, nothing that is secret."""

import json

import msgspec
import pytest

from imagemill.jobs.base import Page
from imagemill.model.job import Batch, Delivery, Event, Fault, Schedule, State, Timings
from imagemill.model.request import SourceRef
from imagemill.web.views import batch_view, delivery_view, job_view, page_view, schedule_view, source_text, time_text
from support.job_port import CALLBACK, ID, SECRET, job, spec, stored


def shown(view):
    """As a client reads it."""
    return json.loads(msgspec.json.encode(view))


def test_a_job_that_waits():
    assert shown(job_view(job(spec=spec(tags=("a",), priority=7, ttl_s=60)))) == {
        "id": ID, "state": "queued", "outcome": None, "version": 0, "tenant": "acme", "attempts": 0,
        "source": "https://***@img.example/cat.jpg?***", "store": "out", "warm": False, "priority": 7, "retries": 3,
        "ttl": 60, "tags": ["a"],
        "renditions": [
            {"name": name, "state": "waiting", "store": None, "key": None, "address": None, "url": None, "sha256": None,
             "bytes": None, "media_type": None, "width_px": None, "height_px": None, "frames": None, "warmed": False}
            for name in ("small", "large")
        ],
        "callback": {"url": "https://***@hooks.example/in?***", "events": ["failed", "succeeded"], "state": None},
        "error": None,
        "times": {"created": "2027-01-15T08:00:00.250Z", "due": None, "started": None, "finished": None, "deadline": None},
        "fetch_ms": 0.0, "make_ms": 0.0, "metadata": None, "retry_of": None, "batch": None, "schedule": None,
        "links": {"self": f"/jobs/{ID}", "deliveries": f"/jobs/{ID}/deliveries", "events": f"/jobs/{ID}/events"},
    }  # fmt: skip


def test_a_job_that_is_done():
    """Results in the order in which they were asked for, with where they lie."""
    done = job(
        state=State.SUCCEEDED, outcome=State.SUCCEEDED, version=9, attempts=2, results=(stored("large"), stored("small")),
        callback_state="delivered", times=Timings(1.0, 2.0, 3.0, 4.0, 5.04, 6.06), retry_of="1" * 32, batch="2" * 32,
        schedule="warm",
    )  # fmt: skip
    view = shown(job_view(done, {"small": ("local:out/k", "https://cdn.example/k"), "large": ("local:out/l", None)}))

    small, large = view["renditions"]
    assert (small["name"], small["address"], small["url"]) == ("small", "local:out/k", "https://cdn.example/k")
    assert (large["address"], large["url"]) == ("local:out/l", None)
    assert (small["bytes"], small["media_type"], small["width_px"], small["sha256"]) == (
        1234,
        "image/webp",
        512,
        "ab" * 32,
    )
    assert view["callback"]["state"] == "delivered"
    assert view["times"]["finished"] == "1970-01-01T00:00:04.000Z"
    assert (view["fetch_ms"], view["make_ms"]) == (5.0, 6.1)
    assert (view["retry_of"], view["batch"], view["schedule"]) == ("1" * 32, "2" * 32, "warm")
    assert view["links"] == {
        "self": f"/jobs/{ID}", "deliveries": f"/jobs/{ID}/deliveries", "retry": f"/jobs/{ID}/retry",
    }  # fmt: skip


def test_an_error_is_shown_without_what_it_may_hold_of_secrets():
    fault = Fault("source_bad_response", f"https://img.example/a?sig={SECRET} gave 500", retryable=True)

    assert shown(job_view(job(fault=fault)))["error"] == {
        "code": "source_bad_response", "message": "https://img.example/a?*** gave 500", "retryable": True,
    }  # fmt: skip


@pytest.mark.parametrize("raw", [b'{"b":1,"a":[1.50,1e3],"a":"\\u00e9"}', b'"x"', b"12345678901234567890123"])
def test_metadata_goes_out_as_it_came(raw):
    """Byte by byte: number forms, order, even names given twice."""
    assert b'"metadata":' + raw + b"," in msgspec.json.encode(job_view(job(spec=spec(metadata=msgspec.Raw(raw)))))


def test_nothing_secret_is_shown():
    """J15: no userinfo, no query, no seed, no name of a callback's secret."""
    batch = Batch(ID, "acme", "5e" * 32, 1, 1.0, CALLBACK, counts={"queued": 1})
    schedule = Schedule("warm", "acme", "* * * * *", (spec(),))
    delivery = Delivery("msg_1", ID, "acme", CALLBACK, Event.FAILED, 1.0, reason=f"https://h/?k={SECRET}")
    views = [
        job_view(job()),
        page_view(Page((job(),))),
        batch_view(batch),
        schedule_view(schedule),
        delivery_view(delivery),
    ]
    text = msgspec.json.encode(views).decode()

    assert SECRET not in text
    assert "5e5e" not in text
    assert '"main"' not in text


def test_a_batch():
    batch = Batch(ID, "acme", "5e" * 32, 3, 1.0, CALLBACK, ("t",), made=2, counts={State.RUNNING: 1, State.QUEUED: 1})

    view = shown(batch_view(batch))

    assert (view["total"], view["made"], view["counts"]) == (3, 2, {"queued": 1, "running": 1})
    assert view["links"]["jobs"] == f"/jobs?batch={ID}"


def test_a_schedule():
    schedule = Schedule("warm", "acme", "*/5 * * * *", (spec(),), paused=True, created_s=1.0)

    view = shown(schedule_view(schedule))

    assert (view["cron"], view["timezone"], view["paused"]) == ("*/5 * * * *", "UTC", True)
    assert view["times"] == {"created": "1970-01-01T00:00:01.000Z", "next": None, "last": None}
    assert view["jobs"][0]["renditions"] == ["small", "large"]


@pytest.mark.parametrize(
    ("scheme", "address", "text"),
    [
        ("local", "photos/a?b.jpg", "local:photos/a?b.jpg"),
        ("s3", "bucket/a.jpg", "s3://bucket/a.jpg"),
        ("http", "http://h/a.jpg?token=x", "http://h/a.jpg?***"),
    ],
)
def test_sources_are_shown_as_they_are_written(scheme, address, text):
    assert source_text(SourceRef(scheme, address)) == text


def test_no_moment_is_none():
    assert time_text(0) is None
