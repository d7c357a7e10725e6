"""The image of the Dockerfile, built by buildah and run by hand as `docker run --read-only` would run it.

Nothing here needs a daemon or a registry, but root and namespaces: where a machine allows neither, tests are skipped.
"""

import ast
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support import base_image
from support.programs import program

ROOT = Path(__file__).parents[2]
DATA = "/var/lib/imagemill"
_PASSED_ON = (
    "cert",
    "default-timeout",
    "extra-index-url",
    "find-links",
    "index-url",
    "proxy",
    "retries",
    "trusted-host",
)
_MOUNT = """
set -eu
root=$1 data=$2 user=$3; shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$data" "$root/var/lib/imagemill"
mount -t proc -o subset=pid proc "$root/proc"
mount -t tmpfs -o size=64k,mode=755 dev "$root/dev"
for name in null urandom; do : > "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
"""
_ENTER = _MOUNT + 'exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"'
_TRY = _MOUNT + 'exec setpriv --no-new-privs chroot --userspec="$user" --groups= / true'
_APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")


def needed(folder: Path) -> str:
    """The buildah program; or skip, as there is none, or this machine does not let us build and run below *folder*."""
    buildah = program("buildah")
    if os.geteuid() != 0:
        pytest.skip("building and running an image here needs root")
    root = folder / "tried"
    for name in ("proc", "dev", "var/lib/imagemill"):
        (root / name).mkdir(parents=True)
    words = (str(root), str(root / "dev"), "10001:10001")
    tried = subprocess.run([*_APART, "sh", "-c", _TRY, "sh", *words], env=_with_tools(), capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"this machine lets nobody mount, or be somebody else: {tried.stderr.strip()}")
    return buildah


def _with_tools(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    return {**env, "PATH": f"{env.get('PATH', os.defpath)}:/usr/sbin:/sbin"}


class Image:
    """A built image, laid out as files."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self.root, self.config = root, config

    @property
    def env(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.config["Env"])


@contextlib.contextmanager
def built(folder: Path, **arguments: str) -> Iterator[Image]:
    """The image of the tree as it is, on a base made of this machine."""
    storage = folder / "storage"
    try:
        own = _ready(folder, storage)
        _buildah(
            own, "bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "--tag", "localhost/imagemill",
            "--build-arg", "BASE=localhost/base", *[w for n, v in arguments.items() for w in ("--build-arg", f"{n}={v}")],
            *_index(folder), str(ROOT),
        )  # fmt: skip
        container = _buildah(own, "from", "--pull-never", "localhost/imagemill")
        config = json.loads(_buildah(own, "inspect", "--type", "image", "localhost/imagemill"))["Docker"]["config"]
        root = Path(_buildah(own, "mount", container))
        try:
            yield Image(root, config)
        finally:
            _buildah(own, "umount", container)
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def _ready(folder: Path, storage: Path) -> list[str]:
    """buildah's first words, once it has the base and can run something on it; else skip: that says nothing of the image."""
    buildah = needed(folder)
    base_image.make(folder / "base")
    told = ""
    for driver in ("overlay", "vfs"):  # by the kernel where it can, else as copies
        own = [buildah, "--root", str(storage / driver), "--runroot", str(storage / f"run-{driver}"),
               "--storage-driver", driver]  # fmt: skip
        try:
            base = _buildah(own, "from", "scratch")
            _buildah(own, "copy", "--quiet", base, str(folder / "base"), "/")
            _buildah(own, "config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", base)
            _buildah(own, "run", "--isolation", "chroot", base, "--", "/bin/sh", "-c", ":")
            _buildah(own, "commit", "--quiet", base, "localhost/base")
        except AssertionError as e:
            told = str(e)
        else:
            return own
    pytest.skip(f"buildah builds nothing on this machine: {told}")


def _buildah(own: list[str], *words: str) -> str:
    made = subprocess.run([*own, *words], env=_with_tools(), capture_output=True, text=True)
    assert made.returncode == 0, f"buildah {words[0]}:\n{made.stdout[-4000:]}\n{made.stderr[-4000:]}"
    return made.stdout.strip()


def _index(folder: Path) -> list[str]:
    """This machine's way to its package index: a secret of the build, and what that names of its files."""
    told = subprocess.run(
        [sys.executable, base_image.pip_wheel() / "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found = {line.partition("=")[0].rpartition(".")[2]: line.partition("=")[2] for line in told.splitlines()}
    values = {name: str(ast.literal_eval(text)) for name, text in found.items() if name in _PASSED_ON}
    if "cert" not in values and (trusted := _trusted()):
        values["cert"] = trusted
    (folder / "pip.conf").write_text("\n".join(["[global]", *(f"{n} = {v}" for n, v in values.items())]) + "\n")
    paths = [path for name in ("cert", "find-links") for path in values.get(name, "").split()]
    mounted = [f"--volume={path}:{path}:ro" for path in paths if Path(path).exists()]
    return ["--secret", f"id=pip.conf,src={folder / 'pip.conf'}", *mounted]


def _trusted() -> str:
    """Whom this machine trusts, where it says so: there may be more than pip brings along, for a proxy on the way."""
    named = (*map(os.environ.get, ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")), "/etc/ssl/certs/ca-certificates.crt")
    return next((name for name in named if name and Path(name).is_file()), "")


class Ended(NamedTuple):
    """A process that has ended."""

    status: int
    words: str


class Container:
    """A running image: its first process, seen from outside."""

    def __init__(self, image: Image, outer: subprocess.Popen[bytes], env: dict[str, str], log: Path) -> None:
        self.image, self.env, self.log = image, env, log
        self._outer = outer

    @property
    def first(self) -> int:
        """Its process 1, by our number."""
        for _ in range(400):
            with contextlib.suppress(OSError, IndexError):
                return _children(self._outer.pid)[0]
            assert self._outer.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("nothing was started")

    def processes(self) -> list[int]:
        """All of them, by our numbers."""
        found = [self.first]
        for pid in found:
            with contextlib.suppress(OSError):
                found += _children(pid)
        return found

    def run(self, *command: str, user: str = "") -> Ended:
        """As `docker exec`."""
        uid, _, gid = (user or self.image.config["User"]).partition(":")
        made = subprocess.run(
            ["nsenter", "--target", str(self.first), "--mount", "--pid", "--root", "--wd", "--setuid", uid, "--setgid", gid,
             *command],
            env=self.env, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return Ended(made.returncode, made.stdout + made.stderr)

    def stop(self) -> int:
        """As `docker stop`; the exit status."""
        if self._outer.poll() is None:
            os.kill(self.first, getattr(signal, self.image.config["StopSignal"]))
        return self._outer.wait(60)


@contextlib.contextmanager
def running(image: Image, folder: Path, *command: str, **env: str) -> Iterator[Container]:
    """The image, its root read-only, its user, a volume for its data, and *command* in place of its own."""
    config = image.config
    uid, gid = map(int, config["User"].split(":"))
    data = folder / "volume"
    if not data.exists():
        data.mkdir(mode=0o700)
        os.chown(data, uid, gid)
    environ = image.env | env
    log = folder / "container.log"
    with log.open("ab") as out:
        outer = subprocess.Popen(
            [*_APART, "sh", "-c", _ENTER, "sh",
             str(image.root), str(data), config["User"], *config["Entrypoint"], *(command or config["Cmd"])],
            env=_with_tools(environ), stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield Container(image, outer, environ, log)
    finally:
        outer.kill()
        outer.wait()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
