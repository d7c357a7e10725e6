"""Section 0 of the threat list, O02, R16: one table, one body, nothing in it that a caller should not know."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.model import errors
from imagemill.model.errors import ImagemillError
from imagemill.web.problems import STATUS, code_of, problem, status_of

NODES = {
    ImagemillError, errors.Refused, errors.SourceError, errors.SettingsError, errors.Superseded, errors.StoreCorrupt,
    errors.JobCrashed,
}  # fmt: skip
"""Never raised to a caller: three are families, one stops the start, the rest are told as a job's fault."""


def tree(kind: type[ImagemillError] = ImagemillError) -> set[type[ImagemillError]]:
    return {kind}.union(*(tree(below) for below in kind.__subclasses__() if below.__module__ == errors.__name__))


def told(error: BaseException) -> tuple[int, dict[bytes, bytes], dict[str, object]]:
    reply = problem(error, "r1")
    return reply.status, dict(reply.headers), json.loads(reply.body)


def test_every_error_has_a_status():
    """A new class without a status would be a 500."""
    assert set(STATUS) == tree() - NODES


def test_the_table():
    """Threat list, section 0, by code."""
    expected = {
        "bad_request": 400, "bad_option": 400, "signature_invalid": 403, "source_forbidden": 403, "source_not_found": 404,
        "not_found": 404, "method_not_allowed": 405, "origin_refused": 403, "url_expired": 410, "source_too_large": 413, "target_too_long": 414,
        "unsupported_source_type": 415, "image_corrupt": 422, "page_missing": 422, "limit_exceeded": 422, "source_bad_response": 502,
        "source_truncated": 502, "overloaded": 503, "dependency_down": 503, "source_timeout": 504, "processing_timeout": 504,
        "unauthorized": 401, "scope_missing": 403, "job_finished": 409, "idempotency_mismatch": 422, "quota_exceeded": 429,
        "not_supported": 501, "store_refused": 403, "job_unfinished": 409, "deadline_passed": 504,
        "precondition_failed": 412, "range_not_satisfiable": 416,
    }  # fmt: skip

    assert {kind.code: status for kind, status in STATUS.items()} == expected


def test_the_body():
    """RFC 9457, with the members every row relies on."""
    status, headers, body = told(errors.LimitExceeded("pixels", "60 > 50"))

    assert status == 422
    assert body == {
        "type": "urn:imagemill:problem:limit_exceeded", "title": "limit exceeded", "status": 422, "detail": "60 > 50",
        "code": "limit_exceeded", "request_id": "r1", "retryable": False, "limit": "pixels",
    }  # fmt: skip
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"content-security-policy"].startswith(b"sandbox")


def test_limits_are_named():
    assert told(errors.SourceTooLarge("9 > 8 bytes"))[2]["limit"] == "source_bytes"
    assert "limit" not in told(errors.ImageCorrupt("x"))[2]


@pytest.mark.parametrize("kind", [errors.Overloaded, errors.DependencyDown])
def test_when_to_come_back(kind):
    status, headers, body = told(kind("busy", retry_after_s=7))

    assert (status, headers[b"retry-after"], body["retryable"]) == (503, b"7", True)


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (errors.Unauthorized(), b"Bearer"),
        (errors.ScopeMissing("submit"), b'Bearer error="insufficient_scope"'),
        (errors.OriginRefused("x"), None),
    ],
)
def test_who_lacks_a_token_is_told_which_kind(error, challenge):
    """RFC 6750, section 3."""
    assert told(error)[1].get(b"www-authenticate") == challenge


@pytest.mark.parametrize(
    "error", [*(kind("CANARY") for kind in NODES), KeyError("CANARY"), OSError(5, "CANARY", "/CANARY")]
)
def test_the_unforeseen_says_nothing(error):
    """O02: no message, path or trace of what nobody foresaw."""
    status, headers, body = told(error)

    assert (status, status_of(error), body["code"], code_of(error)) == (500, 500, "internal", "internal")
    assert "CANARY" not in json.dumps(body)
    assert b"retry-after" not in headers


def test_refusals_use_the_same_bytes():
    """S01, R05: no oracle in a refusal's reason."""
    bodies = {problem(errors.SourceForbidden(reason), "r").body for reason in ("port 22", "10.0.0.1", "NXDOMAIN")}

    assert len(bodies) == 1


def test_secrets_do_not_come_back():
    """O02: what a message holds of an address's secrets stays here."""
    body = problem(errors.SourceBadResponse("https://u:CANARY@h/a?sig=CANARY gave 500; signature=CANARY"), "r").body

    assert b"CANARY" not in body
    assert b"gave 500" in body


def test_a_long_message_is_cut():
    assert told(errors.BadOption("x" * 10_000))[2]["detail"] == "x" * 300


@given(st.text(max_size=2_000))
def test_any_message_is_one_short_clean_line(text):
    """O01, R16: short, printable, ASCII on the wire."""
    body = problem(errors.BadOption(text), "r").body
    detail = json.loads(body)["detail"]

    assert body.isascii()
    assert len(detail) <= 300
    assert detail.isprintable()
