"""``imagemill jobs …``: submit, watch, list, cancel, retry, redeliver, prune; over HTTP, against a running service.

Secrets  the token comes from ``$IMAGEMILL_TOKEN`` or a file, never from an argument, which every user may read in ps.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlencode

from imagemill import job_order, job_screen
from imagemill.configuration import TOKEN, URL
from imagemill.model.errors import DependencyDown, SettingsError
from imagemill.model.job import State, is_id
from imagemill.net.jobs_api import ApiRefused, JobsApi

Command = Callable[[argparse.Namespace], int]
Add = Callable[[Any, str, Command, str, str], Any]
"""Makes the parser of a command: where, its name, what runs it, what it does in a line, and more on it."""

_OK, _NOT_DONE, _REFUSED = 0, 1, 3
_DEFAULT_URL = "http://127.0.0.1:8080"
_TRIES_S = (0.5, 1.0, 2.0)
_WATCH_TRIES_S = (0.5, 1.0, *(2.0,) * 15)
"""A service that is restarted is waited for."""
_PAGE = 100
_DAY_S = 86_400
_CLEAR = "\r\x1b[K"
_EXITS = """
exit status  0 done, for `watch` and `--wait` also: the job succeeded
             1 the job failed, was cancelled or has expired
             2 wrong use
             3 the service refused, or does not answer"""
_SUBMIT = (
    """
  imagemill jobs submit https://img.example.com/cat.jpg -r small:width=512,format=webp --to out/cats --wait
  imagemill jobs submit local:photos/cat.jpg -r web:width=1200,format=avif --warm
  imagemill jobs submit --file job.json

