"""The built wheel in a clean environment, used as a person would: served, driven over HTTP, on the command line."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from support.node import Node, serving
from support.ports import free_port

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "requirements" / "serve.txt"
CLEAN = {
    k: v
    for k, v in os.environ.items()
    if not k.startswith(("IMAGEMILL_", "PYTHON", "VIRTUAL_ENV", "PKG_CONFIG", "XDG_STATE_HOME"))
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree as it is."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the wheel and what it needs; its bin folder."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--constraint", _pins(folder), wheel],
        check=True, env=CLEAN,
    )  # fmt: skip
    return folder / "bin"


def _pins(folder: Path) -> Path:
    """The locked versions, each with its marker, without their hashes: a wheel of our own has none there."""
    lines = [line.rstrip(" \\") for line in LOCKED.read_text().splitlines() if "==" in line and line[0] != " "]
    pins = folder / "pins.txt"
    pins.write_text("\n".join(lines))
    return pins


def at_home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose home is that folder."""
    return CLEAN | {"HOME": str(tmp_path)}


def until_ready(admin: int) -> None:
    for _ in range(2_000):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=1).read()
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing is ready on port {admin}")


@contextlib.contextmanager
def first_run(clean: Path, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """`imagemill serve`, with nothing configured but the ports, which other tests may hold."""
    port, admin = free_port(), free_port()
    with (tmp_path / "log").open("wb") as log:
        command = [clean / "imagemill", "serve", "--port", str(port), "--admin-port", str(admin)]
        process = subprocess.Popen(command, env=at_home(tmp_path), cwd=tmp_path, stdout=log, stderr=log)
        try:
            until_ready(admin)
            yield port, admin
        finally:
            process.terminate()
            assert process.wait(40) == 0


def test_the_first_run_turns_the_photograph_into_webp(clean: Path, tmp_path: Path) -> None:
    """`pip install imagemill && imagemill serve`: the README's curl gives a 512 px WebP of the photograph."""
    with first_run(clean, tmp_path) as (port, admin):
        url = f"http://127.0.0.1:{port}/image?source=local:sample/dandelion.jpg&width=512&format=webp"
        with urllib.request.urlopen(url) as reply:
            picture = Image.open(io.BytesIO(reply.read()))
            assert reply.headers["content-type"] == "image/webp"
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/version") as reply:
            versions = json.loads(reply.read())

    assert (picture.format, picture.size) == ("WEBP", (512, 341))
    assert versions["libvips"] >= "8.18.3"
    assert "unsigned mode" in (tmp_path / "log").read_text()


def test_the_wheel_serves_with_settings(clean: Path, tmp_path: Path) -> None:
    """The same code path as any installation: a file of settings, a signed mode, a graceful end."""
    with serving(tmp_path, command=[str(clean / "imagemill")]) as node:
        assert isinstance(node, Node)
        assert node.get("/image?source=local:sample/dandelion.jpg&width=50&format=avif").status == 200
        workers = node.workers()
        assert node.stop() == 0

    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_an_address_that_others_reach_is_no_first_run(clean: Path, tmp_path: Path) -> None:
    """Unsigned mode is never slid into: any other address, or any setting, and a signature is required."""
    for arguments, environ in ((["--host", "0.0.0.0"], {}), ([], {"IMAGEMILL_LOG__LEVEL": "info"})):
        made = subprocess.run(
            [clean / "imagemill", "serve", "--check", *arguments],
            env=CLEAN | environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 2
        assert "signing.keys is empty" in made.stderr


def test_render_and_doctor(clean: Path, tmp_path: Path) -> None:
    """A file in, a file out, never overwritten unasked; the doctor finds nothing wrong."""
    source = tmp_path / "in.png"
    Image.linear_gradient("L").resize((400, 300)).convert("RGB").save(source)
    run = [
        clean / "imagemill",
        "render",
        source,
        "-o",
        tmp_path / "out.webp",
        "--width",
        "100",
        "--fit",
        "cover",
        "--height",
        "100",
    ]
    first = subprocess.run(run, env=CLEAN, capture_output=True, text=True)
    again = subprocess.run(run, env=CLEAN, capture_output=True, text=True)
    doctor = subprocess.run(
        [clean / "imagemill", "doctor", "--json"], capture_output=True, text=True,
        env=CLEAN | {"IMAGEMILL_SIGNING__MODE": "unsigned", "IMAGEMILL_SERVER__PORT": str(free_port()),
                     "IMAGEMILL_SERVER__ADMIN_PORT": str(free_port())},
    )  # fmt: skip

    assert first.returncode == 0, first.stderr
    assert Image.open(tmp_path / "out.webp").size == (100, 100)
    assert (again.returncode, "exists" in again.stderr) == (1, True)
    findings = {f["check"]: f["state"] for f in json.loads(doctor.stdout)}
    assert doctor.returncode == 0, doctor.stdout
    assert (findings["worker"], findings["render"]) == ("ok", "ok")


def test_the_doctor_sees_what_serve_would(clean: Path, tmp_path: Path) -> None:
    """With nothing said it examines the first run, its two stores and unsigned mode; a wrong setting is a failure."""
    home = at_home(tmp_path)
    first = subprocess.run([clean / "imagemill", "doctor", "--json"], env=home, capture_output=True, text=True)
    wrong = subprocess.run(
        [clean / "imagemill", "doctor"], env=home | {"IMAGEMILL_SERVER__PROT": "1"}, capture_output=True, text=True
    )

    findings = {f["check"]: (f["state"], f["detail"]) for f in json.loads(first.stdout)}
    assert findings["stores"] == ("ok", "sample, out")
    assert findings["signing"][0] == "warn"
    assert wrong.returncode == 1
    assert "did you mean port?" in wrong.stdout


def test_the_first_run_takes_jobs(clean: Path, tmp_path: Path) -> None:
    """Nothing configured: a job from the command line, its files where the log says, the list, the watch; then a token."""
    with first_run(clean, tmp_path) as (port, _):

        def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
            url = {"IMAGEMILL_URL": f"http://127.0.0.1:{port}"}
            return subprocess.run(
                [clean / "imagemill", *words], env=at_home(tmp_path) | url | env, capture_output=True, text=True, timeout=90
            )  # fmt: skip

        sizes = ("-r", "small:width=320,format=webp", "-r", "large:width=1280,format=avif")
        made = run("jobs", "submit", "local:sample/dandelion.jpg", *sizes, "--to", "out/flowers", "--wait")
        listed = run("jobs", "list")
        job = json.loads(run("jobs", "list", "--json").stdout)[0]
        watched = run("jobs", "watch", job["id"])
        token = run("token", "new", "--name", "me", "--tenant", "default", "--scope", "read")
        while (refused := run("jobs", "list")).returncode == 0:
            time.sleep(0.1)  # a service may not know of it for a second
        known = run("jobs", "list", IMAGEMILL_TOKEN=token.stdout.strip())
        too_much = run("jobs", "cancel", job["id"], IMAGEMILL_TOKEN=token.stdout.strip())

    assert made.returncode == 0, made.stderr
    assert "succeeded  2/2 renditions" in made.stdout
    folder = tmp_path / ".local/state/imagemill/out/flowers" / job["id"]
    assert Image.open(folder / "small.webp").size == (320, 213)
    assert Image.open(folder / "large.avif").width == 1280
    assert f'"results":"out: {folder.parents[1]}"' in (tmp_path / "log").read_text()
    assert (job["id"] in listed.stdout, "succeeded" in listed.stdout) == (True, True)
    assert (watched.returncode, "small.webp" in watched.stdout) == (0, True)
    assert token.stdout.startswith("imt_")
    assert (refused.returncode, refused.stderr) == (3, "imagemill: unauthorized: a bearer token is needed\n")
    assert (known.returncode, job["id"] in known.stdout) == (0, True)
    assert (too_much.returncode, "scope_missing" in too_much.stderr) == (3, True)


def test_a_worker_by_itself(clean: Path, tmp_path: Path) -> None:
    """It takes its directory, answers for its health, keeps a second one out, and ends when told to."""
    admin = free_port()
    (tmp_path / "out").mkdir()
    config = tmp_path / "jobs.toml"
    config.write_text(
        '[storage.out]\nkind = "file"\nroot = "out"\nwrite = true\n[jobs]\ndata = "state"\n'
        '[signing]\nmode = "unsigned"\n'
    )
    command = [clean / "imagemill", "worker", "--config", config, "--admin-port"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, str(admin)], env=CLEAN, cwd=tmp_path, stdout=log, stderr=log)
        try:
            until_ready(admin)
            second = subprocess.run(
                [*command, str(free_port())], env=CLEAN, cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
            doctor = subprocess.run(
                [clean / "imagemill", "doctor", "--config", config, "--json"],
                env=CLEAN, cwd=tmp_path, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
        finally:
            process.terminate()
            ended = process.wait(40)

    findings = {f["check"]: f["detail"] for f in json.loads(doctor.stdout)}
    assert (second.returncode, "in use by another job process" in second.stderr) == (3, True)
    assert findings["job data"].endswith("; a job process is at work there")
    assert ended == 0


@pytest.mark.parametrize(
    ("text", "command", "extra"),
    [
        ('[storage.b]\nkind = "s3"\nbucket = "b"\nregion = "r"\n', ("serve", "--check"), "s3"),
        ('[jobs]\nengine = "temporal"\n', ("serve", "--check"), "temporal"),
        ('[jobs]\nengine = "temporal"\n', ("worker",), "temporal"),
        ('[l2]\nurl = "redis://127.0.0.1"\n', ("serve", "--check"), "redis"),
    ],
)
def test_what_is_not_installed_is_said_with_the_remedy(
    clean: Path, tmp_path: Path, text: str, command: tuple[str, ...], extra: str
) -> None:
    """One line, no trace: which setting needs what."""
    config = tmp_path / "mill.toml"
    config.write_text(text + '[signing]\nmode = "unsigned"\n')

    told = subprocess.run(
        [clean / "imagemill", *command, "--config", config], env=at_home(tmp_path), capture_output=True, text=True, timeout=60
    )  # fmt: skip

    assert (told.returncode, told.stderr.count("\n")) == (2, 1), told.stderr
    assert told.stderr.endswith(f"needs: pip install 'imagemill[{extra}]'\n")


def test_the_wheel_holds_what_it_should(wheel: Path) -> None:
    """The licence, the sample and its licence, the typing mark; no test, no bench."""
    names = zipfile.ZipFile(wheel).namelist()

    assert "imagemill/samples/dandelion.jpg" in names
    assert "imagemill/py.typed" in names
    assert {
        "imagemill/typefaces/DejaVuSans.ttf",
        "imagemill/typefaces/fonts.conf",
        "imagemill/typefaces/LICENSE.txt",
    } <= {*names}
    assert [n for n in names if n.endswith("licenses/src/imagemill/typefaces/LICENSE.txt")]
    assert [n for n in names if n.endswith("licenses/LICENSE")]
    assert not [n for n in names if n.startswith(("tests", "bench"))]
    assert wheel.stat().st_size < 2_000_000
