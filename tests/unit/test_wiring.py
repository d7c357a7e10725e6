"""O04: what only the parts themselves can know is wrong stops the start too."""

import pytest

from imagemill import wiring
from imagemill.engines.pool import Event
from imagemill.model.errors import SettingsError
from imagemill.settings import load

UNSIGNED = {"signing": {"mode": "unsigned"}}


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("a", {"kind": "file", "root": "/none/there"}, "storage.a: storage root /none/there is not a directory"),
        ("a", {"kind": "file", "rot": "/"}, "unknown setting storage.a.rot; did you mean root?"),
        ("a", {"kind": "file"}, "storage.a: Object missing required field `root`"),
        ("a", {"kind": "file", "root": ""}, "storage.a: Expected a path, got `''`"),
        ("a", {"kind": "file", "root": 5}, "storage.a: Expected a path, got `5`"),
        ("a", {"kind": "tape"}, "storage.a.kind: one of file"),
        ("a", {"kind": ["file"]}, "storage.a.kind: one of file"),
        ("a", {"root": "/"}, "storage.a.kind: one of file"),
        ("", {"kind": "file", "root": "/"}, "a store's name is"),
        ("a/b", {"kind": "file", "root": "/"}, "storage.a/b: a store's name is"),
        ("é", {"kind": "file", "root": "/"}, "a store's name is"),
    ],
)
def test_wrong_stores_are_refused(name, table, words):
    """A store that could not be read, or not be named in a URL, is refused with its name."""
    with pytest.raises(SettingsError) as e:
        wiring.check(load(None, {}, UNSIGNED | {"storage": {name: table}}))

    assert words in str(e.value)


def test_right_settings_pass(tmp_path):
    wiring.check(load(None, {}, UNSIGNED | {"storage": {"a.b-c_9": {"kind": "file", "root": str(tmp_path)}}}))


async def test_what_the_pool_tells_is_counted():
    """Crashes, restarts by reason, and sources refused as poison, each in its own metric."""
    service = wiring.Service(load(None, {}, UNSIGNED))
    for event in (Event("crash"), Event("restart", "deadline"), Event("poison"), Event("poison")):
        service._pool_event(event)
    shown = service.metrics.render().decode()
    await service.close()

    assert "imagemill_worker_crash_total 1.0" in shown
    assert 'imagemill_worker_restarts_total{reason="deadline"} 1.0' in shown
    assert "imagemill_poison_refused_total 2.0" in shown
