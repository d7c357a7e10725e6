"""Where the microseconds of a hit go: each part of `imagemill.web.hits` alone, in this process, see `hits.py`.

Figures are CPU of the process, the least of forty runs: what the rest of the machine does makes a run dearer, never
cheaper. What is left of a whole hit is the kernel's and uvloop's.
"""

import io
import logging
import time
import timeit

from imagemill.model.entry import Entry, Validators
from imagemill.model.media import Format, Rendition
from imagemill.model.signing import sign
from imagemill.obs.logs import LogPipe
from imagemill.settings import Log, Secret, Settings, Signing
from imagemill.web.heads import read
from imagemill.web.request import Call, new_request_id
from imagemill.wiring import Service

RUNS, CALLS = 40, 1000


def us(work):
    """CPU of one call."""
    return min(timeit.repeat(work, number=CALLS, repeat=RUNS, timer=time.process_time)) / CALLS * 1e6


def parts(headers, key):
    """Print them, for a request with *headers* that is signed with *key*."""
    service = Service(Settings(signing=Signing("required", {"bench": Secret(key)})))
    pipe = LogPipe(Log(format="json"), io.StringIO())
    service.watch_log(pipe)
    logging.getLogger().setLevel("INFO")
    query = f"source=local:sample/a&width=900&format=webp&quality=80&expires={int(time.time()) + 86_400}"
    target = sign(f"/image?{query}".encode(), "bench", key.encode())
    lines = [f"{name}: {value}".encode() for name, value in {"Host": "127.0.0.1:8080", **headers}.items()]
    raw = b"\r\n".join([b"GET %b HTTP/1.1" % target, *lines, b"", b""])
    head = read(raw)
    call = Call("GET", head.path, head.query, head.headers, new_request_id(), "127.0.0.1")
    plan = service.images.plan(call)
    rendition = Rendition(bytes(32_000), Format.WEBP, "a" * 43, 900, 600)
    entry = Entry(rendition, time.time(), source_key="s", validators=Validators("e", 1_700_000_000), cost_ms=50,
                  asked_ms=service.purges.now_ms())  # fmt: skip
    service.transcoder._kept.fill(plan, entry)
    hits, default = service.connections.early.__self__, [(b"date", b"Thu, 26 Nov 2026 17:52:45 GMT")]
    assert hits.answer(raw, "127.0.0.1", default)
    met = hits._met.get(("127.0.0.1", raw))
    served = service.transcoder.ready(plan)
    table = {
        "whole": lambda: hits.answer(bytes(memoryview(raw)), "127.0.0.1", default),
        "parse: the head is found by its bytes": lambda: hits._met.get(("127.0.0.1", bytes(memoryview(raw)))),
        "lookup: expiry, L1, purges, age, early refresh": lambda: service.images.ready(plan, time.time()),
        "headers: the last answer holds; id; bytes": lambda: (
            met.alike.made.holds(entry, time.time(), default),
            b"%b%b%b" % (met.alike.made.before_id, new_request_id().encode(), met.alike.made.after_id),
        ),
        "log line and metrics": lambda: met.alike.made.repeated.finished("0123456789abcdef", 0.000123),
        "once a second and URL: headers made anew": lambda: hits._make(met.alike, served, default),
        "a head not met before: parse": lambda: read(raw),
        "… and its plan": lambda: service.images.plan(call),
    }
    print("\nparts, CPU us each")
    for name, work in table.items():
        print(f"{us(work):7.2f}  {name}")
    pipe.close()
