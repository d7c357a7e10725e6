"""What docs/reference says of the job interface is what it does: routes, scopes, statuses, fields, schemas."""

import json
import re
import runpy
from pathlib import Path

import msgspec
import pytest

from imagemill.dialects.native import Native
from imagemill.jobs.base import Page
from imagemill.jobs.tokens import Register
from imagemill.model.errors import LimitExceeded
from imagemill.model.job import TERMINAL, DeliveryState, Event, Fault, ResultState, State
from imagemill.model.token import Scope
from imagemill.service.bodies import fields
from imagemill.service.jobs import BATCH_FIELDS, SCHEDULE_FIELDS
from imagemill.service.orders import FIELDS, RENDITION_FIELDS, Reader
from imagemill.service.schedules import next_s
from imagemill.settings import Settings, Signing
from imagemill.web.jobs import JobPort
from imagemill.web.problems import STATUS, problem
from imagemill.web.queries import _FIELDS as QUERY_FIELDS
from imagemill.web.views import batch_view, delivery_view, job_view, page_view, schedule_view
from support.job_port import ID, MemoryJobs, job, stored

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference" / "jobs.md").read_text()
OPENAPI = runpy.run_path(str(DOCS / "openapi.py"))
SETTINGS = Settings(signing=Signing("unsigned"))
PORT = JobPort(MemoryJobs(), Register, SETTINGS)


