"""``imagemill jobs``: what is sent, what is shown, and which exit status says what. No service is there."""

import json

import pytest

from imagemill import job_commands
from imagemill.cli import main
from imagemill.model.errors import DependencyDown
from imagemill.net.jobs_api import ApiRefused

ID = "0123456789abcdef0123456789abcdef"


def job(state="queued", stored=0, **more):
    """A job with two renditions, of which so many are stored."""
    renditions = [{"name": n, "state": "stored" if i < stored else "waiting", "address": f"local:out/{n}"}
                  for i, n in enumerate("ab")]  # fmt: skip
    return {"id": ID, "state": state, "attempts": 1, "renditions": renditions, "times": {}, **more}


class Service:
    """Answers what it is told to, in order, and remembers what it was asked."""

    private = True

    def __init__(self):
        self.answers, self.streams, self.asked, self.made = [], [], [], []

    def __call__(self, url, token=""):
        self.made.append((url, token))
        return self

    def ask(self, method, path, value=None, headers=None):
        self.asked.append((method, path, value, headers))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def events(self, job_id):
        self.asked.append(("EVENTS", job_id))
        for one in self.streams.pop(0):
            if isinstance(one, Exception):
                raise one
            yield one


@pytest.fixture
def service(monkeypatch):
    fake = Service()
    monkeypatch.setattr(job_commands, "JobsApi", fake)
    monkeypatch.setattr(job_commands.time, "sleep", lambda _: None)
    for name in ("IMAGEMILL_URL", "IMAGEMILL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return fake


def run(capsys, *words):
    try:
        status = main(["jobs", *words])
    except SystemExit as e:
        status = e.code
    return status, *capsys.readouterr()


SUBMIT = ("submit", "local:a/b.jpg", "-r", "s:width=5", "--to", "out")


@pytest.mark.parametrize("command", ["submit", "watch", "list", "cancel", "retry", "redeliver", "prune"])
def test_help_names_every_option_and_exit_status(capsys, command):
    status, shown, _ = run(capsys, command, "--help")

    assert status == 0
    assert "exit status" in shown
    assert "--token-file FILE" in shown
    assert "--token " not in shown


def test_submit_prints_the_id(capsys, service):
    service.answers = [job()]

    assert run(capsys, *SUBMIT, "--priority", "7", "--idempotency-key", "k") == (0, f"{ID}\n", "")

    body = {"source": "local:a/b.jpg", "renditions": [{"name": "s", "params": "width=5"}],
            "destination": {"store": "out"}, "priority": 7}  # fmt: skip
    assert service.asked == [("POST", "/jobs", body, {"idempotency-key": "k"})]


def test_a_lost_answer_makes_no_second_job(capsys, service):
    """Asked again with the same key, where nothing was answered or only that it is not possible just now."""
    service.answers = [DependencyDown("gone"), ApiRefused(503, {}), job()]

    assert run(capsys, *SUBMIT)[0] == 0

    keys = {headers["idempotency-key"] for _, _, _, headers in service.asked}
    assert (len(service.asked), len(keys)) == (3, 1)


def test_a_refusal_is_not_asked_again(capsys, service):
    service.answers = [ApiRefused(422, {"code": "limit_exceeded", "detail": "5 > 4\x1b[2J"})]

    assert run(capsys, *SUBMIT) == (3, "", "imagemill: limit_exceeded: 5 > 4\N{REPLACEMENT CHARACTER}[2J\n")


def test_a_file_holds_a_job_or_a_batch(capsys, service, tmp_path):
    file = tmp_path / "order.json"
    for body, path in (({"source": "s"}, "/jobs"), ({"items": []}, "/jobs/batch")):
        file.write_text(json.dumps(body))
        service.answers = [{"id": ID}]
        assert run(capsys, "submit", "--file", str(file))[0] == 0
        method, asked, sent = service.asked.pop()[:3]
        assert (method, asked, json.loads(bytes(sent))) == ("POST", path, body)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("submit",), "wanted: SOURCE and -r"),
        (("submit", "local:a/b"), "wanted: SOURCE and -r"),
        (("submit", "local:a/b", "-r", "s"), "-r s: wanted NAME"),
        (("submit", "--file", "/nowhere"), "--file /nowhere"),
        (("submit", "x", "--file", "-"), "--file holds the whole body"),
        (("watch", "../x"), "32 hex digits"),
        (("list", "--limit", "0"), "1 or more"),
        (("prune", "--older-than", "nan"), "0 or more"),
        (("list", "--token-file", "/nowhere"), "--token-file /nowhere"),
    ],
)
def test_wrong_use(capsys, service, words, complaint):
    """Status 2, and nothing is asked."""
    status, shown, said = run(capsys, *words)

    assert (status, shown, service.asked) == (2, "", [])
    assert complaint in said