It is asked again where the answer is lost, with one Idempotency-Key, so that it makes one job however often it is sent.
"""
    + _EXITS
)


def add(commands: Any, command: Add) -> None:
    """Add the commands to *commands*."""
    _add_submit(commands, command)
    _add_watch(commands, command)
    _add_list(commands, command)
    for name, run, text in (
        ("cancel", _cancel, "Stop jobs that are not over; work ends within a second"),
        ("retry", _retry, "Make new jobs of the orders of old ones"),
        ("redeliver", _redeliver, "Send the last callback of jobs or batches once more, and others that were given up"),
    ):
        parser = _calling(command(commands, name, run, text, _EXITS))
        parser.add_argument("ids", nargs="+", metavar="ID", type=_id, help="as `submit` and `list` print it")
    prune = _calling(command(commands, "prune", _prune, "Forget what ended long ago; needs the scope admin", _EXITS))
    prune.add_argument(
        "--older-than", type=_days, required=True, metavar="DAYS", help="how long ago it must have ended"
    )


def _calling(parser: Any) -> Any:
    parser.add_argument("--url", help=f"of the service (default: ${URL}, else {_DEFAULT_URL})")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"holds the bearer token (else ${TOKEN})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_guarded(parser.get_default("command")))
    return parser


def _guarded(run: Command) -> Command:
    """*run*, with a refusal told apart from a job that failed."""

    def guarded(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except (ApiRefused, DependencyDown) as e:
            print(f"imagemill: {job_screen.plain(e)}", file=sys.stderr)
            return _REFUSED

    return guarded


def _api(arguments: argparse.Namespace) -> JobsApi:
    url = arguments.url or os.environ.get(URL) or _DEFAULT_URL
    token = os.environ.get(TOKEN, "").strip()
    if arguments.token_file:
        try:
            token = arguments.token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as e:
            raise SettingsError(f"--token-file {arguments.token_file}: {_why(e)}") from e
    if token and not JobsApi(url).private:
        print(f"imagemill: the token goes to {url} unencrypted; https:// keeps it", file=sys.stderr)
    return JobsApi(url, token)


# submit


def _add_submit(commands: Any, command: Add) -> None:
    parser = _calling(command(commands, "submit", _submit, "Submit one job, or a file of them", _SUBMIT))
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="https://…, local:<store>/<key> or s3://…")
    parser.add_argument("-r", "--rendition", action="append", default=[], metavar="NAME:PARAMETERS",
                        help="one rendition, e.g. small:width=512,format=webp; repeatable")  # fmt: skip
    parser.add_argument("--to", metavar="STORE/PREFIX", help="where results are stored")
    parser.add_argument("--key", metavar="TEMPLATE", help="of the results' keys (default {job}/{name}.{ext})")
    parser.add_argument("--warm", action="store_true", help="also put the results into the second cache level")
    parser.add_argument("--callback", metavar="URL", help="whom to tell")
    parser.add_argument("--secret", metavar="NAME", help="of the service's callback secrets, to sign with")
    parser.add_argument("--event", action="append", default=[], metavar="EVENT",
                        help="what to tell: accepted, progress, rendition, succeeded, failed; repeatable")  # fmt: skip
    parser.add_argument("--priority", type=int, metavar="0-9", help="9 goes first (default 0)")
    parser.add_argument("--delay", type=float, metavar="SECONDS", help="begin so much later")
    parser.add_argument("--retries", type=int, metavar="N", help="further attempts where one fails")
    parser.add_argument("--ttl", type=int, metavar="SECONDS", help="lifetime of the results in caches")
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="to find and purge by; repeatable")
    parser.add_argument("--metadata", metavar="JSON", help="handed back untouched")
    parser.add_argument("--file", type=Path, metavar="FILE",
                        help="the whole body as JSON, of a job or a batch; - is standard input")  # fmt: skip
    parser.add_argument("--idempotency-key", metavar="KEY", help="the same key makes the same job (default: random)")
    parser.add_argument("--wait", action="store_true", help="then watch it until it is over")


def _submit(arguments: argparse.Namespace) -> int:
    body = _body(arguments)
    batch = job_order.is_batch(body)
    if batch and arguments.wait:
        raise SettingsError("--wait: a batch is many jobs; `imagemill jobs list` shows them")
    api = _api(arguments)
    key = arguments.idempotency_key or token_hex(16)
    accepted = _insisting(lambda: api.ask("POST", "/jobs/batch" if batch else "/jobs", body, {"idempotency-key": key}))
    if arguments.wait:
        if not arguments.json:
            print(job_screen.plain(accepted.get("id")), file=sys.stderr)
        return _follow(api, str(accepted.get("id")), as_json=arguments.json)
    print(json.dumps(accepted, indent=2) if arguments.json else job_screen.plain(accepted.get("id")))
    return _OK


def _body(arguments: argparse.Namespace) -> Any:
    if arguments.file:
        if arguments.source or arguments.rendition:
            raise SettingsError("--file holds the whole body; SOURCE and -r belong into it")
        try:
            text = sys.stdin.read() if str(arguments.file) == "-" else arguments.file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise SettingsError(f"--file {arguments.file}: {_why(e)}") from e
        return job_order.from_json(text, f"--file {arguments.file}")
    if not (arguments.source and arguments.rendition):
        raise SettingsError("wanted: SOURCE and -r NAME:width=512,format=webp; or --file FILE")
    return job_order.order(
        arguments.source, arguments.rendition, to=arguments.to, template=arguments.key,
        callback=job_order.callback(arguments.callback, arguments.secret, arguments.event),
        metadata=arguments.metadata, warm=arguments.warm, priority=arguments.priority, delay=arguments.delay,
        retries=arguments.retries, ttl=arguments.ttl, tags=arguments.tag,
    )  # fmt: skip


def _insisting(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What *ask* gives; asked again where nothing was answered, or only that it is not possible just now."""
    for wait_s in _TRIES_S:
        try:
            return ask()
        except DependencyDown:
            time.sleep(wait_s)
        except ApiRefused as e:
            if not e.retry:
                raise
            time.sleep(wait_s)
    return ask()


# watch


def _add_watch(commands: Any, command: Add) -> None:
    parser = _calling(command(commands, "watch", _watch, "Show a job's progress until it is over", _EXITS))
    parser.add_argument("id", metavar="ID", type=_id, help="as `submit` and `list` print it")


def _watch(arguments: argparse.Namespace) -> int:
    return _follow(_api(arguments), arguments.id, as_json=arguments.json)


def _follow(api: JobsApi, job_id: str, *, as_json: bool) -> int:
    """Show every change until the end; exit status by the outcome."""
    live = sys.stdout.isatty() and not as_json
    shown, job = "", {}
    try:
        for job in _changes(api, job_id):
            if as_json:
                print(json.dumps(job), flush=True)
            elif live:
                print(_CLEAR + job_screen.bar(job, shutil.get_terminal_size().columns), end="", flush=True)
            elif (line := job_screen.change(job)) != shown and job.get("state") not in job_screen.TERMINAL:
                print(line, flush=True)
                shown = line
    finally:
        if live:
            print(_CLEAR, end="", flush=True)
    if not as_json:
        print("\n".join(job_screen.outcome(job)))
    return _OK if job.get("state") == job_screen.SUCCEEDED else _NOT_DONE