def section(title):
    """What stands under a heading."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def column(text, head):
    """The names in the first column of the table whose head is *head*."""
    rows = re.search(rf"^\| {head} \|[^\n]*\n\|[-|]+\|\n((?:\|[^\n]*\n)+)", text, re.MULTILINE)[1]
    return [name for row in rows.splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def examples():
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def test_paths_and_scopes():
    told = {(method, path, scope) for method, path, scope, _, _ in OPENAPI["table"](PAGE)}

    assert told == {(r.method, r.path, r.scope) for r in PORT.table()}


def test_fields():
    order, rendition = section("POST /jobs").split("Of a rendition:")
    view, of_rendition = section("A job").split("Of a rendition:")
    shown = job_view(job())

    assert column(order, "field") == list(FIELDS)
    assert column(rendition, "field") == list(RENDITION_FIELDS)
    assert set(column(view, "field")) == set(shown)
    assert set(column(of_rendition, "field")) == set(shown["renditions"][0])
    assert set(column(section("POST /jobs/batch"), "field")) == set(BATCH_FIELDS)
    assert set(column(section("PUT /schedules/{name}"), "field")) == set(SCHEDULE_FIELDS)


def test_answers_name_their_fields():
    deliveries, batch, schedule = section("Deliveries"), section("POST /jobs/batch"), section("PUT /schedules/{name}")
    jobs = MemoryJobs()

    assert all(f"`{name}`" in batch for name in batch_view(jobs.batch))
    assert all(f"`{name}`" in schedule for name in schedule_view(jobs.schedule))
    assert all(
        f"`{name}`" in deliveries
        for name in OPENAPI["SCHEMAS"]["Deliveries"]["properties"]["deliveries"]["items"]["properties"]
    )


def test_states():
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (yes)? ?\|$", section("A job"), re.MULTILINE)

    assert [name for name, _ in rows] == list(State)
    assert {name for name, ends in rows if ends} == TERMINAL
    assert all(f"`{state}`" in PAGE for state in (*ResultState, *DeliveryState, *Scope))
    assert all(f"`{event}`" in section("POST /jobs") for event in Event if event is not Event.FINISHED)


def test_what_may_be_asked_of_the_list():
    text = section("GET /jobs")

    assert all(f"{name}=" in text for name in QUERY_FIELDS)
    assert set(OPENAPI["_QUERY"]) == set(QUERY_FIELDS)


def test_errors():
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", section("Errors"), re.MULTILINE)
    known = {(kind.code, status) for kind, status in STATUS.items()}

    assert len(rows) > 10
    for status, codes in rows:
        assert all((code, int(status)) in known for code in re.findall(r"`(\w+)`", codes)), (status, codes)


def test_the_examples_are_accepted():
    """By those who read them."""
    single, batch, schedule = examples()
    reader = Reader(Native(SETTINGS.limits, str), SETTINGS, 1_800_000_000)

    def read(value):
        return reader.spec(fields(msgspec.json.encode(value), "", FIELDS))

    assert read(single).store == "results"
    assert [read(batch["job"] | item).priority for item in batch["items"]] == [0, 7]
    assert set(batch) <= set(BATCH_FIELDS)
    assert set(schedule) <= set(SCHEDULE_FIELDS)
    assert read(schedule["job"]).warm
    assert next_s(schedule["cron"], "UTC", 1_800_000_000) > 1_800_000_000


def holds(value, schema, at="$"):
    """Complaints where *value* is not what *schema* says; only the words that the document uses."""
    if "$ref" in schema:
        return holds(value, OPENAPI["SCHEMAS"][schema["$ref"].rpartition("/")[2]], at)
    if "anyOf" in schema:
        found = [holds(value, one, at) for one in schema["anyOf"]]
        return [] if [] in found else found[0]
    kinds = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
        "object": dict,
        "null": type(None),
    }
    wrong = []
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return [f"{at}: {value!r} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        wrong.append(f"{at}: {value!r}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        wrong.append(f"{at}: {value!r}")
    for name in schema.get("required", ()):
        wrong += [] if name in value else [f"{at}.{name}: missing"]
    if isinstance(value, list) and "items" in schema:
        wrong += [c for n, item in enumerate(value) for c in holds(item, schema["items"], f"{at}[{n}]")]
    if isinstance(value, dict):
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            wrong += [f"{at}.{name}: unknown"] if inner is False else holds(item, inner or {}, f"{at}.{name}")
    return wrong


def shown(view):
    return json.loads(msgspec.json.encode(view))


JOBS = MemoryJobs()
FULL = job(
    state=State.FAILED, outcome=State.FAILED, results=(stored("small"),), fault=Fault("image_corrupt", "x"),
    callback_state="dead", retry_of="1" * 32, batch="2" * 32, schedule="warm",
)  # fmt: skip
DELIVERY = "Deliveries"
ANSWERS = {
    "Job": [job_view(job()), job_view(FULL, {"small": ("local:out/a", "https://cdn.example/a")})],
    "Jobs": [page_view(Page((job(), FULL))), page_view(Page((), "next"))],
    "Batch": [batch_view(JOBS.batch)],
    "Schedule": [schedule_view(JOBS.schedule)],
    "Schedules": [{"schedules": [schedule_view(JOBS.schedule)]}],
    "Redelivered": [{"id": ID, "deliveries": 1}],
    "Pruned": [{"pruned": 0}],
    "Problem": [json.loads(problem(LimitExceeded("jobs.body_bytes", "x"), "r").body)],
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_as_the_document_says(name):
    for answer in ANSWERS[name]:
        assert holds(shown(answer), {"$ref": name}) == []


async def test_deliveries_are_as_the_document_says():
    found = await JOBS.deliveries(type("Who", (), {"tenant": "acme"}), ID)

    assert holds(shown({"deliveries": [delivery_view(one) for one in found]}), {"$ref": DELIVERY}) == []


def test_the_document_complains_where_something_is_wrong():
    """Or the tests above would hold whatever is shown."""
    good = shown(job_view(job()))
    for wrong in (
        {"state": "done"},
        {"id": "1"},
        {"version": "1"},
        {"secret": "x"},
        {"renditions": [{}]},
        {"times": None},
    ):
        assert holds(good | wrong, {"$ref": "Job"})
    del good["links"]
    assert holds(good, {"$ref": "Job"})


def test_requests_are_as_the_document_says():
    single, batch, schedule = examples()
    schemas = OPENAPI["SCHEMAS"]

    assert (
        holds(single, {"$ref": "NewJob"})
        == holds(batch, {"$ref": "NewBatch"})
        == holds(schedule, {"$ref": "NewSchedule"})
        == []
    )
    assert set(schemas["NewJob"]["properties"]) == set(FIELDS)
    assert set(schemas["NewRendition"]["properties"]) == set(RENDITION_FIELDS)
    assert set(schemas["NewBatch"]["properties"]) == set(BATCH_FIELDS)
    assert set(schemas["NewSchedule"]["properties"]) == set(SCHEDULE_FIELDS)
