"""O03: every metric declared once; labels whose values are few."""

import ast
import inspect
import re

from imagemill.obs import metrics
from imagemill.obs.metrics import DECLARED, Metrics

FORBIDDEN = {"url", "host", "key", "path", "target", "source", "user_agent", "error", "client"}


def test_what_is_declared_is_exposed():
    """Names, kinds and meanings, in the text format."""
    shown = Metrics().render().decode()

    for metric in DECLARED:
        assert f"# TYPE {metric.name} {metric.kind}" in shown
        assert metric.meaning


def test_names_and_labels():
    """Units in the name; no label that a caller could fill."""
    assert len({m.name for m in DECLARED}) == len(DECLARED)
    for metric in DECLARED:
        assert re.fullmatch(r"imagemill_[a-z0-9_]+", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.name.endswith("_seconds") or metric.kind != "histogram"
        assert not set(metric.labels) & FORBIDDEN


def test_two_nodes_do_not_share():
    """No registry of the whole process."""
    one, two = Metrics(), Metrics()
    one.count("requests", "ok")

    assert b'imagemill_requests_total{outcome="ok"} 1.0' in one.render()
    assert b'{outcome="ok"}' not in two.render()


def test_gauges_mirror_live_state():
    live, waiting = Metrics(), [1, 2]
    live.mirror("queue_length", lambda: len(waiting))
    live.mirror("workers", lambda: 3.0, "idle")
    waiting.append(3)

    shown = live.render()

    assert b"imagemill_queue_length 3.0" in shown
    assert b'imagemill_workers{state="idle"} 3.0' in shown


def test_series_are_few():
    """No ``_created`` twins; the process's own are there."""
    live = Metrics()
    for _ in range(100):
        live.count("requests", "ok")
        live.observe("request", "L1", 0.01)

    shown = live.render().decode()

    assert "_created" not in shown
    assert "process_resident_memory_bytes" in shown
    assert len(shown.splitlines()) < 300


def test_names_stand_once_in_the_source():
    strings = [n.value for n in ast.walk(ast.parse(inspect.getsource(metrics))) if isinstance(n, ast.Constant)]

    assert all(strings.count(m.name) <= 1 or m.name == "imagemill_build_info" for m in DECLARED)