def _changes(api: JobsApi, job_id: str) -> Iterator[dict[str, Any]]:
    """The job after every change, its end last; a stream that breaks off is taken up again."""
    misses = 0
    while True:
        try:
            for job in api.events(job_id):
                misses = 0
                yield job
                if job.get("state") in job_screen.TERMINAL:
                    return
        except (DependencyDown, ApiRefused) as e:
            if misses == len(_WATCH_TRIES_S) or not (isinstance(e, DependencyDown) or e.retry):
                raise
        time.sleep(_WATCH_TRIES_S[min(misses, len(_WATCH_TRIES_S) - 1)])
        misses += 1


# list


def _add_list(commands: Any, command: Add) -> None:
    parser = _calling(command(commands, "list", _list, "List jobs, newest first", _EXITS))
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        choices=[state.value for state in State],
        help="in this state; repeatable",
    )
    parser.add_argument("--tag", help="that carry this tag")
    parser.add_argument("--batch", metavar="ID", type=_id, help="of this batch")
    parser.add_argument("--limit", type=_count, default=50, metavar="N", help="how many at most (default 50)")


def _list(arguments: argparse.Namespace) -> int:
    jobs = list(_pages(_api(arguments), arguments))
    if arguments.json:
        print(json.dumps(jobs, indent=2))
    else:
        print("\n".join(job_screen.table(job_screen.COLUMNS, job_screen.rows(jobs))))
    return _OK


def _pages(api: JobsApi, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    left, cursor = arguments.limit, ""
    fixed = [("state", state) for state in arguments.state]
    fixed += [(name, value) for name, value in (("tag", arguments.tag), ("batch", arguments.batch)) if value]
    while left:
        query = [*fixed, ("limit", str(min(left, _PAGE))), *([("cursor", cursor)] if cursor else [])]
        page = api.ask("GET", f"/jobs?{urlencode(query, quote_via=quote)}")
        jobs = page.get("jobs", [])[:left]
        yield from jobs
        left, cursor = left - len(jobs), page.get("cursor") or ""
        if not (jobs and cursor):
            return


# one after the other


def _cancel(arguments: argparse.Namespace) -> int:
    return _each(arguments, "DELETE", "/jobs/{}", job_screen.change)


def _retry(arguments: argparse.Namespace) -> int:
    return _each(arguments, "POST", "/jobs/{}/retry", lambda job: job_screen.plain(job.get("id")))


def _redeliver(arguments: argparse.Namespace) -> int:
    return _each(arguments, "POST", "/jobs/{}/redeliver", lambda told: f"redelivered: {_shown(told)}")


def _each(arguments: argparse.Namespace, method: str, path: str, shown: Callable[[dict[str, Any]], str]) -> int:
    """Ask for each id in turn; one that is refused does not keep the others from it."""
    api, answers, status = _api(arguments), [], _OK
    for job_id in arguments.ids:
        try:
            answer = api.ask(method, path.format(quote(job_id)))
        except ApiRefused as e:
            print(f"imagemill: {job_id}: {job_screen.plain(e)}", file=sys.stderr)
            status = _REFUSED
            continue
        answers.append(answer)
        if not arguments.json:
            print(shown(answer))
    if arguments.json:
        print(json.dumps(answers, indent=2))
    return status


def _shown(answer: dict[str, Any]) -> str:
    return ", ".join(f"{job_screen.plain(name)} {job_screen.plain(value)}" for name, value in answer.items())


def _prune(arguments: argparse.Namespace) -> int:
    answer = _api(arguments).ask("POST", "/jobs/prune", {"before": time.time() - arguments.older_than * _DAY_S})
    print(json.dumps(answer, indent=2) if arguments.json else f"pruned: {_shown(answer)}")
    return _OK


# what options take


def _why(error: OSError | UnicodeDecodeError) -> str:
    """In a person's words: the file is named already."""
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)


def _id(text: str) -> str:
    if not is_id(text):
        raise argparse.ArgumentTypeError("an id is 32 hex digits")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError("a whole number, 1 or more")
    return int(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError("a number of days") from e
    if not 0 <= days <= 36_525:  # noqa: PLR2004 - a century; also keeps NaN out
        raise argparse.ArgumentTypeError("a number of days, 0 or more")
    return days
