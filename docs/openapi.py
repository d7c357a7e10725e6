"""Jobs and /info as an OpenAPI 3.1 document: paths of jobs from the table in reference/jobs.md, schemas from here.

A test holds real answers against the schemas, and the table against the routes.
"""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from imagemill.dialects.native import DESCRIBING
from imagemill.model.description import Description
from imagemill.model.job import DeliveryState, Event, ResultState, State
from imagemill.model.token import Scope

_TABLE = re.compile(r"^\| `([A-Z]+) (/[^`]*)` \| (\w+) \| ([^|]+) \| (.*) \|$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
ANYTHING: Schema = {"description": "Any JSON, as it was given."}
MOMENT_IN: Schema = {"anyOf": [MOMENT, NUMBER], "description": "RFC 3339, or Unix seconds."}


def one_of(names: type) -> Schema:
    """A string out of few."""
    return {"type": "string", "enum": [str(name) for name in names]}  # type: ignore[attr-defined]


def maybe(schema: Schema) -> Schema:
    """*schema*, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema) -> Schema:
    """A list of *schema*."""
    return {"type": "array", "items": schema}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answered(**properties: Schema) -> Schema:
    """An object that has all *properties* and no others."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def asked(required: str, **properties: Schema) -> Schema:
    """An object that a caller sends."""
    return answered(**properties) | {"required": required.split()}


_ORDER = {
    "source": TEXT, "store": maybe(TEXT), "warm": FLAG, "priority": {"type": "integer", "minimum": 0, "maximum": 9},
    "retries": COUNT, "ttl": maybe(COUNT), "tags": many(TEXT),
}  # fmt: skip
_RECEIVER = {"url": TEXT, "events": many(one_of(Event))}
_CALLBACK = answered(**_RECEIVER, state=maybe(one_of(DeliveryState)))
_EVENTS = {"type": "string", "enum": [e for e in Event if e is not Event.FINISHED]}
_CALLBACK_OF_BATCH = asked("url secret", url=TEXT, secret=TEXT)
SCHEMAS: dict[str, Schema] = {
    "Job": answered(
        id=ID, state=one_of(State), outcome=maybe(one_of(State)), version=COUNT, tenant=TEXT, attempts=COUNT, **_ORDER,
        renditions=many(ref("Rendition")), callback=maybe(_CALLBACK), error=maybe(ref("Fault")),
        times=answered(**dict.fromkeys(("created", "due", "started", "finished", "deadline"), maybe(MOMENT))),
        fetch_ms=NUMBER, make_ms=NUMBER, metadata=ANYTHING, retry_of=maybe(ID), batch=maybe(ID), schedule=maybe(TEXT),
        links={"type": "object", "additionalProperties": TEXT},
    ),
    "Rendition": answered(
        name=TEXT, state=one_of(ResultState), store=maybe(TEXT), key=maybe(TEXT), address=maybe(TEXT), url=maybe(TEXT),
        sha256=maybe(TEXT), bytes=maybe(COUNT), media_type=maybe(TEXT), width_px=maybe(COUNT), height_px=maybe(COUNT),
        frames=maybe(COUNT), warmed=FLAG,
    ),
    "Fault": answered(code=TEXT, message=TEXT, retryable=FLAG),
    "Jobs": answered(jobs=many(ref("Job")), cursor=maybe(TEXT)),
    "Batch": answered(
        id=ID, state=one_of(State), version=COUNT, tenant=TEXT, total=COUNT, made=COUNT,
        counts={"type": "object", "additionalProperties": COUNT},
        callback=maybe(answered(**_RECEIVER)),
        times=answered(created=maybe(MOMENT), finished=maybe(MOMENT)), tags=many(TEXT), metadata=ANYTHING,
        links={"type": "object", "additionalProperties": TEXT},
    ),
    "Schedule": answered(
        name=TEXT, tenant=TEXT, cron=TEXT, timezone=TEXT, paused=FLAG,
        times=answered(**dict.fromkeys(("created", "next", "last"), maybe(MOMENT))),
        jobs=many(answered(**_ORDER, renditions=many(TEXT))), links={"type": "object", "additionalProperties": TEXT},
    ),
    "Schedules": answered(schedules=many(ref("Schedule"))),
    "Deliveries": answered(deliveries=many(answered(
        id=TEXT, event=one_of(Event), rendition=maybe(TEXT), state=one_of(DeliveryState), attempts=COUNT,
        made=maybe(MOMENT), due=maybe(MOMENT), status=maybe(COUNT), reason=maybe(TEXT),
    ))),
    "Redelivered": answered(id=ID, deliveries=COUNT),
    "Pruned": answered(pruned=COUNT),
    "Problem": {
        "type": "object", "required": ["type", "title", "status", "detail", "code", "request_id", "retryable"],
        "properties": {"type": TEXT, "title": TEXT, "status": COUNT, "detail": TEXT, "code": TEXT, "request_id": TEXT,
                       "retryable": FLAG, "limit": TEXT},
    },
    "NewJob": asked(
        "source renditions", source=TEXT, type=TEXT, renditions=many(ref("NewRendition")),
        destination=asked("store", store=TEXT, prefix=TEXT), warm=FLAG,
        callback=asked("url secret", url=TEXT, secret=TEXT, events=many(_EVENTS)), priority=_ORDER["priority"],
        not_before=MOMENT_IN, delay=NUMBER, deadline=MOMENT_IN, retries=COUNT, ttl=COUNT, tags=many(TEXT),
        metadata=ANYTHING,
    ),
    "NewRendition": asked(
        "name", name=TEXT, params={"anyOf": [TEXT, {"type": "object"}]},
        recipe=many({"type": "object", "required": ["type"]}), key=TEXT,
    ),
    "NewBatch": asked(
        "items", job={"type": "object"}, items=many({"type": "object"}), callback=_CALLBACK_OF_BATCH, tags=many(TEXT),
        metadata=ANYTHING,
    ),
    "NewSchedule": asked("cron", cron=TEXT, timezone=TEXT, paused=FLAG, job=ref("NewJob"), jobs=many(ref("NewJob"))),
    "Prune": asked("before", before=MOMENT_IN),
}  # fmt: skip

BODIES = {
    ("POST", "/jobs"): "NewJob", ("POST", "/jobs/batch"): "NewBatch", ("PUT", "/schedules/{name}"): "NewSchedule",
    ("POST", "/jobs/prune"): "Prune",
}  # fmt: skip
_QUERY = {
    "state": TEXT, "tag": TEXT, "batch": ID, "since": MOMENT_IN, "until": MOMENT_IN, "tenant": TEXT, "cursor": TEXT,
    "limit": {"type": "integer", "minimum": 1, "maximum": 200},
}  # fmt: skip


def answer_of(method: str, path: str) -> str:
    """The schema that a path answers with, or none for one that answers otherwise."""
    match path.split("/")[1:], method:
        case ["jobs"], "GET":
            return "Jobs"
        case ["jobs", "prune"], _:
            return "Pruned"
        case ["jobs", "batch"], _:
            return "Batch"
        case [_, _, "deliveries"], _:
            return "Deliveries"
        case [_, _, "redeliver"], _:
            return "Redelivered"
        case [_, _, "events"], _:
            return ""
        case ["schedules"], _:
            return "Schedules"
        case ["schedules", _], "DELETE":
            return ""
        case [kind, *_], _:
            return {"jobs": "Job", "batches": "Batch", "schedules": "Schedule"}[kind]
    raise KeyError(path)


def table(page: str) -> list[tuple[str, str, str, list[int], str]]:
    """Method, path, scope, statuses and words of each row in *page*."""
    rows = []
    for method, path, scope, answers, words in _TABLE.findall(page):
        statuses = [int(part) for part in re.findall(r"\d{3}", answers)]
        rows.append((method, path, scope, statuses, _LINK.sub(r"\1", words)))
    return rows


def document(page: Path) -> str:
    """The whole document, as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, scope, statuses, words in table(page.read_text("utf-8")):
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, scope, statuses, words)
    paths["/info"] = {"get": _info()}
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "imagemill", "version": "1", "license": {"name": "Apache-2.0"},
                     "description": "Durable jobs, signed callbacks, facts of pictures. Every error is an RFC 9457 problem."},
            "paths": paths,
            "components": {
                "schemas": SCHEMAS | described()[1],
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer",
                                              "description": f"Scopes: {', '.join(Scope)}."}},
            },
        },
        indent=1,
    ) + "\n"  # fmt: skip


def described() -> tuple[Schema, dict[str, Schema]]:
    """The schema of what /info answers, and those that it is made of."""
    (whole,), parts = msgspec.json.schema_components([Description], ref_template="#/components/schemas/{name}")
    return whole, parts


def _info() -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": ref("Problem")}}
    parameters = [_parameter(p.name, "query", TEXT) | {"description": p.meaning} for p in DESCRIBING]
    parameters[0]["required"] = True
    return {
        "operationId": "get_info", "summary": "What there is to be told of a picture.", "parameters": parameters,
        "responses": {
            "200": {"description": "Description", "content": {"application/json": {"schema": described()[0]}}},
            "default": {"description": "A problem.", "content": problem},
        },
    }  # fmt: skip


def _operation(method: str, path: str, scope: str, statuses: list[int], words: str) -> dict[str, Any]:
    name = re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_")
    told: dict[str, Any] = {str(status): _answer(method, path, status) for status in statuses}
    problem = {"application/problem+json": {"schema": ref("Problem")}}
    operation: dict[str, Any] = {
        "operationId": name, "summary": words, "security": [{"token": [scope]}, {}],
        "responses": told | {"default": {"description": "A problem.", "content": problem}},
    }  # fmt: skip
    parameters = [_parameter(part, "path", TEXT) | {"required": True} for part in re.findall(r"{(\w+)}", path)]
    if (method, path) == ("GET", "/jobs"):
        parameters += [_parameter(query, "query", schema) for query, schema in _QUERY.items()]
    if path in {"/jobs", "/jobs/batch"} and method == "POST":
        parameters.append(_parameter("Idempotency-Key", "header", TEXT | {"maxLength": 255}))
    if path.endswith("/events"):
        parameters.append(_parameter("Last-Event-ID", "header", TEXT))
    if parameters:
        operation["parameters"] = parameters
    if body := BODIES.get((method, path)):
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    return operation


def _parameter(name: str, place: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema}


def _answer(method: str, path: str, status: int) -> dict[str, Any]:
    empty = 204
    if path.endswith("/events") and status != empty:
        return {"description": "Events named job, each with a Job as data.", "content": {"text/event-stream": {}}}
    name = answer_of(method, path)
    if status == empty or not name:
        return {"description": "Nothing more."}
    return {"description": name, "content": {"application/json": {"schema": ref(name)}}}
