"""Two processes are shown as one, each family once."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from imagemill.obs.exposition import chosen, families, joined
from imagemill.obs.metrics import DECLARED, Metrics

OWN = b'# HELP a_total A.\n# TYPE a_total counter\na_total 1.0\n# HELP b B.\n# TYPE b gauge\nb{x="# HELP c"} 2.0\n'
OTHER = b'# HELP b B.\n# TYPE b gauge\nb{x="y"} 3.0\n# HELP d D.\n# TYPE d gauge\nd 4.0\n'


def test_a_family_is_shown_once():
    """The other's in place of one's own, and what is new behind."""
    text = joined(OWN, OTHER)

    assert list(families(text)) == [b"a_total", b"b", b"d"]
    assert b'b{x="y"} 3.0' in text
    assert b"2.0" not in text
    assert joined(OWN, b"") == OWN


def test_counters_are_added_up():
    """A job may be over by what either process did; gauges are the job process's alone."""
    own = b'# HELP a_total A.\n# TYPE a_total counter\na_total{s="x"} 1.0\na_total{s="y"} 2.0\n'
    other = b'# HELP a_total A.\n# TYPE a_total counter\na_total{s="y"} 3.0\na_total{s="z"} 4.0\n'

    assert joined(own, other) == (
        b'# HELP a_total A.\n# TYPE a_total counter\na_total{s="x"} 1.0\na_total{s="y"} 5.0\na_total{s="z"} 4.0\n'
    )


def test_stores_and_sources_of_both_are_one():
    """What either process read and wrote, with how long it took: counters and histograms alike."""
    node, jobs = Metrics(), Metrics()
    node.beside(jobs.of_jobs)
    for metrics, seconds in ((node, 0.004), (jobs, 0.004), (jobs, 2.0)):
        metrics.count("store_operations", "put", "ok")
        metrics.observe("store", "put", seconds)
        metrics.count("source_bytes", by=100)

    families_shown = list(text_string_to_metric_families(node.render().decode()))

    shown = {(s.name, *s.labels.values()): s.value for f in families_shown for s in f.samples}
    assert shown["imagemill_store_operations_total", "put", "ok"] == 3
    assert shown["imagemill_source_bytes_total",] == 300
    assert shown["imagemill_store_seconds_bucket", "0.005", "put"] == 2
    assert shown["imagemill_store_seconds_bucket", "+Inf", "put"] == shown["imagemill_store_seconds_count", "put"] == 3
    assert shown["imagemill_store_seconds_sum", "put"] == pytest.approx(2.008)
    assert len(families_shown) == len({f.name for f in families_shown})


def test_only_what_is_chosen_is_shown():
    assert chosen(OWN, frozenset({"b"})) == OWN[OWN.index(b"# HELP b B") :]
    assert chosen(OWN, frozenset()) == b""


def test_what_a_job_process_tells_is_shown_by_the_node():
    """Of all its metrics those that are its own, as text that a scraper can read."""
    node, jobs = Metrics(), Metrics()
    node.beside(jobs.of_jobs)
    jobs.mirror("job_workers", lambda: 3, "busy")
    jobs.count("renders", "webp", "ok")

    shown = {
        (s.name, *s.labels.values()): s.value
        for f in text_string_to_metric_families(node.render().decode())
        for s in f.samples
    }

    assert shown["imagemill_job_workers", "busy"] == 3
    assert ("imagemill_renders_total", "webp", "ok") not in shown
    assert any(m.of_jobs for m in DECLARED)
