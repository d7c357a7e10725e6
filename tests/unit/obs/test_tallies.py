"""Counts and times kept by hand show what the library's own would."""

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from imagemill.obs.metrics import Metrics
from imagemill.obs.tallies import Times

BUCKETS = (0.001, 0.25, 1.0)
OBSERVED = [("L1", 0.0), ("L1", 0.001), ("L1", 0.0010001), ("MISS", 0.25), ("MISS", 7.0), ("L1", 1.0)]


def test_times_are_shown_as_the_librarys():
    """Byte for byte: bounds inclusive, buckets cumulative, labels in order of appearance."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    times = Times("x_seconds", "Times of x.", ("cache",), BUCKETS)
    ours.register(times)
    library = Histogram("x_seconds", "Times of x.", ("cache",), buckets=BUCKETS, registry=theirs)

    assert generate_latest(ours) == generate_latest(theirs)
    for label, seconds in OBSERVED:
        times.labels(label).observe(seconds)
        library.labels(label).observe(seconds)

    shown = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
    assert [line for line in generate_latest(ours).splitlines() if b"_created" not in line] == shown


def test_a_name_is_taken_once():
    registry = CollectorRegistry()
    registry.register(Times("x_seconds", "Times of x.", ("cache",), BUCKETS))

    with pytest.raises(ValueError, match="Duplicated"):
        Histogram("x_seconds", "Times of x.", ("cache",), registry=registry)


def test_counting_adds_up_over_scrapes():
    """What is counted by hand and what is counted otherwise are one series; nothing is counted twice."""
    metrics = Metrics()
    count = metrics.counting("cache_events", "l1")
    count("hit")
    metrics.count("cache_events", "l1", "hit")

    assert b'imagemill_cache_events_total{cache="l1",event="hit"} 2.0' in metrics.render()
    count("hit")
    count("miss")

    shown = metrics.render()
    assert b'imagemill_cache_events_total{cache="l1",event="hit"} 3.0' in shown
    assert b'imagemill_cache_events_total{cache="l1",event="miss"} 1.0' in shown


def test_timing_and_observing_are_one_series():
    metrics = Metrics()
    metrics.timing("request", "L1")(0.002)
    metrics.observe("request", "L1", 0.002)

    assert b'imagemill_request_seconds_count{cache="L1"} 2.0' in metrics.render()
