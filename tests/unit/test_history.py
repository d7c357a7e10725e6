"""The judge of the crash tests complains of each thing that must not happen, and of nothing else."""

import pytest

from support.history import complaints


def history(**changes):
    """A good one, with *changes* to the records of an operation: a value that replaces, or a list of records."""
    good = {
        "accepted": [{"job": "a", "key": "k", "renditions": ["small", "large"], "tells": True}],
        "seen": [
            {"job": "a", "state": "queued", "version": 0, "results": {}},
            {"job": "a", "state": "running", "version": 1, "results": {}},
            {"job": "a", "state": "succeeded", "version": 5, "results": {"small": ["a/s", "1"], "large": ["a/l", "2"]}},
        ],
        "told": [{"job": "a", "id": "m1", "type": "job.succeeded", "rendition": "", "valid": True}] * 2,
        "found": [
            {"job": "a", "name": "small", "key": "a/s", "sha256": "1"},
            {"job": "a", "name": "large", "key": "a/l", "sha256": "2"},
        ],
    } | changes  # fmt: skip
    return [{"op": op, "t": 0, **record} for op, records in good.items() for record in records]


def test_a_good_history_is_not_complained_of():
    assert complaints(history()) == []


END = {"job": "a", "state": "succeeded", "version": 5, "results": {"small": ["a/s", "1"], "large": ["a/l", "2"]}}
TOLD = {"job": "a", "id": "m1", "type": "job.succeeded", "rendition": "", "valid": True}
FOUND = [
    {"job": "a", "name": "small", "key": "a/s", "sha256": "1"},
    {"job": "a", "name": "large", "key": "a/l", "sha256": "2"},
]
ACCEPTED = {"job": "a", "key": "k", "renditions": ["small", "large"], "tells": True}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seen": [{**END, "state": "running"}]}, "never seen to end"),
        ({"seen": []}, "never seen to end"),
        ({"seen": [END, {**END, "state": "failed"}]}, "succeeded, and then failed"),
        ({"seen": [END, {**END, "state": "running"}]}, "succeeded, and then running"),
        ({"seen": [END, {**END, "version": 4}]}, "version 5, and then 4"),
        ({"seen": [{**END, "results": {"small": ["a/s", "1"]}}]}, "succeeded without large"),
        ({"found": FOUND[:1]}, "0 objects for large"),
        ({"found": [*FOUND, {**FOUND[0], "key": "b/s"}]}, "2 objects for small"),
        ({"found": [FOUND[0], {**FOUND[1], "sha256": "3"}]}, "large is not what the job says"),
        ({"told": []}, "nobody was told"),
        ({"told": [TOLD, {**TOLD, "id": "m2"}]}, "2 ids for job.succeeded"),
        ({"told": [TOLD, {**TOLD, "type": "job.rendition", "rendition": "small"}]}, "one id for several messages"),
        ({"told": [TOLD, {**TOLD, "type": "job.failed", "id": "m2"}]}, "told as job.failed"),
        ({"told": [TOLD, {**TOLD, "valid": False}]}, "not validly signed"),
        ({"accepted": [ACCEPTED, {**ACCEPTED, "job": "b"}]}, "key k: 2 jobs"),
        ({"missed": [{"job": "a"}]}, "accepted, and then not there"),
        ({"told": [TOLD, {**TOLD, "job": "b"}]}, "b: done, and nobody was told that it is accepted"),
        ({"found": [*FOUND, {**FOUND[0], "job": "b"}]}, "b: done, and nobody was told that it is accepted"),
    ],
)
def test_what_must_not_happen_is_complained_of(changes, words):
    assert any(words in complaint for complaint in complaints(history(**changes)))


def test_a_failed_job_needs_no_result_and_is_told_as_failed():
    end = {**END, "state": "failed", "results": {}}
    told = {**TOLD, "type": "job.failed"}

    assert complaints(history(seen=[end], told=[told], found=[])) == []
