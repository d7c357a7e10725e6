"""The form of a stream of events, and which addresses are a service's."""

import pytest

from imagemill.model.errors import SettingsError
from imagemill.net.jobs_api import ApiRefused, JobsApi, messages


def test_messages():
    """Events of other kinds, comments and a message that is cut off are none."""
    lines = [":", "event: job", "id: 1", 'data: {"a":', "data:1}", "", "event: other", "data: x", "", "data: y", "",
             "event: job", "", "event:job", "data: 2", "", "event: job", "data: 3"]  # fmt: skip

    assert list(messages(lines)) == ['{"a":\n1}', "2"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h/?x=1",
        "http://h/#f",
        "http://h:x",
        "http://h:99999",
    ],
)
def test_what_is_no_address_of_a_service(url):
    with pytest.raises(SettingsError):
        JobsApi(url)


@pytest.mark.parametrize("token", ["a b", "a\nb", "ä", "a\r\nx: y"])
def test_a_token_cannot_become_another_header(token):
    with pytest.raises(SettingsError) as e:
        JobsApi("http://h", token)
    assert token not in str(e.value)


def test_a_refusal_says_what_the_problem_says():
    assert str(ApiRefused(422, {"code": "limit_exceeded", "detail": "5 > 4"})) == "limit_exceeded: 5 > 4"
    assert str(ApiRefused(502, {})) == "status 502: no reason was given"
    assert [ApiRefused(status, {}).retry for status in (400, 401, 429, 500, 503)] == [False, False, True, True, True]


def test_what_is_no_text_is_not_sent():
    """Nor tried again, as an answer that is lost would be."""
    with pytest.raises(SettingsError, match="is no text"):
        JobsApi("http://127.0.0.1:1").ask("POST", "/jobs", {"source": "a\udc80"})