@pytest.mark.parametrize(
    ("state", "status"), [("succeeded", 0), ("failed", 1), ("cancelled", 1), ("expired", 1)]
)  # fmt: skip
def test_watch_shows_each_change_once_and_ends_as_the_job_did(capsys, service, state, status):
    """Also over a stream that breaks off, and a service that is away for a while."""
    service.streams = [
        [job("queued"), job("running"), job("running"), DependencyDown("cut")], [ApiRefused(503, {})],
        [job("running"), job("running", 1)], [job(state, 2)],
    ]  # fmt: skip

    got, shown, _ = run(capsys, "watch", ID)

    assert got == status
    assert [line.split()[1:3] for line in shown.splitlines()[:4]] == [
        ["queued", "0/2"], ["running", "0/2"], ["running", "1/2"], [state, "2/2"],
    ]  # fmt: skip
    assert "  a: local:out/a" in shown


def test_watch_gives_up_at_last(capsys, service):
    service.streams = [[DependencyDown("nobody there")]] * 50

    assert run(capsys, "watch", ID) == (3, "", "imagemill: nobody there\n")
    assert 5 < len(service.asked) < 50
    service.streams = [[ApiRefused(404, {"code": "not_found", "detail": "no such job"})]]
    assert run(capsys, "watch", ID)[0] == 3


def test_list_follows_pages_as_far_as_wanted(capsys, service):
    service.answers = [{"jobs": [job()] * 100, "cursor": "c"}, {"jobs": [job()] * 20, "cursor": "d"}]

    status, shown, _ = run(capsys, "list", "--limit", "120", "--state", "queued", "--state", "failed", "--tag", "a b")

    assert (status, len(shown.splitlines())) == (0, 121)
    assert [path for _, path, _, _ in service.asked] == [
        "/jobs?state=queued&state=failed&tag=a%20b&limit=100",
        "/jobs?state=queued&state=failed&tag=a%20b&limit=20&cursor=c",
    ]


def test_one_that_is_refused_keeps_no_other_from_it(capsys, service):
    service.answers = [ApiRefused(409, {"code": "job_finished", "detail": "it is over"}), job("cancelled")]

    status, shown, said = run(capsys, "cancel", ID, ID[::-1])

    assert status == 3
    assert shown.startswith(f"{ID}  cancelled")
    assert said == f"imagemill: {ID}: job_finished: it is over\n"
    assert [path for _, path, _, _ in service.asked] == [f"/jobs/{ID}", f"/jobs/{ID[::-1]}"]


def test_where_the_token_comes_from(capsys, service, monkeypatch, tmp_path):
    """A file is nearer than the environment; a line's end does not count."""
    (tmp_path / "token").write_text("of-file\n")
    monkeypatch.setenv("IMAGEMILL_TOKEN", "of-environment")
    monkeypatch.setenv("IMAGEMILL_URL", "https://mill.example")
    service.answers = [{"jobs": []}] * 2

    run(capsys, "list")
    run(capsys, "list", "--token-file", str(tmp_path / "token"))

    assert [made for made in service.made if made[1]] == [
        ("https://mill.example", "of-environment"), ("https://mill.example", "of-file"),
    ]  # fmt: skip
