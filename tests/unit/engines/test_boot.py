"""D14, O07: which libvips is in force, whatever else lies about, and what a worker is started with."""

import subprocess
import sys

import pytest

from imagemill.engines import libvips
from imagemill.engines.decoded import _LOADERS, pyvips
from imagemill.engines.pool import boot_line
from imagemill.engines.process import _ENVIRONMENT
from imagemill.model.errors import SettingsError
from imagemill.model.media import READABLE, VECTORS

RENDER = """
from imagemill.engines.vips import Vips, pyvips
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.model.recipe import Encode, Resize
from imagemill.settings import Engine, Limits
source = pyvips.Image.black(40, 30, bands=3).jpegsave_buffer()
made, = Vips(Limits(), Engine()).run(memoryview(source), probe(source), [Task((Resize(20), Encode()))])
print(made.width_px, made.height_px, pyvips.API_mode, *(pyvips.version(n) for n in range(3)))
"""


def python(program, *paths):
    line = f"import sys; sys.path[:0] = {[str(p) for p in paths]!r}\n" + program
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def in_force():
    return [str(pyvips.version(n)) for n in range(3)]


def test_plain():
    """The wheel's binding on the wheel's library."""
    assert python(RENDER) == ["20", "15", "True", *in_force()]


def test_decoy_ahead_on_the_path(tmp_path):
    """Another ``_libvips`` that would be found first is not."""
    (tmp_path / "_libvips.py").write_text("raise SystemExit('the decoy was imported')\n")
    assert python(RENDER, tmp_path) == ["20", "15", "True", *in_force()]


@pytest.mark.parametrize("binding", ["Path('/nowhere/_libvips.so')", "Path(sys.executable)"])
def test_binding_overwritten(tmp_path, binding):
    """Without the wheel's binding, or with one linked to something else, the wheel's library is opened all the same."""
    (tmp_path / "_libvips.py").write_text("raise SystemExit('the decoy was imported')\n")
    program = f"""
import sys
from pathlib import Path
from imagemill.engines import libvips
bundled = libvips._bundled
libvips._bundled = lambda: ({binding}, bundled()[1])
"""
    assert python(program + RENDER, tmp_path) == ["20", "15", "False", *in_force()]


def test_floor(monkeypatch):
    """O07: a library below the floor stops the start and says both versions."""
    monkeypatch.setattr(libvips, "FLOOR", (99, 0, 0))
    with pytest.raises(SettingsError, match=r"\(99, 0, 0\) or later"):
        libvips.load()


def test_another_library_stops_the_start(monkeypatch):
    """A libvips in memory that is not the wheel's is named as the fault."""
    monkeypatch.setattr(libvips, "_mapped", lambda _library: False)
    with pytest.raises(SettingsError, match="other than"):
        libvips.load()


def test_missing_wheel(monkeypatch):
    """No pyvips-binary, or one without a library, is said in words."""
    monkeypatch.setattr(libvips, "files", lambda _name: [])
    with pytest.raises(SettingsError, match="reinstall"):
        libvips.load()


def test_loaders_are_explicit_and_trusted(tmp_path):
    """D14: one named loader a format; untrusted ones are blocked in a worker's environment, ours are not."""
    assert _LOADERS.keys() | VECTORS == READABLE
    assert _ENVIRONMENT["VIPS_BLOCK_UNTRUSTED"] == "1"
    for suffix in ("v", "csv"):
        pyvips.Image.black(4, 4).write_to_file(f"{tmp_path}/x.{suffix}")
    program = (
        "import os; os.environ['VIPS_BLOCK_UNTRUSTED'] = '1'\n"
        "from imagemill.engines.vips import pyvips\n"
        "for name, suffix in (('vipsload', 'v'), ('csvload', 'csv')):\n"
        "    try:\n"
        f"        getattr(pyvips.Image, name)('{tmp_path}/x.' + suffix)\n"
        "    except pyvips.Error as e:\n"
        "        print(name, 'blocked' if 'blocked' in str(e) else str(e))\n"
    )
    assert python(program) == ["vipsload", "blocked", "csvload", "blocked"]


def test_boot_line():
    """A worker is started without site's user folder, environment or current folder, and with the front's paths."""
    interpreter, *flags, _, paths = boot_line("imagemill.engines.worker:main")
    assert interpreter == sys.executable
    assert flags[:4] == ["-E", "-P", "-s", "-c"]
    assert paths.startswith("[")


def test_environment_has_only_our_names():
    """Nothing of the front's environment goes to a worker: no key, no proxy, no preload."""
    assert {name.split("_")[0] for name in _ENVIRONMENT} == {"GLIBC", "LC", "MALLOC", "OPENBLAS", "VIPS"}
    assert not set(_ENVIRONMENT) & {"PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH"}
